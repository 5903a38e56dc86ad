/* A network: the list of operators with weights, and one array for each value.
 *
 * buildNetwork(description) returns { image: [C, H, W], classes, prepared, layers: [{ op, value }], run }.
 * run(pixels) takes C·H·W bytes, row by row, the channels of a pixel side by side. Until the next run,
 * each layer's value holds its output.
 */
"use strict";

function buildNetwork({ image, classes, prepared, operators, weights }) {
  const numbers = decodeFloats(weights);
  const values = new Map([["image", emptyValue(image)]]);
  const steps = [];
  const layers = operators.map((description) => {
    const op = withWeights(description, numbers);
    const sources = op.sources.map((name) => values.get(name));
    const value = emptyValue(op.shape);
    steps.push(KilonetOperators[op.kind](op, sources, value));
    values.set(op.output, value);
    return { op, value };
  });

  function run(pixels) {
    const { data } = values.get("image");
    if (pixels.length !== data.length) {
      throw new RangeError(`${pixels.length} pixel values; the network takes ${data.length}: ${image.join("×")}.`);
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
function withWeights(description, numbers) {
  const op = { ...description };
  for (const [key, part] of Object.entries(op)) {
    if (part && Object.hasOwn(part, "at")) op[key] = numbers.subarray(part.at, part.at + part.length);
  }
  if (op.p4) op.weight = p4Filters(withWeights(op.p4, numbers), op.kernel[0]);
  return op;
}

/* Filters of a p4 convolution: of four filters (inputs × side × side) one is stored. Filter 4o + r is base
 * filter o, rotated by r quarter turns, times its factor. In a regular layer, whose inputs are groups of
 * four orientation channels too, the inputs of a group also shift by r. */
function p4Filters({ base, inputs, regular, factors }, side) {
  const area = side * side;
  const quarters = [Uint16Array.from({ length: area }, (_, i) => i)];
  const quarter = (from) => from.map((_, i) => from[(i % side) * side + side - 1 - Math.floor(i / side)]);
  while (quarters.length < 4) quarters.push(quarter(quarters.at(-1)));

  const weight = new Float32Array(4 * base.length);
  for (let at = 0, filter = 0; at < weight.length; filter++) {
    const [first, turn] = [(filter >> 2) * inputs, filter & 3];
    const factor = factors ? factors[filter] : 1;
    for (let i = 0; i < inputs; i++) {
      const input = regular ? (i & ~3) + ((i - turn) & 3) : i;
      for (const from of quarters[turn]) weight[at++] = factor * base[(first + input) * area + from];
    }
  }
  return weight;
}

function decodeFloats(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer); // little-endian, like every machine with a browser
}
