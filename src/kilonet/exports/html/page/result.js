/* The result: the most likely class, a bar for each class, and the pixels that the network got. */
"use strict";

const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

function createResult(network) {
  const digit = document.getElementById("digit");
  const summary = document.getElementById("summary");
  const time = document.getElementById("time");
  const announcement = document.getElementById("announcement");
  const input = document.getElementById("input");
  const rows = network.classes.map(addRow);

  // `announce` is true at the end of a stroke: screen readers are silent while it is drawn.
  function show(prediction, milliseconds, announce) {
    const order = rows.map((_, i) => i).sort((a, b) => prediction.probabilities[b] - prediction.probabilities[a]);
    const [first, second] = order.map((i) => `${network.classes[i]}, ${percent(prediction.probabilities[i])}`);
    digit.textContent = prediction.name;
    digit.classList.toggle("word", prediction.name.length > 2);
    summary.textContent = `${percent(prediction.confidence)}, then ${second}`;
    time.textContent = `prepared and classified in ${milliseconds.toFixed(1)} ms`;
    rows.forEach((row, i) => fill(row, prediction.probabilities[i], i === prediction.label));
    showInput(prediction.pixels);
    if (announce) announcement.textContent = `${first}; then ${second}.`;
  }

  function showMessage(message, announce) {
    digit.textContent = "";
    time.textContent = "";
    summary.textContent = message;
    rows.forEach((row) => fill(row, null, false));
    showInput(null);
    if (announce) announcement.textContent = message;
  }

  function showInput(pixels) {
    const [channels, height, width] = network.image;
    Object.assign(input, { width, height });
    if (!pixels) return;
    const image = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
      image.data[4 * i + 3] = 255;
    }
    input.getContext("2d").putImageData(image, 0, 0);
  }

  return { show, showMessage };
}

function addRow(name) {
  const row = document.getElementById("bars").insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const bar = document.createElement("span");
  bar.className = "bar";
  const number = document.createElement("td");
  row.append(head, row.insertCell(), number);
  row.cells[1].append(bar);
  fill({ row, bar, number }, null, false);
  return { row, bar, number };
}

function fill({ row, bar, number }, probability, best) {
  row.classList.toggle("best", best);
  bar.style.transform = `scaleX(${probability ?? 0})`;
  number.textContent = probability === null ? "" : percent(probability);
}
