/* Turn a picture of a handwritten digit into a 28×28 image like those of MNIST: a port of the Python
 * modules in this directory, function by function, where the constants and the methods are
 * explained. tests/preprocessing/vectors.json checks that both give the same results.
 *
 * KilonetPictures.prepare(rgba, width, height) takes the bytes of an ImageData and returns
 * { image: Uint8Array(784) } or { error: "blank" | "noise" | "too-small" | "several", count }.
 * KilonetPictures.split(rgba, width, height) returns { images: [Uint8Array(784), …] } or { error }.
 */
"use strict";

const KilonetPictures = (() => {
  class PictureError extends Error {
    constructor(kind, count) {
      super(kind);
      this.kind = kind;
      this.count = count;
    }
  }

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const median = (values) => (values.length ? values.sort()[values.length >> 1] : 0);

  // A plane is an image: { height, width, data }, row by row.
  const plane = (height, width, data) => ({ height, width, data: data || new Float64Array(height * width) });

  // ---- decode.py ----

  const UNIFORM_RANGE = 64;

  function flattenAlpha(rgba, width, height) {
    const grey = plane(height, width, new Uint8Array(width * height));
    const visible = [];
    let opaque = true;
    for (let i = 0; i < grey.data.length; i++) {
      const [r, g, b, a] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2], rgba[4 * i + 3]];
      grey.data[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >>> 16;
      if (a >= 128) visible.push(grey.data[i]);
      if (a < 255) opaque = false;
    }
    if (opaque) return grey;
    const fill = fillFor(Uint8Array.from(visible).sort());
    for (let i = 0; i < grey.data.length; i++) {
      const a = rgba[4 * i + 3];
      grey.data[i] = Math.floor((grey.data[i] * a + fill * (255 - a) + 127) / 255);
    }
    return grey;
  }

  function fillFor(visible) {
    if (!visible.length) return 255;
    const [low, middle, high] = [1, 10, 19].map((part) => visible[Math.floor((visible.length * part) / 20)]);
    if (high - low > UNIFORM_RANGE) return middle;
    return middle < 128 ? 255 : 0;
  }

  // ---- background.py ----

  const EVEN_PAPER = [[0.25, 0.25], [3.0, 0.6]];
  const NEAR_LEVEL = 15.0;
  const WINDOW = 0.2;
  const MAD_TO_STD = 1.4826;
  const MAX_PAPER_NOISE = 20.0;
  const MAX_NOISE_RATIO = 3.0;
  const MAX_OUTER_RATIO = 2.0;
  const P90_TO_STD = 1.645;
  const THRESHOLD_STD = 4.5;
  const MIN_THRESHOLD = 5.0;

  const foreground = (values, noise) => ({ values, noise, threshold: Math.max(THRESHOLD_STD * noise, MIN_THRESHOLD) });
  const snrOf = (ink) => contrastOf(ink) / Math.max(ink.noise, 1);
  const positive = (image) => plane(image.height, image.width, image.data.map((value) => Math.max(value, 0)));
  const negative = (image) => plane(image.height, image.width, image.data.map((value) => -value));

  function contrastOf({ values, threshold }) {
    const above = values.data.filter((value) => value > threshold);
    return above.length ? weightedMean(above) : 0;
  }

  function subtractBackground(grey) {
    let border = borderOf(grey).sort();
    if (border[border.length - 1] - border[0] > NEAR_LEVEL) {
      grey = removeRuledLines(grey);
      border = borderOf(grey).sort();
    }
    const { level, even } = paperLevel(border);
    if (even) return subtractLevel(grey, level);
    const found = topHat(grey);
    return found.noise < Math.max(MAX_PAPER_NOISE, MAX_NOISE_RATIO * pixelNoise(grey)) ? found : subtractLevel(grey, level);
  }

  function subtractLevel(grey, level) {
    const difference = plane(grey.height, grey.width, grey.data.map((value) => value - level));
    const near = difference.data.map(Math.abs).filter((value) => value <= NEAR_LEVEL).sort();
    const ninth = near[Math.floor((near.length * 9) / 10)];
    let noise = MAD_TO_STD * near[near.length >> 1];
    const outer = ninth / P90_TO_STD;
    if (outer > noise) noise = Math.max(noise, Math.min(outer, MAX_OUTER_RATIO * pixelNoise(grey)));
    const { threshold } = foreground(difference, noise);
    let [brighter, darker] = [0, 0];
    for (const value of difference.data) {
      brighter += Math.max(value - threshold, 0);
      darker += Math.max(-value - threshold, 0);
    }
    return foreground(positive(brighter > darker ? difference : negative(difference)), noise);
  }

  function paperLevel(edge) {
    let level = 0;
    for (const [width, share] of EVEN_PAPER) {
      let [first, most] = [0, 0];
      for (let i = 0, end = 0; i < edge.length; i++) {
        while (end < edge.length && edge[end] <= edge[i] + 2 * width) end++;
        if (end - i > most) [first, most] = [i, end - i];
      }
      level = edge[first + (most >> 1)];
      const near = edge.filter((value) => Math.abs(value - level) <= NEAR_LEVEL).length;
      if (most >= share * edge.length && most >= near / 2) return { level, even: true };
    }
    return { level, even: false };
  }

  function pixelNoise({ height, width, data }) {
    const steps = new Float64Array(height * (width - 1));
    steps.forEach((_, i) => {
      const at = i + Math.floor(i / (width - 1));
      steps[i] = Math.abs(data[at + 1] - data[at]);
    });
    return (MAD_TO_STD * median(steps)) / Math.SQRT2;
  }

  function borderOf({ height, width, data }) {
    const edge = [];
    for (let x = 0; x < width; x++) edge.push(data[x], data[(height - 1) * width + x]);
    for (let y = 0; y < height; y++) edge.push(data[y * width], data[(y + 1) * width - 1]);
    return Float64Array.from(edge);
  }

  function topHat(grey) {
    const reach = Math.ceil(WINDOW * Math.max(grey.height, grey.width));
    const mean = boxMean(grey, reach);
    const dark = grey.data.reduce((sum, value, i) => sum + (value - mean.data[i]) ** 3, 0) < 0;
    const ink = dark ? negative(grey) : grey;
    let paper = negative(padded(mean3x3(ink), 2 * reach));
    paper = negative(runningMax(runningMax(paper, reach, false), reach, true));
    paper = runningMax(runningMax(paper, reach, false), reach, true);
    const difference = plane(grey.height, grey.width, ink.data.map((value, i) => value - paper.data[i]));
    const middle = median(difference.data.slice());
    difference.data.forEach((value, i) => (difference.data[i] = value - middle));
    const away = difference.data.map(Math.abs);
    const spread = MAD_TO_STD * median(away.slice());
    return foreground(positive(difference), MAD_TO_STD * median(away.filter((value) => value <= 3 * spread)));
  }

  function padded({ height, width, data }, by) {
    const larger = plane(height + 2 * by, width + 2 * by);
    for (let y = 0; y < larger.height; y++) {
      for (let x = 0; x < larger.width; x++) {
        const [v, u] = [clamp(y - by, 0, height - 1), clamp(x - by, 0, width - 1)];
        larger.data[y * larger.width + x] = data[v * width + u];
      }
    }
    return larger;
  }

  const mean3x3 = (grey) => boxMean(grey, 1);

  function boxMean(grey, reach) {
    const across = sums(padded(grey, reach), reach, false);
    const square = sums(across, reach, true);
    square.data.forEach((sum, i) => (square.data[i] = sum / (2 * reach + 1) ** 2));
    return square;
  }

  // The sums of each 2·reach + 1 pixels of a row or, if `down`, of a column; the result is smaller.
  function sums({ height, width, data }, reach, down) {
    const result = plane(height - (down ? 2 * reach : 0), width - (down ? 0 : 2 * reach));
    const step = down ? width : 1;
    for (let y = 0; y < result.height; y++) {
      for (let x = 0; x < result.width; x++) {
        let sum = 0;
        for (let k = 0, i = y * width + x; k <= 2 * reach; k++, i += step) sum += data[i];
        result.data[y * result.width + x] = sum;
      }
    }
    return result;
  }

  // The maxima of as many pixels: first of 1, 2, 4, … pixels, then of two spans that overlap.
  function runningMax(image, reach, down) {
    const length = 2 * reach + 1;
    let span = 1;
    for (; 2 * span <= length; span *= 2) image = pairMax(image, span, down);
    return pairMax(image, length - span, down);
  }

  function pairMax({ height, width, data }, by, down) {
    const result = plane(height - (down ? by : 0), width - (down ? 0 : by));
    const step = down ? by * width : by;
    for (let y = 0; y < result.height; y++) {
      for (let x = 0; x < result.width; x++) {
        const i = y * width + x;
        result.data[y * result.width + x] = data[i] > data[i + step] ? data[i] : data[i + step];
      }
    }
    return result;
  }

  // ---- background.py: uneven light ----

  const FIT_ROUNDS = 8;
  const INK_WEIGHT = 0.05;
  const PAPER_STD = 2.0;
  const RIDGE = 1e-6;
  const MAX_LIT_NOISE = 30.0;
  const MIN_LIT_SNR = 6.0;
  const MIN_LIT_CONTRAST = 16.0;
  const MIN_SHARPNESS = 0.12;

  function subtractUnevenLight(grey, minSnr) {
    if (pixelNoise(grey) > MAX_LIT_NOISE) return null;
    const [dark, bright] = [true, false].map((isDark) => subtractSurface(grey, isDark));
    const found = snrOf(bright) > snrOf(dark) ? bright : dark;
    const snr = snrOf(found);
    if (snr < MIN_LIT_SNR || snr <= minSnr || contrastOf(found) < MIN_LIT_CONTRAST) return null;
    return sharpness(found) >= MIN_SHARPNESS ? found : null;
  }

  function subtractSurface(grey, dark) {
    const ink = dark ? grey : negative(grey);
    const [smooth, terms] = [mean3x3(ink).data, polynomialTerms(grey)];
    let [weights, above] = [smooth.map(() => 1), smooth];
    for (let round = 0; round < FIT_ROUNDS; round++) {
      const surface = leastSquares(terms, smooth, weights);
      above = smooth.map((value, i) => value - surface[i]);
      weights = above.map((value) => (value < 0 ? INK_WEIGHT : 1));
    }
    const threshold = -PAPER_STD * median(above.filter((value) => value >= 0));
    const paper = leastSquares(terms, smooth, above.map((value) => Number(value >= threshold)));
    const difference = plane(grey.height, grey.width, ink.data.map((value, i) => paper[i] - value));
    const noise = MAD_TO_STD * median(negative(difference).data.filter((value) => value >= 0));
    return foreground(positive(difference), Math.max(noise, pixelNoise(grey)));
  }

  function sharpness({ values, noise }) {
    const smooth = foreground(mean3x3(values), noise / 3);
    const contrast = contrastOf(smooth);
    const threshold = Math.max(smooth.threshold, contrast / 2);
    let [sum, count] = [0, 0];
    for (const { height, width, data } of [smooth.values, transposed(smooth.values)]) {
      for (let i = 0; i < height * width; i++) {
        if (i % width === width - 1 || data[i] > threshold === data[i + 1] > threshold) continue;
        sum += Math.abs(data[i + 1] - data[i]);
        count += 1;
      }
    }
    return count ? sum / count / contrast : 0;
  }

  // The terms of a polynomial of degree 2 at the centre of each pixel.
  function polynomialTerms({ height, width, data }) {
    return Array.from(data, (_, i) => {
      const x = (2 * (i % width) + 1) / width - 1;
      const y = (2 * Math.floor(i / width) + 1) / height - 1;
      return [1, x, y, x * x, x * y, y * y];
    });
  }

  function leastSquares(terms, values, weights) {
    const count = terms[0].length;
    const rows = Array.from({ length: count }, () => new Float64Array(count + 1));
    terms.forEach((term, i) => {
      for (let a = 0; a < count; a++) {
        for (let b = 0; b < count; b++) rows[a][b] += weights[i] * term[a] * term[b];
        rows[a][count] += weights[i] * term[a] * values[i];
      }
    });
    rows.forEach((row, a) => (row[a] += RIDGE * terms.length));
    const factors = solve(rows);
    return values.map((_, i) => terms[i].reduce((sum, term, a) => sum + term * factors[a], 0));
  }

  // Solve linear equations by elimination, in place; each row ends in its right-hand side. The
  // matrix is positive definite, so rows need not be exchanged.
  function solve(rows) {
    rows.forEach((row, a) => {
      for (const other of rows) {
        if (other === row) continue;
        const times = other[a] / row[a];
        for (let b = a; b < other.length; b++) other[b] -= times * row[b];
      }
    });
    return rows.map((row, a) => row[rows.length] / row[a]);
  }

  // ---- lines.py ----

  const NEIGHBOUR = 0.03;
  const MIN_NEIGHBOUR = 2;
  const LINE_SHARE = 0.65;
  const ROW_END = 0.12;
  const MIN_LINE = 3.0;
  const FRAME_SHARE = 0.96;
  const FRAME_WIDTH = 0.05;
  const MIN_FRAME = 30.0;
  const MAX_REMAINDER = 75.0;
  const MIN_LONGER_SIDE = 18;
  const MIN_SHORTER_SIDE = 8;

  const tooSmallForLines = ({ height, width }) =>
    Math.max(height, width) < MIN_LONGER_SIDE || Math.min(height, width) < MIN_SHORTER_SIDE;
  const rowOf = ({ width, data }, y) => data.slice(y * width, (y + 1) * width);
  const rowsOf = (image) => Array.from({ length: image.height }, (_, y) => rowOf(image, y));

  function transposed({ height, width, data }) {
    const result = plane(width, height);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) result.data[x * height + y] = data[y * width + x];
    return result;
  }

  const removeRuledLines = (grey) => (tooSmallForLines(grey) ? grey : transposed(removeRows(transposed(removeRows(grey)))));

  function removeRows(grey) {
    const reach = Math.max(MIN_NEIGHBOUR, Math.ceil(NEIGHBOUR * grey.height));
    const rows = rowsOf(grey);
    const at = (y) => rows[clamp(y, 0, grey.height - 1)];
    const result = plane(grey.height, grey.width);
    const mean = (row) => row.reduce((sum, value) => sum + value, 0) / row.length;
    const end = Math.ceil(ROW_END * grey.width);
    const means = [rows, rows.map((row) => row.slice(0, end)), rows.map((row) => row.slice(-end))].map((part) => part.map(mean));
    const differs = means.map((all) => (y) => {
      const [before, behind] = [Math.max(y - reach, 0), Math.min(y + reach, grey.height - 1)];
      return Math.abs(2 * all[y] - all[before] - all[behind]) >= MIN_LINE;
    });
    result.data.set(grey.data);
    rows.forEach((row, y) => {
      if (!differs[0](y) || !(differs[1](y) || differs[2](y))) return;
      const above = row.map((value, x) => value - at(y - reach)[x]);
      const below = row.map((value, x) => value - at(y + reach)[x]);
      const strength = lineStrength(above, below);
      result.data.set(row.map((value) => value - strength), y * grey.width);
    });
    return result;
  }

  // How much a row is a ruled line: 0 if it is none.
  function lineStrength(above, below) {
    const strength = median(above.map((value, x) => (value + below[x]) / 2));
    const sign = strength < 0 ? -1 : 1;
    const clear = above.map((value, x) => Math.min(sign * value, sign * below[x]) > Math.abs(strength) / 2);
    const end = Math.ceil(ROW_END * clear.length);
    const [along, first, last] = [clear, clear.slice(0, end), clear.slice(-end)].map(
      (part) => part.reduce((sum, value) => sum + value, 0) / part.length >= LINE_SHARE,
    );
    return along && (first || last) && Math.abs(strength) >= MIN_LINE ? strength : 0;
  }

  function insideFrame(grey) {
    if (tooSmallForLines(grey) || !cornersDiffer(grey)) return null;
    const [[y0, bottom], [x0, right]] = [frameRows(grey), frameRows(transposed(grey))];
    if (!(y0 || bottom || x0 || right)) return null;
    const inside = { x0, y0, x1: grey.width - right, y1: grey.height - bottom };
    return bordersAlike(crop(grey, inside, 1, 0)) ? inside : null;
  }

  function cornersDiffer({ height, width, data }) {
    const [down, across] = [height, width].map((length) => Math.ceil(FRAME_WIDTH * length));
    const corners = (v, u) => [v, height - 1 - v].flatMap((y) => [u, width - 1 - u].map((x) => data[y * width + x]));
    const level = Float64Array.from(corners(down, across)).sort()[2];
    return Float64Array.from(corners(0, 0), (value) => Math.abs(value - level)).sort()[2] >= MIN_FRAME / 2;
  }

  function bordersAlike(grey) {
    const around = [grey, transposed(grey)].flatMap((image) => [rowOf(image, 0), rowOf(image, image.height - 1)]);
    const level = median(Float64Array.from(around.flatMap((side) => [...side])));
    return around.every((side) => commonDifference(side.map((value) => value - level)) < MAX_REMAINDER);
  }

  // How much almost all of a row differs from 0 in one direction.
  function commonDifference(row) {
    const few = Math.floor(((1 - FRAME_SHARE) / 2) * row.length);
    const ordered = row.slice().sort();
    return Math.max(ordered[few], -ordered[row.length - 1 - few], 0);
  }

  function frameRows(grey) {
    const reach = Math.max(1, Math.ceil(FRAME_WIDTH * grey.height));
    const rows = rowsOf(grey);
    const outer = [rows.slice(0, reach + 1), rows.slice(-reach - 1).reverse()];
    const threshold = (MIN_FRAME / 2) * grey.width;
    const total = (row) => row.reduce((sum, value) => sum + value, 0);
    const steps = outer.map((some) => Math.abs(total(some[0]) - total(some[reach])));
    const level = median(Float64Array.from(outer.flatMap((some) => [...some[reach]])));
    return outer.map((some, i) => (steps[i] > threshold ? countFrameRows(some.map((row) => row.map((value) => value - level))) : 0));
  }

  function countFrameRows(rows) {
    const differ = rows.map(commonDifference);
    return differ[0] < MIN_FRAME ? 0 : differ.findIndex((value) => value <= differ[0] / 2) + 1;
  }

  // ---- components.py ----

  function connectedComponents(values, threshold) {
    const { height, width, data } = values;
    const owner = new Int32Array(height * width).fill(-1);
    const components = [];
    for (let start = 0; start < data.length; start++) {
      if (data[start] > threshold && owner[start] < 0) components.push(flood(start, components.length));
    }
    return { components, owner, height, width };

    function flood(start, number) {
      const component = { number, area: 0, runs: 0, border: 0, weight: 0, x0: width, y0: height, x1: 0, y1: 0 };
      const waiting = [start];
      owner[start] = number;
      while (waiting.length) {
        const i = waiting.pop();
        const x = i % width;
        const y = (i - x) / width;
        component.area += 1;
        component.weight += data[i] * data[i];
        if (x === 0 || !(data[i - 1] > threshold)) component.runs += 1;
        component.border += y === 0 || y === height - 1 ? 1 : (x === 0) + (x === width - 1);
        Object.assign(component, around(component, { x0: x, y0: y, x1: x + 1, y1: y + 1 }));
        for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
          for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
            if (data[v * width + u] > threshold && owner[v * width + u] < 0) {
              owner[v * width + u] = number;
              waiting.push(v * width + u);
            }
          }
        }
      }
      return component;
    }
  }

  function around(a, b) {
    return {
      x0: Math.min(a.x0, b.x0),
      y0: Math.min(a.y0, b.y0),
      x1: Math.max(a.x1, b.x1),
      y1: Math.max(a.y1, b.y1),
    };
  }

  const widthOf = (box) => box.x1 - box.x0;
  const heightOf = (box) => box.y1 - box.y0;
  const sideOf = (box) => Math.max(widthOf(box), heightOf(box));

  // ---- components.py: digits ----

  const MIN_AREA = 0.04;
  const MIN_SIDE = 0.08;
  const MAX_COMPONENTS = 64;
  const BORDER_SHARE = 0.1;
  const BORDER_WEIGHT = 0.25;
  const BORDER_AREA = 0.25;
  const MIN_OVERLAP = 0.3;
  const TALL = 0.5;
  const TALL_GAP = 0.1;
  const STROKE_GAP = 0.35;
  const MIN_WEIGHT = 0.12;

  function groupDigits({ components, height, width }) {
    const liesOnBorder = (component) => component.border >= BORDER_SHARE * 2 * (height + width);
    const mainScore = (component) => component.weight * (liesOnBorder(component) ? BORDER_WEIGHT : 1);
    const main = components.reduce((best, component) => (mainScore(component) > mainScore(best) ? component : best));
    const isSpeck = (component) => {
      if (component.area < MIN_AREA * main.area || sideOf(component) < MIN_SIDE * sideOf(main)) return true;
      if (!component.border || main.border) return false;
      return component.area < BORDER_AREA * main.area || liesOnBorder(component);
    };
    const kept = components.filter((component) => component === main || !isSpeck(component));
    kept.sort((a, b) => b.weight - a.weight || a.number - b.number);
    const digits = merge(kept.slice(0, MAX_COMPONENTS).map((component) => ({ ...component, components: [component] })));
    const centre = digits.find((digit) => digit.components.includes(main));
    const isDigit = (digit) =>
      heightOf(digit) >= TALL * heightOf(centre) && digit.weight >= MIN_WEIGHT * centre.weight;
    const found = digits.filter((digit) => digit === centre || isDigit(digit));
    return found.sort((a, b) => a.x0 + a.x1 - b.x0 - b.x1);
  }

  function merge(digits) {
    for (let i = 0; i < digits.length; i++) {
      for (let j = 0; j < i; j++) {
        if (!belongTogether(digits[i], digits[j])) continue;
        const [a, b] = [digits[i], digits[j]];
        const rest = digits.filter((digit) => digit !== a && digit !== b);
        const joined = { components: [...a.components, ...b.components], weight: a.weight + b.weight, ...around(a, b) };
        return merge([...rest, joined]);
      }
    }
    return digits;
  }

  function belongTogether(a, b) {
    const across = Math.max(a.x0, b.x0) - Math.min(a.x1, b.x1);
    const down = Math.max(a.y0, b.y0) - Math.min(a.y1, b.y1);
    const side = Math.max(sideOf(a), sideOf(b));
    if (-across >= MIN_OVERLAP * Math.min(widthOf(a), widthOf(b))) return down <= STROKE_GAP * side;
    const [low, high] = [Math.min(heightOf(a), heightOf(b)), Math.max(heightOf(a), heightOf(b))];
    return across <= (low >= TALL * high ? TALL_GAP : STROKE_GAP) * side && down <= STROKE_GAP * side;
  }

  // ---- segment.py ----

  const WORKING_SIDE = 112;
  const FINE_SIDE = 40;
  const MARGIN = 0.35;
  const MIN_INK_SIDE = 6;
  const CLEAR = 14.0;
  const MAX_SMOOTH_NOISE = 0.75;
  const STRONG_NOISE = 8.0;
  const INK_SHARE = 0.4;
  const MIN_SIDE_IN_NOISE = 9;
  const MAX_NOISE = 70.0;
  const MAX_RUNS = 6;
  const MAX_STROKES = 12;
  const MIN_DIGIT_SHARE = 0.3;
  const SHEET_SIDE = 0.5;
  const MIN_SHEET_SIDE = 20;
  const SHEET_BORDER = 0.8;
  const MAX_FIELD_AREA = 0.4;
  const MAX_EMPTY_AREA = 0.2;
  const SHEET_INSET = 0.03;
  const FIELD_INSET = 0.05;

  function findDigits(grey) {
    if (Math.max(grey.height, grey.width) < MIN_INK_SIDE) throw new PictureError("too-small");
    return find(grey, { whole: true });
  }

  function find(grey, { whole = false, nested = false, near = null } = {}) {
    const step = Math.max(1, Math.ceil(Math.sqrt(grey.height * grey.width) / WORKING_SIDE));
    const small = downscale(grey, step);
    const inside = whole ? insideFrame(small) : null;
    if (inside) return find(crop(grey, inside, step, 0));
    const { values, threshold, labels, noisy } = findInk(small);
    for (const [component, margin] of nested ? [] : paperSheets(values, threshold, labels)) {
      try {
        return find(crop(grey, component, step, -margin), { nested: true });
      } catch (error) {
        const empty = margin === FIELD_INSET && component.area <= MAX_EMPTY_AREA * widthOf(component) * heightOf(component);
        if (empty || !(error instanceof PictureError)) throw error;
      }
    }
    let digits = groupDigits(labels);
    const side = Math.max(...digits.map(sideOf));
    if (noisy && side < MIN_SIDE_IN_NOISE) throw new PictureError("noise");
    if (side * step < MIN_INK_SIDE) throw new PictureError("too-small");
    checkStrokes(digits, labels.components);
    if (near !== null) {
      const away = (digit) => Math.abs(((digit.x0 + digit.x1) * step) / 2 - near);
      digits = [digits.reduce((best, digit) => (away(digit) < away(best) ? digit : best))];
    }
    return digits.map((digit) => extract(grey, digit, step, values, labels));
  }

  function findInk(grey) {
    let found = subtractBackground(grey);
    let { noise } = found;
    let contrast = contrastOf(found);
    if (noise <= MAX_NOISE && contrast < CLEAR * noise) {
      const smooth = subtractBackground(mean3x3(grey));
      if (!contrast || smooth.noise < MAX_SMOOTH_NOISE * noise) [found, contrast] = [smooth, contrastOf(smooth)];
    }
    const lit = noise > STRONG_NOISE ? subtractUnevenLight(grey, snrOf(found)) : null;
    if (lit) [found, contrast, noise] = [lit, contrastOf(lit), lit.noise];
    if (!contrast) throw new PictureError(noise > STRONG_NOISE ? "noise" : "blank");
    const threshold = Math.max(found.threshold, INK_SHARE * contrast);
    return { ...found, labels: connectedComponents(found.values, threshold), noisy: noise > STRONG_NOISE };
  }

  function weightedMean(values) {
    let [squares, sum] = [0, 0];
    for (const value of values) {
      squares += value * value;
      sum += value;
    }
    return squares / sum;
  }

  function checkStrokes(digits, components) {
    const total = (list) => list.reduce((sum, component) => sum + component.weight, 0);
    const runs = (digit) => digit.components.reduce((sum, component) => sum + component.runs, 0) / heightOf(digit);
    const speck = MIN_SIDE * Math.max(...digits.flatMap((digit) => digit.components.map(sideOf)));
    const scattered = total(digits) < MIN_DIGIT_SHARE * total(components.filter((component) => sideOf(component) >= speck));
    const fragmented = digits.some((digit) => runs(digit) > MAX_RUNS || digit.components.length > MAX_STROKES);
    if (scattered || fragmented) throw new PictureError("noise");
  }

  function paperSheets(values, threshold, labels) {
    const broad = labels.components.filter(
      (component) =>
        widthOf(component) >= Math.max(SHEET_SIDE * labels.width, MIN_SHEET_SIDE) &&
        heightOf(component) >= Math.max(SHEET_SIDE * labels.height, MIN_SHEET_SIDE) &&
        longestRun(component, labels) >= SHEET_BORDER * widthOf(component),
    );
    const margins = broad.map((component) => [component, isSheet(component, labels) ? SHEET_INSET : isField(component, values, threshold) ? FIELD_INSET : 0]);
    return margins.filter(([, margin]) => margin);
  }

  function longestRun({ number, x0, y0, x1, y1 }, { owner, width }) {
    let longest = 0;
    for (let y = y0; y < y1; y++) {
      for (let x = x0, run = 0; x < x1; x++) {
        run = owner[y * width + x] === number ? run + 1 : 0;
        if (run > longest) longest = run;
      }
    }
    return longest;
  }

  function isSheet(component, { owner, width }) {
    const inside = Math.ceil(SHEET_INSET * sideOf(component));
    const [top, left] = [component.y0 + inside, component.x0 + inside];
    const sheet = plane(component.y1 - inside - top, component.x1 - inside - left);
    sheet.data.forEach((_, i) => {
      const x = i % sheet.width;
      sheet.data[i] = owner[(top + (i - x) / sheet.width) * width + left + x] === component.number;
    });
    const edge = borderOf(sheet);
    return edge.reduce((sum, value) => sum + value, 0) >= SHEET_BORDER * edge.length;
  }

  function isField(component, values, threshold) {
    if (component.area > MAX_FIELD_AREA * widthOf(component) * heightOf(component)) return false;
    const line = Math.ceil(SHEET_INSET * sideOf(component));
    const [y0, x0] = [component.y0, component.x0].map((edge) => Math.max(edge - 1, 0));
    const box = { x0, y0, x1: component.x1 + 1, y1: component.y1 + 1 };
    const rows = [crop(values, box, 1, 0)].flatMap((image) => [image, transposed(image)]).map(rowsOf);
    const covered = (edge) => edge[0].reduce((sum, _, x) => sum + edge.some((row) => row[x] > threshold), 0) / edge[0].length;
    return rows.every((all) => [all.slice(0, line + 1), all.slice(-line - 1)].every((edge) => covered(edge) >= SHEET_BORDER));
  }

  function extract(grey, digit, step, values, { owner, height, width }) {
    if (step > 1 && sideOf(digit) < FINE_SIDE) {
      const closer = crop(grey, digit, step, MARGIN);
      if (closer.data.length < grey.data.length / 2) {
        const left = Math.max(digit.x0 - Math.floor(MARGIN * sideOf(digit)), 0);
        return find(closer, { nested: true, near: ((digit.x0 + digit.x1) / 2 - left) * step })[0];
      }
    }
    const own = new Set(digit.components.map((component) => component.number));
    const [top, left] = [Math.max(digit.y0 - 1, 0), Math.max(digit.x0 - 1, 0)];
    const [bottom, right] = [Math.min(digit.y1 + 1, height), Math.min(digit.x1 + 1, width)];
    const ink = plane(bottom - top, right - left);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        if (nextTo(x, y)) ink.data[(y - top) * ink.width + x - left] = values.data[y * width + x];
      }
    }
    return { values: ink, full: weightedMean(ink.data) };

    function nextTo(x, y) {
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          if (own.has(owner[v * width + u])) return true;
        }
      }
      return false;
    }
  }

  function crop(grey, digit, step, margin) {
    const more = Math.floor(margin * sideOf(digit));
    const [top, left] = [digit.y0, digit.x0].map((edge) => Math.max(edge - more, 0) * step);
    const bottom = Math.min((digit.y1 + more) * step, grey.height);
    const right = Math.min((digit.x1 + more) * step, grey.width);
    const crop = plane(bottom - top, right - left, new grey.data.constructor((bottom - top) * (right - left)));
    for (let y = top; y < bottom; y++) {
      crop.data.set(grey.data.subarray(y * grey.width + left, y * grey.width + right), (y - top) * crop.width);
    }
    return crop;
  }

  function downscale(grey, step) {
    const small = plane(Math.ceil(grey.height / step), Math.ceil(grey.width / step));
    for (let y = 0; y < small.height * step; y++) {
      const row = Math.min(y, grey.height - 1) * grey.width;
      for (let x = 0; x < small.width * step; x++) {
        const value = grey.data[row + Math.min(x, grey.width - 1)];
        small.data[Math.floor(y / step) * small.width + Math.floor(x / step)] += value;
      }
    }
    small.data.forEach((sum, i) => (small.data[i] = sum / (step * step)));
    return small;
  }

  // ---- prepare.py: 28×28 ----

  const SIDE = 28;
  const BOX = 20;
  const CANVAS = 80;
  const INK_BLACK = 0.35;
  const INK_WHITE = 0.9;
  const MIN_STROKE = 2.0;
  const MAX_STROKE = 4.0;
  const PREPARED_BORDER = 8;
  const PREPARED_PEAK = 192;
  const PREPARED_SIDE = 16;
  const PREPARED_OFFSET = 1.0;

  function to28x28(ink) {
    const large = toCanvas(ink);
    if (!large.data.some((value) => value > 0)) throw new PictureError("noise");
    const digit = usualStrokeWidth(large);
    const [ys, xs] = [extent(rowSums(digit)), extent(columnSums(digit))];
    const side = Math.max(ys[1] - ys[0], xs[1] - xs[0]);
    const small = resize(digit, boxAround(ys, side), boxAround(xs, side));
    const pixels = small.data.map((value) => Math.floor(Math.min(value, 1) * 255 + 0.5));
    if (!pixels.some((value) => value > 0)) throw new PictureError("noise");
    return centreByMass(pixels);
  }

  function ifPrepared(grey) {
    if (grey.height !== SIDE || grey.width !== SIDE) return null;
    const edge = borderOf(grey).sort();
    const quarter = edge.length >> 2;
    const inverted = edge[3 * quarter] > PREPARED_BORDER;
    if (inverted && edge[quarter] < 255 - PREPARED_BORDER) return null;
    const bright = inverted ? grey.data.map((value) => 255 - value) : grey.data;
    if (Math.max(...bright) < PREPARED_PEAK) return null;
    const ink = plane(SIDE, SIDE, Float64Array.from(bright, (value) => (value > PREPARED_BORDER ? value : 0)));
    const sums = [rowSums(ink), columnSums(ink)];
    const peaks = [0, 1].map((axis) => Float64Array.from({ length: SIDE }, (_, i) => peak(ink, axis, i) / 255));
    const lengths = peaks.map(extent).map(([from, to]) => to - from);
    const offset = Math.max(...sums.map((sum) => Math.abs(centreOf(sum) - (SIDE + 1) / 2)));
    const longest = Math.max(...lengths);
    return longest >= PREPARED_SIDE && longest <= BOX && offset <= PREPARED_OFFSET ? Uint8Array.from(bright) : null;
  }

  function peak(image, axis, i) {
    let best = 0;
    for (let k = 0; k < SIDE; k++) best = Math.max(best, image.data[axis ? k * SIDE + i : i * SIDE + k]);
    return best;
  }

  function toCanvas({ values, full }) {
    const scale = Math.max(values.height, values.width) / CANVAS;
    const [rows, columns] = [Math.ceil(values.height / scale), Math.ceil(values.width / scale)];
    const large = resize(values, [0, rows * scale, rows], [0, columns * scale, columns]);
    large.data.forEach((value, i) => (large.data[i] = clamp((value / full - INK_BLACK) / (INK_WHITE - INK_BLACK), 0, 1)));
    return large;
  }

  function usualStrokeWidth(digit) {
    const side = Math.max(...[rowSums(digit), columnSums(digit)].map(extent).map(([low, high]) => high - low));
    const unit = side / BOX;
    const width = strokeWidth(digit) / unit;
    const wanted = clamp(width, MIN_STROKE, MAX_STROKE);
    const radius = (Math.abs(wanted - width) * unit) / 2;
    if (radius < 0.5) return digit;
    const opposite = ({ height, width, data }) => plane(height, width, data.map((value) => 1 - value));
    return wanted > width ? dilate(digit, radius) : opposite(dilate(opposite(digit), radius, 1));
  }

  function strokeWidth({ height, width, data }) {
    const at = (y, x) => (y < 0 || x < 0 || y >= height || x >= width ? 0 : data[y * width + x]);
    let [steps, area] = [0, 0];
    for (let y = 0; y <= height; y++) {
      for (let x = 0; x <= width; x++) {
        const value = at(y, x);
        steps += Math.abs(value - at(y - 1, x)) + Math.abs(value - at(y, x - 1));
        area += value;
      }
    }
    return (2 * area) / ((steps * Math.PI) / 4);
  }

  function dilate({ height, width, data }, radius, outside = 0) {
    const reach = Math.floor(radius);
    const at = (y, x) => (y < 0 || x < 0 || y >= height || x >= width ? outside : data[y * width + x]);
    const larger = plane(height + 2 * reach, width + 2 * reach);
    for (let down = -reach; down <= reach; down++) {
      for (let right = -reach; right <= reach; right++) {
        if (down * down + right * right > radius * radius) continue;
        for (let y = 0; y < larger.height; y++) {
          for (let x = 0; x < larger.width; x++) {
            const value = at(y + down - reach, x + right - reach);
            const i = y * larger.width + x;
            if (value > larger.data[i]) larger.data[i] = value;
          }
        }
      }
    }
    return larger;
  }

  const rowSums = ({ height, width, data }) =>
    Float64Array.from({ length: height }, (_, y) => data.subarray(y * width, (y + 1) * width).reduce((a, b) => a + b, 0));

  function columnSums({ height, width, data }) {
    const sums = new Float64Array(width);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) sums[x] += data[y * width + x];
    return sums;
  }

  function extent(profile) {
    const inked = [...profile.keys()].filter((i) => profile[i] >= 0.5);
    return inked.length ? [inked[0], inked[inked.length - 1] + 1] : [0, profile.length];
  }

  function boxAround([low, high], side) {
    const middle = (low + high) / 2;
    return [middle - side / 2, middle + side / 2, BOX];
  }

  function resize(values, down, across) {
    const rows = overlaps(values.height, ...down);
    const columns = overlaps(values.width, ...across);
    const half = plane(rows.length, values.width);
    rows.forEach((row, y) =>
      row.forEach(([from, share]) => {
        for (let x = 0; x < values.width; x++) half.data[y * half.width + x] += share * values.data[from * values.width + x];
      }),
    );
    const whole = plane(rows.length, columns.length);
    columns.forEach((column, x) =>
      column.forEach(([from, share]) => {
        for (let y = 0; y < whole.height; y++) whole.data[y * whole.width + x] += share * half.data[y * half.width + from];
      }),
    );
    return whole;
  }

  // For each of `count` pixels, the pixels of `length` that it covers, with their shares.
  function overlaps(length, low, high, count) {
    const step = (high - low) / count;
    const width = Math.max(1, step);
    return Array.from({ length: count }, (_, i) => {
      const middle = low + (i + 0.5) * step;
      const found = [];
      for (let pixel = Math.max(Math.floor(middle - width / 2), 0); pixel < Math.min(middle + width / 2, length); pixel++) {
        const overlap = Math.min(pixel + 1, middle + width / 2) - Math.max(pixel, middle - width / 2);
        if (overlap > 0) found.push([pixel, overlap / width]);
      }
      return found;
    });
  }

  function centreByMass(pixels) {
    const small = plane(BOX, BOX, pixels);
    const [top, left] = [rowSums(small), columnSums(small)].map(centreOf).map(offsetOf);
    const image = new Uint8Array(SIDE * SIDE);
    for (let y = 0; y < BOX; y++) image.set(pixels.subarray(y * BOX, (y + 1) * BOX), (top + y) * SIDE + left);
    return image;
  }

  function centreOf(profile) {
    let [moment, sum] = [0, 0];
    profile.forEach((value, i) => {
      moment += value * (i + 0.5);
      sum += value;
    });
    return moment / sum;
  }

  const offsetOf = (middle) => clamp(Math.ceil(SIDE / 2 - middle), 0, SIDE - BOX);

  // ---- prepare.py: prepare and split ----

  function images(rgba, width, height) {
    const grey = flattenAlpha(rgba, width, height);
    const prepared = ifPrepared(grey);
    return prepared ? [prepared] : findDigits(grey).map(to28x28);
  }

  function caught(work) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof PictureError)) throw error;
      return { error: error.kind, count: error.count };
    }
  }

  function split(rgba, width, height) {
    return caught(() => ({ images: images(rgba, width, height) }));
  }

  function prepare(rgba, width, height) {
    return caught(() => {
      const found = images(rgba, width, height);
      if (found.length > 1) throw new PictureError("several", found.length);
      return { image: found[0] };
    });
  }

  return { prepare, split };
})();
