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

  const foreground = (values, noise, minimum = MIN_THRESHOLD) => ({ values, noise, threshold: Math.max(THRESHOLD_STD * noise, minimum) });
  const snrOf = (ink) => contrastOf(ink) / Math.max(ink.noise, 1);
  const positive = (image) => plane(image.height, image.width, image.data.map((value) => Math.max(value, 0)));
  const negative = (image) => plane(image.height, image.width, image.data.map((value) => -value));

  function contrastOf({ values, threshold }) {
    const above = values.data.filter((value) => value > threshold);
    return above.length ? weightedMean(above) : 0;
  }

  function subtractBackground(grey) {
    const { level, even } = paperLevel(borderOf(grey).sort());
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
    paper = runningMax(runningMax(padded(paper, 1), 1, false), 1, true);
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

  // ---- background.py: pictures cut close to the digit ----

  const MIN_CLASS_DISTANCE = 3.0;
  const MIN_SEPARATION = 0.7;
  const CLASS_NOISE = 0.08;

  function subtractTwoClasses(grey) {
    const { height, width, data } = grey;
    const levels = Int32Array.from(data, (value) => Math.floor(value + 0.5));
    const counts = new Float64Array(256);
    levels.forEach((level) => (counts[level] += 1));
    const total = data.length;
    const mean = counts.reduce((sum, count, level) => sum + count * level, 0) / total;
    let best = { between: -1 };
    let [below, sum] = [0, 0];
    counts.forEach((count, level) => {
      [below, sum] = [below + count, sum + count * level];
      const between = (mean * below - sum) ** 2 / Math.max(below * (1 - below / total), 1e-9);
      if (between > best.between) best = { between, level, below, sum };
    });
    if (best.below === total) return null;
    const [low, high] = [best.sum / best.below, (mean * total - best.sum) / (total - best.below)];
    const variance = counts.reduce((all, count, level) => all + count * (level - mean) ** 2, 0);
    if (high - low < Math.max(MIN_LIT_CONTRAST, MIN_CLASS_DISTANCE * pixelNoise(grey))) return null;
    if (best.between < MIN_SEPARATION * variance) return null;
    const corners = [0, width - 1, (height - 1) * width, height * width - 1].filter((i) => levels[i] <= best.level);
    const bright = best.below / total + corners.length / 4 > 1;
    const values = plane(height, width, data.map((value) => Math.max(bright ? value - low : high - value, 0)));
    const found = foreground(values, CLASS_NOISE * (high - low));
    return sharpness(found) >= MIN_SHARPNESS ? found : null;
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

  function subtractUnevenLight(grey, minSnr, [lowest, highest] = [MIN_LIT_CONTRAST, 255]) {
    if (pixelNoise(grey) > MAX_LIT_NOISE) return null;
    const [dark, bright] = [true, false].map((isDark) => subtractSurface(grey, isDark));
    const found = snrOf(bright) > snrOf(dark) ? bright : dark;
    const snr = snrOf(found);
    const contrast = contrastOf(found);
    if (snr < MIN_LIT_SNR || snr <= minSnr || contrast < lowest || contrast > highest) return null;
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
    const smooth = foreground(mean3x3(values), noise / 3, MIN_THRESHOLD / 3);
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

  const REACH = 0.03;
  const MIN_REACH = 2;
  const STRIP = 8;
  const CLEAR_LINE = 12.0;
  const NOISE_SHARE = 0.9;
  const LINE_SHARE = 0.65;
  const LINE_END = 0.12;
  const MIN_LINE = 3.0;
  const MIN_VARIATION = 15.0;
  const PALE = 1.3;
  const PALE_ALONE = 2.0;
  const PALE_APART = 0.5;
  const MIN_LINES = 3;
  const INK_REACH = 0.1;
  const INK_PIXELS = 20;
  const MIN_LENGTH = 0.3;

  const rowOf = ({ width, data }, y) => data.slice(y * width, (y + 1) * width);
  const rowsOf = (image) => Array.from({ length: image.height }, (_, y) => rowOf(image, y));
  const range = (low, high) => Array.from({ length: high - low }, (_, i) => low + i);

  function transposed({ height, width, data }) {
    const result = plane(width, height);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) result.data[x * height + y] = data[y * width + x];
    return result;
  }

  function removeRuledLines(grey, bounded) {
    const border = borderOf(grey).sort();
    if (tooSmall(grey) || border[border.length - 1] - border[0] <= MIN_VARIATION) return grey;
    const dark = isDark(grey);
    let ink = dark ? grey : negative(grey);
    let found = [ink, transposed(ink)].map(findLines);
    if (!found[0].length && !found[1].length) return grey;
    if (!bounded) found = printed(ink, found);
    for (const lines of found) ink = transposed(erase(ink, lines));
    return dark ? ink : negative(ink);
  }

  function ridgeOf({ height, width, data }, reach) {
    const at = (y, x) => data[y * width + x];
    const result = plane(height, width);
    for (let y = 0; y < height; y++) {
      const way = y < reach ? reach : y >= height - reach ? -reach : 0;
      for (let x = 0; x < width; x++) {
        const inner = at(y + (way || reach), x);
        const outer = way ? 2 * inner - at(y + 2 * way, x) : at(y - reach, x);
        result.data[y * width + x] = Math.min(inner, outer) - at(y, x);
      }
    }
    return result;
  }

  function isDark(grey) {
    const half = plane(Math.ceil(grey.height / 2), Math.ceil(grey.width / 2));
    half.data.forEach((_, i) => {
      const x = i % half.width;
      half.data[i] = grey.data[(2 * (i - x) * grey.width) / half.width + 2 * x];
    });
    const total = (ink) => ridges(ink).reduce((sum, ridge) => ridge.data.reduce((all, value) => all + Math.max(value, 0) ** 2, sum), 0);
    return total(half) >= total(negative(half));
  }

  function ridges(grey) {
    const { height, width } = grey;
    const reach = Math.min(Math.ceil(INK_REACH * Math.max(height, width)), Math.floor(Math.min(height, width) / 3));
    return [ridgeOf(grey, reach), transposed(ridgeOf(transposed(grey), reach))];
  }

  // Lines from the left side to the right: { rows, strength, width } each.
  function findLines(grey) {
    const { height, width } = grey;
    const reach = Math.max(MIN_REACH, Math.ceil(REACH * height));
    const ridge = ridgeOf(grey, reach);
    const count = Math.max(2, Math.floor(width / STRIP));
    const starts = range(0, count + 1).map((i) => Math.floor((i * width) / count));
    const means = range(0, count).map((strip) => {
      const length = starts[strip + 1] - starts[strip];
      return Float64Array.from({ length: height }, (_, y) => {
        let sum = 0;
        for (let x = starts[strip]; x < starts[strip + 1]; x++) sum += ridge.data[y * width + x];
        return sum / length;
      });
    });
    const middles = range(0, count).map((i) => (starts[i + 1] + starts[i] - 1) / 2);
    return pathsOf(means, reach, pixelNoise(grey))
      .map((path) => range(0, width).map((x) => Math.floor(interpolated(x, middles, path) + 0.5)))
      .map((rows) => clearLine(grey, ridge, rows, reach))
      .filter((line) => line !== null);
  }

  function interpolated(x, xs, ys) {
    if (x <= xs[0]) return ys[0];
    if (x >= xs[xs.length - 1]) return ys[ys.length - 1];
    const i = xs.findIndex((next) => next > x);
    return ((ys[i] - ys[i - 1]) / (xs[i] - xs[i - 1])) * (x - xs[i - 1]) + ys[i - 1];
  }

  function pathsOf(means, reach, noise) {
    const [count, height] = [means.length, means[0].length];
    const evidence = means.map((strip) => {
      const values = new Float64Array(height + 2 * count).fill(MIN_LINE);
      strip.forEach((mean, y) => (values[y + count] = clamp(mean, 0, CLEAR_LINE) + mean / 20));
      return values;
    });
    const middle = (path) => median(Float64Array.from(path, (row, strip) => evidence[strip][row]));
    const apart = (a, b) => median(Float64Array.from(a, (row, i) => Math.abs(row - b[i]))) > reach;
    const kept = [];
    for (const path of trace(bestSums(evidence), reach)) {
      if (middle(path) >= Math.max(MIN_LINE, NOISE_SHARE * noise) && kept.every((other) => apart(path, other))) kept.push(path);
    }
    return kept.map((path) => path.map((row) => row - count));
  }

  function bestSums(evidence) {
    const sums = [evidence[0]];
    for (const strip of evidence.slice(1)) {
      const before = sums[sums.length - 1];
      const at = (y) => (y < 0 || y >= before.length ? -Infinity : before[y]);
      sums.push(strip.map((value, y) => value + Math.max(at(y), at(y - 1), at(y + 1))));
    }
    return sums;
  }

  function trace(sums, reach) {
    const last = sums[sums.length - 1];
    const isEnd = (y) => last[y] > MIN_LINE * sums.length && last.slice(Math.max(y - reach, 0), y + reach + 1).every((value) => value <= last[y]);
    const ends = range(0, last.length).filter(isEnd);
    ends.sort((a, b) => last[b] - last[a] || a - b);
    return ends.map((end) => {
      const path = [end];
      for (let strip = sums.length - 2; strip >= 0; strip--) {
        const at = (y) => (y < 0 || y >= last.length ? -Infinity : sums[strip][y]);
        const row = path[0];
        path.unshift([row, row - 1, row + 1].reduce((best, y) => (at(y) > at(best) ? y : best)));
      }
      return path;
    });
  }

  function clearLine(grey, ridge, path, reach) {
    const { height, width } = grey;
    const at = (y, x) => (y < 0 || y >= height ? -Infinity : ridge.data[y * width + x]);
    const rows = path.map((row, x) => [row, row - 1, row + 1].reduce((best, y) => (at(y, x) > at(best, x) ? y : best)));
    const columns = range(0, width).filter((x) => at(rows[x], x) > -Infinity);
    if (columns.length < MIN_LENGTH * width) return null;
    const peaks = columns.map((x) => at(rows[x], x));
    const beside = (x, offset) => pixelBeside(grey, rows[x], offset, x);
    const paper = columns.map((x) => Math.min(beside(x, -reach), beside(x, reach)));
    const level = median(Float64Array.from(paper));
    let strength = median(Float64Array.from(peaks));
    let [shows, visible] = [[], []];
    for (let round = 0; round < 2; round++) {
      shows = peaks.map((peak) => peak > strength / 2);
      const hidden = (x) => rows[x] < 2 || rows[x] >= height - 2 || beside(x, 0) < level - strength / 2;
      visible = range(0, columns.length).filter((i) => shows[i] || !hidden(columns[i]));
      if (visible.length < MIN_LENGTH * width) return null;
      strength = median(Float64Array.from(visible, (i) => peaks[i]));
    }
    const along = visible.map((i) => shows[i]);
    const end = Math.ceil(LINE_END * along.length);
    const share = (part) => part.filter(Boolean).length / part.length;
    if (strength < MIN_LINE || [along, along.slice(0, end), along.slice(-end)].some((part) => share(part) < LINE_SHARE)) return null;
    const clear = range(0, columns.length).filter((i) => shows[i]);
    const darkness = (i) => range(-reach, reach + 1).reduce((sum, offset) => sum + paper[i] - beside(columns[i], offset), 0);
    return { rows, strength, width: Math.max(1, Math.floor(median(Float64Array.from(clear, darkness)) / strength + 0.5)) };
  }

  const pixelBeside = ({ height, width, data }, row, offset, x) => data[clamp(row + offset, 0, height - 1) * width + x];

  function printed(grey, found) {
    if (found.some((lines) => lines.length >= MIN_LINES)) return found;
    const { height, width } = grey;
    const [down, across] = ridges(grey);
    const ink = plane(height, width, down.data.map((value, i) => Math.max(value, across.data[i])));
    found.forEach((lines, turned) => {
      for (const line of lines) {
        line.rows.forEach((row, x) => {
          for (let k = row - line.width; k <= row + line.width; k++) {
            if (turned) ink.data[x * width + clamp(k, 0, width - 1)] = 0;
            else ink.data[clamp(k, 0, height - 1) * width + x] = 0;
          }
        });
      }
    });
    const strongest = ink.data.sort()[ink.data.length - INK_PIXELS];
    return [grey, transposed(grey)].map((side, i) => {
      const pale = found[i].length > 1 ? PALE : PALE_ALONE;
      return found[i].filter((line) => line.strength * (isApart(side, line) ? PALE_APART : pale) <= strongest);
    });
  }

  function isApart(grey, { rows, strength, width }) {
    const offset = (width >> 1) + 2;
    const beside = Float64Array.from([-offset, offset].flatMap((by) => rows.map((row, x) => pixelBeside(grey, row, by, x))));
    const level = median(beside.slice());
    return beside.every((value) => value > level - strength / 2);
  }

  function erase(grey, lines) {
    const result = plane(grey.height, grey.width, grey.data.slice());
    for (const { rows, strength, width } of lines) {
      const half = (width >> 1) + 1;
      rows.forEach((row, x) => {
        const values = range(-half - width - 1, half + width + 2).map((offset) => pixelBeside(result, row, offset, x));
        const narrow = closing(values.slice(1, -1), width + 1);
        const broad = closing(values, width + 2);
        narrow.forEach((value, i) => {
          const [y, inner] = [row - half + i, values[width + 1 + i]];
          const limit = i === half ? strength : (PALE / 2) * strength;
          const lighter = Math.max(Math.min(value, inner + PALE * strength), Math.min(broad[i], inner + limit));
          if (y >= 0 && y < grey.height) result.data[y * grey.width + x] = lighter;
        });
      });
    }
    return result;
  }

  function closing(values, window) {
    for (const best of [Math.max, Math.min]) {
      values = range(0, values.length - window + 1).map((i) => best(...values.slice(i, i + window)));
    }
    return values;
  }

  // ---- frame.py ----

  const FRAME_SHARE = 0.96;
  const FRAME_WIDTH = 0.05;
  const MIN_FRAME = 30.0;
  const MAX_REMAINDER = 75.0;
  const MIN_JOINT = 0.02;
  const BAR_WIDTH = 0.25;
  const BAR_SHARE = 0.8;
  const MIN_BAR = 8.0;
  const MAX_BAR_END = 0.005;
  const DRAWN_SHARE = 0.5;
  const MIN_LONGER_SIDE = 18;
  const MIN_SHORTER_SIDE = 8;

  const tooSmall = ({ height, width }) => Math.max(height, width) < MIN_LONGER_SIDE || Math.min(height, width) < MIN_SHORTER_SIDE;

  function insideWindow(grey) {
    const away = awayFromMedian(grey);
    if (tooSmall(grey) || !isDrawn(away)) return null;
    const [down, across] = [rowsOf(away), rowsOf(transposed(away))];
    const bars = [down, down.slice().reverse(), across, across.slice().reverse()].map(barRows);
    const [top, bottom, left, right] = bars;
    return bars.some(Boolean) ? { x0: left, y0: top, x1: grey.width - right, y1: grey.height - bottom } : null;
  }

  function barRows(rows) {
    const shares = rows.slice(0, Math.ceil(BAR_WIDTH * rows.length) + 1).map((row) => row.filter((value) => value > MIN_BAR).length / row.length);
    const count = Math.max(shares.findIndex((share) => share < BAR_SHARE), 0);
    return shares[count] <= MAX_BAR_END ? count : 0;
  }

  function insideFrame(grey) {
    if (tooSmall(grey) || !cornersDiffer(grey)) return null;
    const [[y0, bottom], [x0, right]] = [frameRows(grey), frameRows(transposed(grey))];
    if (!(y0 || bottom || x0 || right)) return null;
    const inside = { x0, y0, x1: grey.width - right, y1: grey.height - bottom };
    const inner = crop(grey, inside, 1, 0);
    const sides = [y0, bottom, x0, right];
    if (sides.filter(Boolean).length === 1 && isJoined(grey, inner, sides.findIndex(Boolean))) return null;
    return bordersAlike(inner) ? inside : null;
  }

  const borderLines = (grey) => [grey, transposed(grey)].flatMap((image) => [rowOf(image, 0), rowOf(image, image.height - 1)]);

  function isJoined(grey, inner, side) {
    const [frame, beside] = [grey, inner].map((image) => borderLines(image)[side]);
    const level = median(beside.slice());
    const half = Math.abs(median(frame) - level) / 2;
    const joint = beside.filter((value) => Math.abs(value - level) > half);
    return joint.length >= MIN_JOINT * beside.length && isDrawn(awayFromMedian(grey));
  }

  function awayFromMedian({ height, width, data }) {
    const level = median(data.slice());
    return plane(height, width, data.map((value) => Math.abs(value - level)));
  }

  const isDrawn = ({ data }) => data.filter((value) => value < 0.5).length >= DRAWN_SHARE * data.length;

  function cornersDiffer({ height, width, data }) {
    const [down, across] = [height, width].map((length) => Math.ceil(FRAME_WIDTH * length));
    const corners = (v, u) => [v, height - 1 - v].flatMap((y) => [u, width - 1 - u].map((x) => data[y * width + x]));
    const level = Float64Array.from(corners(down, across)).sort()[2];
    return Float64Array.from(corners(0, 0), (value) => Math.abs(value - level)).sort()[2] >= MIN_FRAME / 2;
  }

  function bordersAlike(grey) {
    const around = borderLines(grey);
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

  function connectedComponents(values, isInk) {
    const { height, width, data } = values;
    const owner = new Int32Array(height * width).fill(-1);
    const components = [];
    for (let start = 0; start < data.length; start++) {
      if (isInk[start] && owner[start] < 0) components.push(flood(start, components.length));
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
        if (x === 0 || !isInk[i - 1]) component.runs += 1;
        component.border += y === 0 || y === height - 1 ? 1 : (x === 0) + (x === width - 1);
        Object.assign(component, around(component, { x0: x, y0: y, x1: x + 1, y1: y + 1 }));
        for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
          for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
            if (isInk[v * width + u] && owner[v * width + u] < 0) {
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
  const SHADOW_DEPTH = 0.6;
  const SHADOW_CORNERS = 4;
  const MAX_GAP = 0.1;
  const MAX_ASPECT = 3.0;
  const MIN_REST = 9;
  const MIN_OVERLAP = 0.3;
  const TALL = 0.5;
  const TALL_GAP = 0.1;
  const STROKE_GAP = 0.35;
  const MIN_WEIGHT = 0.12;

  function groupDigits({ components: all, height, width }) {
    const isShadow = (component) => {
      const isBroad = Math.min(widthOf(component), heightOf(component)) > SOLID_WIDTH * sideOf(component);
      if (component.border && isBroad && component.area > SOLID_AREA * widthOf(component) * heightOf(component)) return true;
      const flat = widthOf(component) === width && heightOf(component) <= SHADOW_DEPTH * height;
      const tall = heightOf(component) === height && widthOf(component) <= SHADOW_DEPTH * width;
      return (flat || tall) && component.border >= (flat ? width : height) + SHADOW_CORNERS;
    };
    const components = all.filter((component) => !isShadow(component));
    if (!components.length) return [];
    const liesOnBorder = (component) => component.border >= BORDER_SHARE * 2 * (height + width);
    const mainScore = (component) => component.weight * (liesOnBorder(component) ? BORDER_WEIGHT : 1);
    const main = components.reduce((best, component) => (mainScore(component) > mainScore(best) ? component : best));
    const isSpeck = (component) => {
      if (component.area < MIN_AREA * main.area || sideOf(component) < MIN_SIDE * sideOf(main)) return true;
      if (!component.border || main.border) return false;
      if (liesOnBorder(component)) return true;
      return component.area < BORDER_AREA * main.area && gap(component, main) > MAX_GAP * sideOf(main);
    };
    const kept = components.filter((component) => component === main || !isSpeck(component));
    kept.sort((a, b) => b.weight - a.weight || a.number - b.number);
    const digits = merge(kept.slice(0, MAX_COMPONENTS).map((component) => ({ ...component, components: [component] })));
    const centre = digits.find((digit) => digit.components.includes(main));
    if (widthOf(centre) > MAX_ASPECT * heightOf(centre)) {
      const rest = components.filter((component) => !centre.components.includes(component) && sideOf(component) >= MIN_REST);
      return groupDigits({ components: rest, height, width });
    }
    const isDigit = (digit) =>
      heightOf(digit) >= TALL * heightOf(centre) && digit.weight >= MIN_WEIGHT * centre.weight;
    const found = digits.filter((digit) => digit === centre || isDigit(digit));
    return found.sort((a, b) => a.x0 + a.x1 - b.x0 - b.x1);
  }

  const gap = (a, b) => Math.max(Math.max(a.x0, b.x0) - Math.min(a.x1, b.x1), Math.max(a.y0, b.y0) - Math.min(a.y1, b.y1));

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
  const MIN_CONTRAST = 2.0;
  const MAX_CLASSES_SIDE = 40;
  const MAX_FAINT_BORDER = 0.1;
  const FAINT_CONTRAST = [5.0, 40.0];
  const STRONG_NOISE = 8.0;
  const INK_SHARE = 0.4;
  const SOLID_AREA = 0.9;
  const SOLID_WIDTH = 0.35;
  const WEAK_STD = 2.5;
  const WEAK_REACH = 4;
  const MAX_SHADOW_BORDER = 0.15;
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
    const inside = whole ? insideFrame(small) || insideWindow(small) : null;
    if (inside) return find(crop(grey, inside, step, 0));
    const { values, threshold, labels, noisy } = findInk(removeRuledLines(small, near !== null));
    for (const [component, margin] of nested ? [] : paperSheets(values, threshold, labels)) {
      try {
        return find(crop(grey, component, step, -margin), { nested: true });
      } catch (error) {
        const empty = margin === FIELD_INSET && component.area <= MAX_EMPTY_AREA * widthOf(component) * heightOf(component);
        if (empty || !(error instanceof PictureError)) throw error;
      }
    }
    let digits = groupDigits(labels);
    if (!digits.length) throw new PictureError("blank");
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
    if (contrast < MIN_CONTRAST * found.threshold) {
      const classes = Math.max(grey.height, grey.width) < MAX_CLASSES_SIDE ? subtractTwoClasses(grey) : null;
      found = classes || faintInk(grey, snrOf(found)) || found;
      contrast = contrastOf(found);
    }
    if (!contrast) throw new PictureError(noise > STRONG_NOISE ? "noise" : "blank");
    if (borderShare(found, contrast) > MAX_SHADOW_BORDER) found = faintInk(grey, 0) || found;
    return { ...found, labels: connectedComponents(found.values, inkMask(found)), noisy: noise > STRONG_NOISE };
  }

  const above = (data, threshold) => Uint8Array.from(data, (value) => value > threshold);

  function borderShare({ values, threshold }, contrast) {
    const border = borderOf(values);
    const least = Math.max(threshold, INK_SHARE * contrast);
    return border.filter((value) => value > least).length / border.length;
  }

  function inkMask(found) {
    const { height, width, data } = found.values;
    const least = INK_SHARE * contrastOf(found);
    let ink = above(data, Math.max(found.threshold, least));
    if (found.threshold <= least) return ink;
    const weak = above(data, Math.max(WEAK_STD * found.noise, least));
    for (let round = 0; round < WEAK_REACH; round++) ink = ink.map((_, i) => weak[i] && nextTo(ink, i));
    return ink;

    function nextTo(mask, i) {
      const [x, y] = [i % width, Math.floor(i / width)];
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          if (mask[v * width + u]) return 1;
        }
      }
      return 0;
    }
  }

  function faintInk(grey, minSnr) {
    for (const smooth of [mean3x3(grey), grey]) {
      const faint = subtractUnevenLight(smooth, minSnr, FAINT_CONTRAST);
      if (!faint) continue;
      const border = borderOf(faint.values);
      if (border.filter((value) => value > faint.threshold).length < MAX_FAINT_BORDER * border.length) return faint;
    }
    return null;
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
  const PREPARED_INK = 64;

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
    const fits = longest >= PREPARED_SIDE && longest <= BOX && offset <= PREPARED_OFFSET;
    return fits && countDigits(ink) === 1 ? Uint8Array.from(bright) : null;
  }

  function countDigits(ink) {
    const inked = range(0, SIDE).filter((x) => peak(ink, 1, x) > PREPARED_INK);
    if (inked.every((x, i) => !i || x - inked[i - 1] === 1)) return 1;
    return groupDigits(connectedComponents(ink, above(ink.data, PREPARED_INK))).length;
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
