/* A network: the list of operators with weights, and one place in memory for each value.
 *
 * buildNetwork(description) returns { image: [C, H, W], classes, prepared, layers: [{ op, value }], run }.
 * run(pixels) takes C·H·W bytes, row by row, the channels of a pixel side by side; afterwards each
 * layer's value holds what it made of them, until the next run.
 */
"use strict";

function buildNetwork({ image, classes, prepared, operators, weights }) {
  const numbers = decodeFloats(weights);
  const values = new Map([["image", emptyValue(image)]]);
  const steps = [];
  const layers = operators.map((described) => {
    const op = withWeights(described, numbers);
    const sources = op.sources.map((name) => values.get(name));
    const value = emptyValue(op.shape);
    steps.push(KilonetOperators[op.kind](op, sources, value));
    values.set(op.output, value);
    return { op, value };
  });

  function run(pixels) {
    const { data } = values.get("image");
    if (pixels.length !== data.length) {
      throw new RangeError(`${pixels.length} pixel values; the network reads ${data.length}: ${image.join("×")}.`);
    }
    data.set(pixels);
    for (const step of steps) step();
    return { logits: values.get("logits").data, probabilities: values.get("probabilities").data };
  }

  return { image, classes, prepared, layers, run };
}

function emptyValue(shape) {
  return { shape, data: new Float32Array(shape.reduce((product, side) => product * side, 1)) };
}

// Weights are { at, length } in one array of all numbers.
function withWeights(described, numbers) {
  const op = { ...described };
  for (const [key, part] of Object.entries(op)) {
    if (part && Object.hasOwn(part, "at")) op[key] = numbers.subarray(part.at, part.at + part.length);
  }
  return op;
}

function decodeFloats(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer); // little-endian, as every machine that has browsers
}
