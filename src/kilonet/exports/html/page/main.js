/* The page: kilonet.read classifies the content of the pad, and the page shows the result. */
"use strict";

(() => {
  const network = buildNetwork(JSON.parse(document.getElementById("network").textContent));
  const { predictPixels, predictCanvas } = createPredictor(network);

  /* For the console and for programs. kilonet.predict(pixels) takes C·H·W bytes, row by row, the
   * channels of a pixel side by side, and returns { label, name, confidence, logits, probabilities };
   * kilonet.read(canvas) takes any canvas, and returns the same and the network's input pixels, or
   * { error, message }. */
  window.kilonet = {
    shape: network.image,
    classes: network.classes,
    predict: predictPixels,
    read: predictCanvas,
  };

  const [undo, clear, file] = ["undo", "clear", "file"].map((id) => document.getElementById(id));
  const result = createResult(network);
  const layers = createLayers(network);
  const pad = createPad(document.getElementById("pad"), changed);
  listenForPictures(file, pad.show, () => {
    result.showMessage(MESSAGES.unreadable, true);
    layers.draw(null);
  });

  function changed(state) {
    const announce = state === "done";
    if (pad.isEmpty()) return showMessage(document.body.dataset.invitation, announce);
    const began = performance.now();
    const prediction = window.kilonet.read(pad.canvas());
    if (prediction.error) return showMessage(prediction.message, announce);
    result.show(prediction, performance.now() - began, announce);
    layers.draw(prediction);
  }

  function showMessage(message, announce) {
    result.showMessage(message, announce);
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
