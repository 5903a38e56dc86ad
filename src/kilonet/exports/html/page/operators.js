/* The operators of kilonet.exports.graph.operators in JavaScript.
 *
 * A value is { shape, data }: (C, H, W) or (N,), and a Float32Array that stores a map row by row, with
 * the channels of a pixel side by side. Each entry of KilonetOperators takes an operator with its
 * weights, its input values and its output value, and returns a function that computes the output.
 * It allocates all arrays once: a prediction allocates none.
 */
"use strict";

const KilonetOperators = (() => {
  const lowest = (relu) => (relu ? 0 : -Infinity);
  const pixelsOf = ({ shape: [, height = 1, width = 1] }) => height * width;

  const inputScaling = ({ scale, offset }, [{ data: image }], { data, shape: [channels] }) => () => {
    for (let i = 0; i < data.length; i++) data[i] = image[i] * scale[i % channels] + offset[i % channels];
  };

  // ---- convolutions and matrices ----

  /* Computes four output channels at a time, with their weights side by side: each loaded value is used
   * four times, and the sums stay in registers. Inside the edges of the map, a row of the window is
   * contiguous in memory. */
  function conv2d(op, [input], output) {
    if (op.groups !== 1) return groupedConv2d(op, [input], output);
    const [channels, height, width] = input.shape;
    const [outputs, outHeight, outWidth] = output.shape;
    const { kernel: [kernelHeight, kernelWidth], stride: [down, across], padding: [padTop, padLeft] } = op;
    const weight = interleavedByFour(op.weight, outputs, channels, kernelHeight * kernelWidth);
    const bias = new Float32Array(4 * Math.ceil(outputs / 4));
    bias.set(op.bias);
    const taps = kernelHeight * kernelWidth * channels;
    const { data: from } = input;
    const { data: to } = output;
    const low = lowest(op.relu);

    return () => {
      for (let y = 0, at = 0; y < outHeight; y++) {
        const top = y * down - padTop;
        const firstRow = Math.max(0, -top);
        const endRow = Math.min(kernelHeight, height - top);
        for (let x = 0; x < outWidth; x++, at += outputs) {
          const left = x * across - padLeft;
          const first = Math.max(0, -left);
          const run = (Math.min(kernelWidth, width - left) - first) * channels;
          for (let o = 0; o < outputs; o += 4) {
            let [a, b, c, d] = [bias[o], bias[o + 1], bias[o + 2], bias[o + 3]];
            for (let row = firstRow; row < endRow; row++) {
              let i = ((top + row) * width + left + first) * channels;
              let w = o * taps + 4 * (row * kernelWidth + first) * channels;
              for (const end = i + run; i < end; i++, w += 4) {
                const value = from[i];
                a += value * weight[w];
                b += value * weight[w + 1];
                c += value * weight[w + 2];
                d += value * weight[w + 3];
              }
            }
            to[at + o] = a > low ? a : low;
            if (o + 1 < outputs) to[at + o + 1] = b > low ? b : low;
            if (o + 2 < outputs) to[at + o + 2] = c > low ? c : low;
            if (o + 3 < outputs) to[at + o + 3] = d > low ? d : low;
          }
        }
      }
    };
  }

  // (O, C, taps) as [O / 4][taps][C][4], with zeros for missing outputs.
  function interleavedByFour(weight, outputs, channels, taps) {
    const ordered = new Float32Array(4 * Math.ceil(outputs / 4) * channels * taps);
    weight.forEach((value, i) => {
      const tap = i % taps;
      const channel = Math.floor(i / taps) % channels;
      const o = Math.floor(i / taps / channels);
      ordered[((Math.floor(o / 4) * taps + tap) * channels + channel) * 4 + (o % 4)] = value;
    });
    return ordered;
  }

  function groupedConv2d(op, [input], output) {
    const [channels, height, width] = input.shape;
    const [outputs, outHeight, outWidth] = output.shape;
    const { weight, bias, kernel: [kernelHeight, kernelWidth], stride: [down, across] } = op;
    const [padTop, padLeft] = op.padding;
    const [each, outputsEach] = [channels / op.groups, outputs / op.groups];
    const taps = kernelHeight * kernelWidth;
    const low = lowest(op.relu);

    return () => {
      for (let y = 0, at = 0; y < outHeight; y++) {
        for (let x = 0; x < outWidth; x++) {
          for (let o = 0; o < outputs; o++, at++) {
            const sum = bias[o] + windowSum(o, y * down - padTop, x * across - padLeft);
            output.data[at] = sum > low ? sum : low;
          }
        }
      }
    };

    function windowSum(o, top, left) {
      const [firstRow, endRow] = [Math.max(0, -top), Math.min(kernelHeight, height - top)];
      const [first, end] = [Math.max(0, -left), Math.min(kernelWidth, width - left)];
      const group = Math.floor(o / outputsEach) * each;
      let sum = 0;
      for (let row = firstRow; row < endRow; row++) {
        for (let column = first; column < end; column++) {
          const i = ((top + row) * width + left + column) * channels + group;
          const w = o * each * taps + row * kernelWidth + column;
          for (let c = 0; c < each; c++) sum += input.data[i + c] * weight[w + c * taps];
        }
      }
      return sum;
    }
  }

  const linear = ({ weight, bias, relu }, [{ data: from }], { data: to }) => () => {
    const low = lowest(relu);
    for (let o = 0, w = 0; o < to.length; o++) {
      let sum = bias[o];
      for (let i = 0; i < from.length; i++, w++) sum += weight[w] * from[i];
      to[o] = sum > low ? sum : low;
    }
  };

  // ---- pooling ----

  function maxPool({ kernel, stride, padding: [padTop, padLeft] }, [input], output) {
    const [channels, height, width] = input.shape;
    const [, outHeight, outWidth] = output.shape;
    return () => {
      output.data.fill(-Infinity);
      for (let y = 0, at = 0; y < outHeight; y++) {
        const top = y * stride[0] - padTop;
        for (let x = 0; x < outWidth; x++, at += channels) {
          const left = x * stride[1] - padLeft;
          for (let v = Math.max(0, top); v < Math.min(top + kernel[0], height); v++) {
            for (let u = Math.max(0, left); u < Math.min(left + kernel[1], width); u++) {
              larger(at, (v * width + u) * channels);
            }
          }
        }
      }
    };

    function larger(at, i) {
      for (let c = 0; c < channels; c++) {
        if (input.data[i + c] > output.data[at + c]) output.data[at + c] = input.data[i + c];
      }
    }
  }

  function averagePool({ kernel, stride }, [input], output) {
    const [channels, , width] = input.shape;
    const [, outHeight, outWidth] = output.shape;
    const factor = 1 / (kernel[0] * kernel[1]);
    return () => {
      for (let y = 0, at = 0; y < outHeight; y++) {
        for (let x = 0; x < outWidth; x++) {
          for (let c = 0; c < channels; c++, at++) output.data[at] = factor * sum(y * stride[0], x * stride[1], c);
        }
      }
    };

    function sum(top, left, channel) {
      let total = 0;
      for (let v = top; v < top + kernel[0]; v++) {
        for (let u = left; u < left + kernel[1]; u++) total += input.data[(v * width + u) * channels + channel];
      }
      return total;
    }
  }

  const globalAveragePool = (op, [input], output) =>
    averagePool({ kernel: input.shape.slice(1), stride: [1, 1] }, [input], output);

  // ---- elementwise ----

  const sigmoidOf = (x) => 1 / (1 + Math.exp(-x));

  const pointwise = (rule) => (op, [{ data: from }], { data: to }) => () => {
    for (let i = 0; i < to.length; i++) to[i] = rule(from[i], op);
  };

  const add = ({ relu }, [{ data: left }, { data: right }], { data: to }) => () => {
    const low = lowest(relu);
    for (let i = 0; i < to.length; i++) to[i] = Math.max(left[i] + right[i], low);
  };

  // The second may have one number per channel: then it is as long as a pixel.
  const multiply = (op, [{ data: left }, { data: right }], { data: to }) => () => {
    for (let i = 0; i < to.length; i++) to[i] = left[i] * right[i % right.length];
  };

  function softmax(op, [{ data: from }], { data: to }) {
    return () => {
      let [largest, sum] = [-Infinity, 0];
      for (let i = 0; i < from.length; i++) largest = Math.max(largest, from[i]);
      for (let i = 0; i < from.length; i++) sum += to[i] = Math.exp(from[i] - largest);
      for (let i = 0; i < from.length; i++) to[i] /= sum;
    };
  }

  // ---- other shapes of the same values ----

  function concat(op, inputs, output) {
    const [channels] = output.shape;
    return () => {
      let before = 0;
      for (const input of inputs) {
        const [own] = input.shape;
        for (let i = 0; i < input.data.length; i++) {
          output.data[Math.floor(i / own) * channels + before + (i % own)] = input.data[i];
        }
        before += own;
      }
    };
  }

  // The operator orders values by channel; memory orders them by pixel.
  function view(op, [input], output) {
    const [from, to] = [positionsOf(input), positionsOf(output)];
    return () => {
      for (let i = 0; i < to.length; i++) output.data[to[i]] = input.data[from[i]];
    };
  }

  function positionsOf(value) {
    const [channels] = value.shape;
    const pixels = pixelsOf(value);
    return Int32Array.from({ length: channels * pixels }, (_, i) => (i % pixels) * channels + Math.floor(i / pixels));
  }

  return {
    InputScaling: inputScaling,
    Conv2d: conv2d,
    Linear: linear,
    MaxPool: maxPool,
    AvgPool: averagePool,
    GlobalAvgPool: globalAveragePool,
    ReLU: pointwise((x) => (x > 0 ? x : 0)),
    LeakyReLU: pointwise((x, { slope }) => (x < 0 ? slope * x : x)),
    SiLU: pointwise((x) => x * sigmoidOf(x)),
    Sigmoid: pointwise(sigmoidOf),
    Add: add,
    Mul: multiply,
    Concat: concat,
    Flatten: view,
    Reshape: view,
    Softmax: softmax,
  };
})();
