/* The page: what is on the pad goes through one function, kilonet.read, and what it says is shown. */
"use strict";

(() => {
  const network = buildNetwork(JSON.parse(document.getElementById("network").textContent));
  const { readPixels, readCanvas } = createReader(network);

  /* For the console and for programs. kilonet.predict(pixels) takes C·H·W bytes, row by row, the
   * channels of a pixel side by side, and returns { label, name, confidence, logits, probabilities };
   * kilonet.read(canvas) takes any canvas, and returns that with the pixels that the network saw, or
   * { error, message }. */
  window.kilonet = {
    shape: network.image,
    classes: network.classes,
    predict: readPixels,
    read: readCanvas,
  };

  const [undo, clear, file] = ["undo", "clear", "file"].map((id) => document.getElementById(id));
  const answer = createAnswer(network);
  const layers = createLayers(network);
  const pad = createPad(document.getElementById("pad"), changed);
  listenForPictures(file, pad.show, () => {
    answer.say(MESSAGES.unreadable, true);
    layers.draw(null);
  });

  function changed(state) {
    const aloud = state === "done";
    if (pad.isEmpty()) return refuse(document.body.dataset.invitation, aloud);
    const began = performance.now();
    const reading = window.kilonet.read(pad.canvas());
    if (reading.error) return refuse(reading.message, aloud);
    answer.show(reading, performance.now() - began, aloud);
    layers.draw(reading);
  }

  function refuse(message, aloud) {
    answer.say(message, aloud);
    layers.draw(null);
  }

  undo.addEventListener("click", pad.undo);
  clear.addEventListener("click", pad.clear);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") pad.clear();
    else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) pad.undo();
    else return;
    event.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    pad.redraw();
    changed("drawing");
  });
  changed("drawing");
})();
