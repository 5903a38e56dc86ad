/* What the network says: the likeliest class, a bar for each, and the pixels that it saw. */
"use strict";

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function createAnswer(network) {
  const digit = document.getElementById("digit");
  const words = document.getElementById("words");
  const time = document.getElementById("time");
  const spoken = document.getElementById("spoken");
  const seen = document.getElementById("seen");
  const rows = network.classes.map(addRow);

  // `aloud` is for the end of a stroke: while it is being drawn, a screen reader is left in peace.
  function show(reading, milliseconds, aloud) {
    const order = rows.map((_, i) => i).sort((a, b) => reading.probabilities[b] - reading.probabilities[a]);
    const [first, second] = order.map((i) => `${network.classes[i]}, ${percent(reading.probabilities[i])}`);
    digit.textContent = reading.name;
    digit.classList.toggle("word", reading.name.length > 2);
    words.textContent = `${percent(reading.confidence)}, then ${second}`;
    time.textContent = `prepared and read in ${milliseconds.toFixed(1)} ms`;
    rows.forEach((row, i) => fill(row, reading.probabilities[i], i === reading.label));
    showSeen(reading.pixels);
    if (aloud) spoken.textContent = `${first}; then ${second}.`;
  }

  function say(message, aloud) {
    digit.textContent = "";
    time.textContent = "";
    words.textContent = message;
    rows.forEach((row) => fill(row, null, false));
    showSeen(null);
    if (aloud) spoken.textContent = message;
  }

  function showSeen(pixels) {
    const [channels, height, width] = network.image;
    Object.assign(seen, { width, height });
    if (!pixels) return;
    const image = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
      image.data[4 * i + 3] = 255;
    }
    seen.getContext("2d").putImageData(image, 0, 0);
  }

  return { show, say };
}

function addRow(name) {
  const row = document.getElementById("bars").insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const bar = document.createElement("span");
  bar.className = "bar";
  const figure = document.createElement("td");
  row.append(head, row.insertCell(), figure);
  row.cells[1].append(bar);
  fill({ row, bar, figure }, null, false);
  return { row, bar, figure };
}

function fill({ row, bar, figure }, share, best) {
  row.classList.toggle("best", best);
  bar.style.transform = `scaleX(${share ?? 0})`;
  figure.textContent = share === null ? "" : percent(share);
}
