/* The output of each layer: its channels as small images, drawn while the section is open. */
"use strict";

function shapeText([channels, height, width]) {
  if (!height) return `${channels} values`;
  return `${height}×${width}, ${channels} channel${channels > 1 ? "s" : ""}`;
}

function operatorText({ kind, kernel, stride, groups, relu }) {
  const parts = [kind];
  if (kernel) parts.push(`${kernel[0]}×${kernel[1]}`);
  if (stride && stride.some((step) => step > 1)) parts.push(`stride ${stride.join("×")}`);
  if (groups > 1) parts.push(`${groups} groups`);
  return parts.join(" ") + (relu ? ", then ReLU" : "");
}

function createLayers(network) {
  const details = document.getElementById("layers");
  const shown = network.layers.filter(({ op }) => op.kind !== "Flatten" && op.kind !== "Reshape").map(addLayer);
  let filled = false;

  function draw(prediction) {
    filled = Boolean(prediction);
    if (!details.open) return;
    const colours = coloursOf(details);
    for (const layer of shown) filled ? drawLayer(layer, colours) : clearLayer(layer);
  }

  details.addEventListener("toggle", () => draw(filled));
  return { draw };
}

function addLayer({ op, value }) {
  const [channels, height = 1, width = 1] = value.shape;
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const name = document.createElement("strong");
  name.textContent = op.output;
  caption.append(name, ` ${operatorText(op)}: ${shapeText(value.shape)}`);
  const maps = document.createElement("div");
  maps.className = height * width > 1 ? "maps" : "values";
  maps.setAttribute("role", "img");
  const canvases = Array.from({ length: channels }, () => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    return canvas;
  });
  maps.append(...canvases);
  figure.append(caption, maps);
  document.getElementById("maps").append(figure);
  const layer = { name: op.output, value, maps, canvases, image: new ImageData(width, height) };
  clearLayer(layer);
  return layer;
}

function coloursOf(element) {
  const style = getComputedStyle(element);
  const parse = (name) => style.getPropertyValue(name).trim().split(" ").map(Number);
  return { positive: parse("--positive"), negative: parse("--negative") };
}

// Opacity is the distance from zero, relative to the largest in the layer.
function drawLayer({ name, value: { data }, maps, canvases, image }, { positive, negative }) {
  let [low, high] = [Infinity, -Infinity];
  for (const number of data) {
    low = Math.min(low, number);
    high = Math.max(high, number);
  }
  const largest = Math.max(-low, high) || 1;
  canvases.forEach((canvas, channel) => {
    for (let i = 0; i < image.width * image.height; i++) {
      const number = data[i * canvases.length + channel];
      image.data.set(number < 0 ? negative : positive, 4 * i);
      image.data[4 * i + 3] = (255 * Math.abs(number)) / largest;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  });
  maps.setAttribute("aria-label", `${name}: values from ${low.toPrecision(2)} to ${high.toPrecision(2)}`);
}

function clearLayer({ name, maps, canvases }) {
  for (const canvas of canvases) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  maps.setAttribute("aria-label", `${name}: no values yet`);
}
