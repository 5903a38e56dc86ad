/* How a picture becomes what a classifier of MNIST expects: the twin of the Python modules beside
 * this file, function by function. tests/preprocessing/vectors.json holds the two together.
 *
 * preparePicture(rgba, width, height) takes the bytes of an ImageData and returns
 * { image: Uint8Array(784) } or { error: "blank" | "noise" | "too-small" | "several", count }.
 * splitPicture(rgba, width, height) returns { images: [Uint8Array(784), …] } or { error }.
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

  // A plane is { height, width, data }, row by row.
  const plane = (height, width, data) => ({ height, width, data: data || new Float64Array(height * width) });

  // ---- grey.py ----

  const UNIFORM = 64;

  function flatten(rgba, width, height) {
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
    const fill = background(Uint8Array.from(visible).sort());
    for (let i = 0; i < grey.data.length; i++) {
      const a = rgba[4 * i + 3];
      grey.data[i] = Math.floor((grey.data[i] * a + fill * (255 - a) + 127) / 255);
    }
    return grey;
  }

  function background(visible) {
    if (!visible.length) return 255;
    const [low, middle, high] = [1, 10, 19].map((part) => visible[Math.floor((visible.length * part) / 20)]);
    if (high - low > UNIFORM) return middle;
    return middle < 128 ? 255 : 0;
  }

  // ---- background.py ----

  const EVEN = [[0.25, 0.25], [3.0, 0.6]];
  const NEARLY_EVEN = 15.0;
  const REACH = 0.2;
  const TO_DEVIATION = 1.4826;
  const ROUGH = 20.0;
  const TIMES_GRAIN = 3.0;
  const TWICE = 2.0;
  const NINE_TENTHS = 1.645;
  const DEVIATIONS = 4.5;
  const FAINTEST = 5.0;

  const relief = (values, noise) => ({ values, noise, least: Math.max(DEVIATIONS * noise, FAINTEST) });
  const clarityOf = (found) => contrastOf(found) / Math.max(found.noise, 1);
  const positive = (image) => plane(image.height, image.width, image.data.map((value) => Math.max(value, 0)));
  const negative = (image) => plane(image.height, image.width, image.data.map((value) => -value));

  function contrastOf({ values, least }) {
    const above = values.data.filter((value) => value > least);
    return above.length ? weighedMean(above) : 0;
  }

  function withoutBackground(grey) {
    let edge = edgeOf(grey).sort();
    if (edge[edge.length - 1] - edge[0] > NEARLY_EVEN) {
      grey = withoutRules(grey);
      edge = edgeOf(grey).sort();
    }
    const { level, even } = levelOf(edge);
    if (even) return evenly(grey, level);
    const found = topHat(grey);
    return found.noise < Math.max(ROUGH, TIMES_GRAIN * grain(grey)) ? found : evenly(grey, level);
  }

  function evenly(grey, level) {
    const difference = plane(grey.height, grey.width, grey.data.map((value) => value - level));
    const near = difference.data.map(Math.abs).filter((value) => value <= NEARLY_EVEN).sort();
    const ninth = near[Math.floor((near.length * 9) / 10)];
    let noise = TO_DEVIATION * near[near.length >> 1];
    const outer = ninth / NINE_TENTHS;
    if (outer > noise) noise = Math.max(noise, Math.min(outer, TWICE * grain(grey)));
    const { least } = relief(difference, noise);
    let [brighter, darker] = [0, 0];
    for (const value of difference.data) {
      brighter += Math.max(value - least, 0);
      darker += Math.max(-value - least, 0);
    }
    return relief(positive(brighter > darker ? difference : negative(difference)), noise);
  }

  function levelOf(edge) {
    let level = 0;
    for (const [width, share] of EVEN) {
      let [first, most] = [0, 0];
      for (let i = 0, end = 0; i < edge.length; i++) {
        while (end < edge.length && edge[end] <= edge[i] + 2 * width) end++;
        if (end - i > most) [first, most] = [i, end - i];
      }
      level = edge[first + (most >> 1)];
      const near = edge.filter((value) => Math.abs(value - level) <= NEARLY_EVEN).length;
      if (most >= share * edge.length && most >= near / 2) return { level, even: true };
    }
    return { level, even: false };
  }

  function grain({ height, width, data }) {
    const steps = new Float64Array(height * (width - 1));
    steps.forEach((_, i) => {
      const at = i + Math.floor(i / (width - 1));
      steps[i] = Math.abs(data[at + 1] - data[at]);
    });
    return (TO_DEVIATION * median(steps)) / Math.SQRT2;
  }

  function edgeOf({ height, width, data }) {
    const edge = [];
    for (let x = 0; x < width; x++) edge.push(data[x], data[(height - 1) * width + x]);
    for (let y = 0; y < height; y++) edge.push(data[y * width], data[(y + 1) * width - 1]);
    return Float64Array.from(edge);
  }

  function topHat(grey) {
    const reach = Math.ceil(REACH * Math.max(grey.height, grey.width));
    const mean = meanAround(grey, reach);
    const dark = grey.data.reduce((sum, value, i) => sum + (value - mean.data[i]) ** 3, 0) < 0;
    const ink = dark ? negative(grey) : grey;
    let paper = negative(padded(smoothed(ink), 2 * reach));
    paper = negative(greatest(greatest(paper, reach, false), reach, true));
    paper = greatest(greatest(paper, reach, false), reach, true);
    const difference = plane(grey.height, grey.width, ink.data.map((value, i) => value - paper.data[i]));
    const middle = median(difference.data.slice());
    difference.data.forEach((value, i) => (difference.data[i] = value - middle));
    const away = difference.data.map(Math.abs);
    const spread = TO_DEVIATION * median(away.slice());
    return relief(positive(difference), TO_DEVIATION * median(away.filter((value) => value <= 3 * spread)));
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

  const smoothed = (grey) => meanAround(grey, 1);

  function meanAround(grey, reach) {
    const across = sums(padded(grey, reach), reach, false);
    const square = sums(across, reach, true);
    square.data.forEach((sum, i) => (square.data[i] = sum / (2 * reach + 1) ** 2));
    return square;
  }

  // The sums of each 2·reach + 1 pixels in a row or, if `down`, a column; the result is shorter.
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

  // Their greatest: of 1, 2, 4, … pixels, and then of two such stretches that overlap.
  function greatest(image, reach, down) {
    const length = 2 * reach + 1;
    let span = 1;
    for (; 2 * span <= length; span *= 2) image = greaterOf(image, span, down);
    return greaterOf(image, length - span, down);
  }

  function greaterOf({ height, width, data }, by, down) {
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

  // ---- light.py ----

  const ROUNDS = 8;
  const INK_WEIGHT = 0.05;
  const PAPER = 2.0;
  const RIDGE = 1e-6;
  const GRAINIEST = 30.0;
  const LIT = 6.0;
  const LEAST_LIT = 16.0;
  const SHARP = 0.12;

  function inUnevenLight(grey, least) {
    if (grain(grey) > GRAINIEST) return null;
    const [dark, bright] = [true, false].map((isDark) => withoutLight(grey, isDark));
    const found = clarityOf(bright) > clarityOf(dark) ? bright : dark;
    const clarity = clarityOf(found);
    if (clarity < LIT || clarity <= least || contrastOf(found) < LEAST_LIT) return null;
    return sharpness(found) >= SHARP ? found : null;
  }

  function withoutLight(grey, dark) {
    const ink = dark ? grey : negative(grey);
    const [calm, terms] = [smoothed(ink).data, termsOf(grey)];
    let [weights, above] = [calm.map(() => 1), calm];
    for (let round = 0; round < ROUNDS; round++) {
      const surface = fitted(terms, calm, weights);
      above = calm.map((value, i) => value - surface[i]);
      weights = above.map((value) => (value < 0 ? INK_WEIGHT : 1));
    }
    const least = -PAPER * median(above.filter((value) => value >= 0));
    const paper = fitted(terms, calm, above.map((value) => Number(value >= least)));
    const difference = plane(grey.height, grey.width, ink.data.map((value, i) => paper[i] - value));
    const noise = TO_DEVIATION * median(negative(difference).data.filter((value) => value >= 0));
    return relief(positive(difference), Math.max(noise, grain(grey)));
  }

  function sharpness({ values, noise }) {
    const calm = relief(smoothed(values), noise / 3);
    const contrast = contrastOf(calm);
    const threshold = Math.max(calm.least, contrast / 2);
    let [sum, count] = [0, 0];
    for (const { height, width, data } of [calm.values, turned(calm.values)]) {
      for (let i = 0; i < height * width; i++) {
        if (i % width === width - 1 || data[i] > threshold === data[i + 1] > threshold) continue;
        sum += Math.abs(data[i + 1] - data[i]);
        count += 1;
      }
    }
    return count ? sum / count / contrast : 0;
  }

  // The terms of a polynomial of degree 2 at each pixel's centre.
  function termsOf({ height, width, data }) {
    return Array.from(data, (_, i) => {
      const x = (2 * (i % width) + 1) / width - 1;
      const y = (2 * Math.floor(i / width) + 1) / height - 1;
      return [1, x, y, x * x, x * y, y * y];
    });
  }

  function fitted(terms, values, weights) {
    const count = terms[0].length;
    const rows = Array.from({ length: count }, () => new Float64Array(count + 1));
    terms.forEach((term, i) => {
      for (let a = 0; a < count; a++) {
        for (let b = 0; b < count; b++) rows[a][b] += weights[i] * term[a] * term[b];
        rows[a][count] += weights[i] * term[a] * values[i];
      }
    });
    rows.forEach((row, a) => (row[a] += RIDGE * terms.length));
    const factors = solved(rows);
    return values.map((_, i) => terms[i].reduce((sum, term, a) => sum + term * factors[a], 0));
  }

  // Linear equations, whose rows end in their right sides, by elimination; they are changed. They are
  // positive definite, so that no order of the rows is better than another.
  function solved(rows) {
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

  const BESIDE = 0.03;
  const LEAST_BESIDE = 2;
  const RULED = 0.65;
  const END = 0.12;
  const LEAST_RULE = 3.0;
  const LINED = 0.96;
  const BAND = 0.05;
  const LEAST_BAND = 30.0;
  const ALIKE = 75.0;
  const SMALLEST = 18;
  const NARROWEST = 8;

  const tooSmallForLines = ({ height, width }) =>
    Math.max(height, width) < SMALLEST || Math.min(height, width) < NARROWEST;
  const rowOf = ({ width, data }, y) => data.slice(y * width, (y + 1) * width);
  const rowsOf = (image) => Array.from({ length: image.height }, (_, y) => rowOf(image, y));

  function turned({ height, width, data }) {
    const result = plane(width, height);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) result.data[x * height + y] = data[y * width + x];
    return result;
  }

  const withoutRules = (grey) => (tooSmallForLines(grey) ? grey : turned(withoutRows(turned(withoutRows(grey)))));

  function withoutRows(grey) {
    const reach = Math.max(LEAST_BESIDE, Math.ceil(BESIDE * grey.height));
    const rows = rowsOf(grey);
    const at = (y) => rows[clamp(y, 0, grey.height - 1)];
    const result = plane(grey.height, grey.width);
    const mean = (row) => row.reduce((sum, value) => sum + value, 0) / row.length;
    const end = Math.ceil(END * grey.width);
    const means = [rows, rows.map((row) => row.slice(0, end)), rows.map((row) => row.slice(-end))].map((part) => part.map(mean));
    const differs = means.map((all) => (y) => {
      const [before, behind] = [Math.max(y - reach, 0), Math.min(y + reach, grey.height - 1)];
      return Math.abs(2 * all[y] - all[before] - all[behind]) >= LEAST_RULE;
    });
    result.data.set(grey.data);
    rows.forEach((row, y) => {
      if (!differs[0](y) || !(differs[1](y) || differs[2](y))) return;
      const above = row.map((value, x) => value - at(y - reach)[x]);
      const below = row.map((value, x) => value - at(y + reach)[x]);
      const strength = ruleStrength(above, below);
      result.data.set(row.map((value) => value - strength), y * grey.width);
    });
    return result;
  }

  // By how much a row is a rule: 0 if it is none.
  function ruleStrength(above, below) {
    const strength = median(above.map((value, x) => (value + below[x]) / 2));
    const sign = strength < 0 ? -1 : 1;
    const clear = above.map((value, x) => Math.min(sign * value, sign * below[x]) > Math.abs(strength) / 2);
    const end = Math.ceil(END * clear.length);
    const [along, first, last] = [clear, clear.slice(0, end), clear.slice(-end)].map(
      (part) => part.reduce((sum, value) => sum + value, 0) / part.length >= RULED,
    );
    return along && (first || last) && Math.abs(strength) >= LEAST_RULE ? strength : 0;
  }

  function insideBands(grey) {
    if (tooSmallForLines(grey) || !cornersDiffer(grey)) return null;
    const [[y0, bottom], [x0, right]] = [bands(grey), bands(turned(grey))];
    if (!(y0 || bottom || x0 || right)) return null;
    const inside = { x0, y0, x1: grey.width - right, y1: grey.height - bottom };
    return allAlike(cropped(grey, inside, 1, 0)) ? inside : null;
  }

  function cornersDiffer({ height, width, data }) {
    const [down, across] = [height, width].map((length) => Math.ceil(BAND * length));
    const corners = (v, u) => [v, height - 1 - v].flatMap((y) => [u, width - 1 - u].map((x) => data[y * width + x]));
    const level = Float64Array.from(corners(down, across)).sort()[2];
    return Float64Array.from(corners(0, 0), (value) => Math.abs(value - level)).sort()[2] >= LEAST_BAND / 2;
  }

  function allAlike(grey) {
    const around = [grey, turned(grey)].flatMap((image) => [rowOf(image, 0), rowOf(image, image.height - 1)]);
    const level = median(Float64Array.from(around.flatMap((side) => [...side])));
    return around.every((side) => allAlong(side.map((value) => value - level)) < ALIKE);
  }

  // By how much nearly all of a row differs from 0, to the same side.
  function allAlong(row) {
    const few = Math.floor(((1 - LINED) / 2) * row.length);
    const ordered = row.slice().sort();
    return Math.max(ordered[few], -ordered[row.length - 1 - few], 0);
  }

  function bands(grey) {
    const reach = Math.max(1, Math.ceil(BAND * grey.height));
    const rows = rowsOf(grey);
    const outer = [rows.slice(0, reach + 1), rows.slice(-reach - 1).reverse()];
    const least = (LEAST_BAND / 2) * grey.width;
    const total = (row) => row.reduce((sum, value) => sum + value, 0);
    const steps = outer.map((some) => Math.abs(total(some[0]) - total(some[reach])));
    const level = median(Float64Array.from(outer.flatMap((some) => [...some[reach]])));
    return outer.map((some, i) => (steps[i] > least ? band(some.map((row) => row.map((value) => value - level))) : 0));
  }

  function band(rows) {
    const differ = rows.map(allAlong);
    return differ[0] < LEAST_BAND ? 0 : differ.findIndex((value) => value <= differ[0] / 2) + 1;
  }

  // ---- components.py ----

  function piecesOf(values, least) {
    const { height, width, data } = values;
    const owner = new Int32Array(height * width).fill(-1);
    const pieces = [];
    for (let start = 0; start < data.length; start++) {
      if (data[start] > least && owner[start] < 0) pieces.push(flood(start, pieces.length));
    }
    return { pieces, owner, height, width };

    function flood(start, number) {
      const piece = { number, area: 0, runs: 0, edge: 0, weight: 0, x0: width, y0: height, x1: 0, y1: 0 };
      const waiting = [start];
      owner[start] = number;
      while (waiting.length) {
        const i = waiting.pop();
        const x = i % width;
        const y = (i - x) / width;
        piece.area += 1;
        piece.weight += data[i] * data[i];
        if (x === 0 || !(data[i - 1] > least)) piece.runs += 1;
        piece.edge += y === 0 || y === height - 1 ? 1 : (x === 0) + (x === width - 1);
        Object.assign(piece, around(piece, { x0: x, y0: y, x1: x + 1, y1: y + 1 }));
        for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
          for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
            if (data[v * width + u] > least && owner[v * width + u] < 0) {
              owner[v * width + u] = number;
              waiting.push(v * width + u);
            }
          }
        }
      }
      return piece;
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

  // ---- glyphs.py ----

  const SPECK_AREA = 0.04;
  const SPECK_SIDE = 0.08;
  const MOST_PIECES = 64;
  const ON_THE_EDGE = 0.1;
  const LESS = 0.25;
  const CORNER_AREA = 0.25;
  const OVERLAP = 0.3;
  const TALL = 0.5;
  const CLOSE = 0.1;
  const NEAR = 0.35;
  const HEAVY = 0.12;

  function glyphsOf({ pieces, height, width }) {
    const liesOnEdge = (piece) => piece.edge >= ON_THE_EDGE * 2 * (height + width);
    const standing = (piece) => piece.weight * (liesOnEdge(piece) ? LESS : 1);
    const main = pieces.reduce((best, piece) => (standing(piece) > standing(best) ? piece : best));
    const isSpeck = (piece) => {
      if (piece.area < SPECK_AREA * main.area || sideOf(piece) < SPECK_SIDE * sideOf(main)) return true;
      if (!piece.edge || main.edge) return false;
      return piece.area < CORNER_AREA * main.area || liesOnEdge(piece);
    };
    const kept = pieces.filter((piece) => piece === main || !isSpeck(piece));
    kept.sort((a, b) => b.weight - a.weight || a.number - b.number);
    const glyphs = merged(kept.slice(0, MOST_PIECES).map((piece) => ({ ...piece, pieces: [piece] })));
    const centre = glyphs.find((glyph) => glyph.pieces.includes(main));
    const isDigit = (glyph) =>
      heightOf(glyph) >= TALL * heightOf(centre) && glyph.weight >= HEAVY * centre.weight;
    const found = glyphs.filter((glyph) => glyph === centre || isDigit(glyph));
    return found.sort((a, b) => a.x0 + a.x1 - b.x0 - b.x1);
  }

  function merged(glyphs) {
    for (let i = 0; i < glyphs.length; i++) {
      for (let j = 0; j < i; j++) {
        if (!belong(glyphs[i], glyphs[j])) continue;
        const [a, b] = [glyphs[i], glyphs[j]];
        const rest = glyphs.filter((glyph) => glyph !== a && glyph !== b);
        const joined = { pieces: [...a.pieces, ...b.pieces], weight: a.weight + b.weight, ...around(a, b) };
        return merged([...rest, joined]);
      }
    }
    return glyphs;
  }

  function belong(a, b) {
    const across = Math.max(a.x0, b.x0) - Math.min(a.x1, b.x1);
    const down = Math.max(a.y0, b.y0) - Math.min(a.y1, b.y1);
    const side = Math.max(sideOf(a), sideOf(b));
    if (-across >= OVERLAP * Math.min(widthOf(a), widthOf(b))) return down <= NEAR * side;
    const [low, high] = [Math.min(heightOf(a), heightOf(b)), Math.max(heightOf(a), heightOf(b))];
    return across <= (low >= TALL * high ? CLOSE : NEAR) * side && down <= NEAR * side;
  }

  // ---- ink.py ----

  const WORKING_SIDE = 112;
  const FINE_SIDE = 40;
  const MARGIN = 0.35;
  const LEAST_SIDE = 6;
  const CLEAR = 14.0;
  const CALMER = 0.75;
  const GRAINY = 8.0;
  const INK_SHARE = 0.4;
  const LEAST_IN_NOISE = 9;
  const ALL_NOISE = 70.0;
  const RUNS_A_ROW = 6;
  const MOST_STROKES = 12;
  const HELD_TOGETHER = 0.3;
  const SHEET_SIDE = 0.5;
  const SHEET_LEAST = 20;
  const SHEET_EDGE = 0.8;
  const HOLLOW = 0.4;
  const THIN_LINES = 0.2;
  const INSIDE = 0.03;
  const INSIDE_LINE = 0.05;

  function findDigits(grey) {
    if (Math.max(grey.height, grey.width) < LEAST_SIDE) throw new PictureError("too-small");
    return find(grey, { whole: true });
  }

  function find(grey, { whole = false, nested = false, near = null } = {}) {
    const step = Math.max(1, Math.ceil(Math.sqrt(grey.height * grey.width) / WORKING_SIDE));
    const small = reduce(grey, step);
    const inside = whole ? insideBands(small) : null;
    if (inside) return find(cropped(grey, inside, step, 0));
    const { values, least, found, grainy } = standsOut(small);
    for (const [piece, margin] of nested ? [] : sheets(values, least, found)) {
      try {
        return find(cropped(grey, piece, step, -margin), { nested: true });
      } catch (error) {
        const empty = margin === INSIDE_LINE && piece.area <= THIN_LINES * widthOf(piece) * heightOf(piece);
        if (empty || !(error instanceof PictureError)) throw error;
      }
    }
    let glyphs = glyphsOf(found);
    const side = Math.max(...glyphs.map(sideOf));
    if (grainy && side < LEAST_IN_NOISE) throw new PictureError("noise");
    if (side * step < LEAST_SIDE) throw new PictureError("too-small");
    checkHoldsTogether(glyphs, found.pieces);
    if (near !== null) {
      const away = (glyph) => Math.abs(((glyph.x0 + glyph.x1) * step) / 2 - near);
      glyphs = [glyphs.reduce((best, glyph) => (away(glyph) < away(best) ? glyph : best))];
    }
    return glyphs.map((glyph) => inkOf(grey, glyph, step, values, found));
  }

  function standsOut(grey) {
    let found = withoutBackground(grey);
    let { noise } = found;
    let contrast = contrastOf(found);
    if (noise <= ALL_NOISE && contrast < CLEAR * noise) {
      const calmer = withoutBackground(smoothed(grey));
      if (!contrast || calmer.noise < CALMER * noise) [found, contrast] = [calmer, contrastOf(calmer)];
    }
    const lit = noise > GRAINY ? inUnevenLight(grey, clarityOf(found)) : null;
    if (lit) [found, contrast, noise] = [lit, contrastOf(lit), lit.noise];
    if (!contrast) throw new PictureError(noise > GRAINY ? "noise" : "blank");
    const threshold = Math.max(found.least, INK_SHARE * contrast);
    return { ...found, found: piecesOf(found.values, threshold), grainy: noise > GRAINY };
  }

  function weighedMean(values) {
    let [squares, sum] = [0, 0];
    for (const value of values) {
      squares += value * value;
      sum += value;
    }
    return squares / sum;
  }

  function checkHoldsTogether(glyphs, pieces) {
    const total = (list) => list.reduce((sum, piece) => sum + piece.weight, 0);
    const runs = (glyph) => glyph.pieces.reduce((sum, piece) => sum + piece.runs, 0) / heightOf(glyph);
    const speck = SPECK_SIDE * Math.max(...glyphs.flatMap((glyph) => glyph.pieces.map(sideOf)));
    const apart = total(glyphs) < HELD_TOGETHER * total(pieces.filter((piece) => sideOf(piece) >= speck));
    const torn = glyphs.some((glyph) => runs(glyph) > RUNS_A_ROW || glyph.pieces.length > MOST_STROKES);
    if (apart || torn) throw new PictureError("noise");
  }

  function sheets(values, least, found) {
    const broad = found.pieces.filter(
      (piece) =>
        widthOf(piece) >= Math.max(SHEET_SIDE * found.width, SHEET_LEAST) &&
        heightOf(piece) >= Math.max(SHEET_SIDE * found.height, SHEET_LEAST) &&
        longestRun(piece, found) >= SHEET_EDGE * widthOf(piece),
    );
    const margins = broad.map((piece) => [piece, isSheet(piece, found) ? INSIDE : isField(piece, values, least) ? INSIDE_LINE : 0]);
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

  function isSheet(piece, { owner, width }) {
    const inside = Math.ceil(INSIDE * sideOf(piece));
    const [top, left] = [piece.y0 + inside, piece.x0 + inside];
    const sheet = plane(piece.y1 - inside - top, piece.x1 - inside - left);
    sheet.data.forEach((_, i) => {
      const x = i % sheet.width;
      sheet.data[i] = owner[(top + (i - x) / sheet.width) * width + left + x] === piece.number;
    });
    const edge = edgeOf(sheet);
    return edge.reduce((sum, value) => sum + value, 0) >= SHEET_EDGE * edge.length;
  }

  function isField(piece, values, least) {
    if (piece.area > HOLLOW * widthOf(piece) * heightOf(piece)) return false;
    const line = Math.ceil(INSIDE * sideOf(piece));
    const [y0, x0] = [piece.y0, piece.x0].map((edge) => Math.max(edge - 1, 0));
    const box = { x0, y0, x1: piece.x1 + 1, y1: piece.y1 + 1 };
    const rows = [cropped(values, box, 1, 0)].flatMap((image) => [image, turned(image)]).map(rowsOf);
    const covered = (edge) => edge[0].reduce((sum, _, x) => sum + edge.some((row) => row[x] > least), 0) / edge[0].length;
    return rows.every((all) => [all.slice(0, line + 1), all.slice(-line - 1)].every((edge) => covered(edge) >= SHEET_EDGE));
  }

  function inkOf(grey, glyph, step, values, { owner, height, width }) {
    if (step > 1 && sideOf(glyph) < FINE_SIDE) {
      const closer = cropped(grey, glyph, step, MARGIN);
      if (closer.data.length < grey.data.length / 2) {
        const left = Math.max(glyph.x0 - Math.floor(MARGIN * sideOf(glyph)), 0);
        return find(closer, { nested: true, near: ((glyph.x0 + glyph.x1) / 2 - left) * step })[0];
      }
    }
    const own = new Set(glyph.pieces.map((piece) => piece.number));
    const [top, left] = [Math.max(glyph.y0 - 1, 0), Math.max(glyph.x0 - 1, 0)];
    const [bottom, right] = [Math.min(glyph.y1 + 1, height), Math.min(glyph.x1 + 1, width)];
    const ink = plane(bottom - top, right - left);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        if (nextTo(x, y)) ink.data[(y - top) * ink.width + x - left] = values.data[y * width + x];
      }
    }
    return { values: ink, full: weighedMean(ink.data) };

    function nextTo(x, y) {
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          if (own.has(owner[v * width + u])) return true;
        }
      }
      return false;
    }
  }

  function cropped(grey, glyph, step, margin) {
    const more = Math.floor(margin * sideOf(glyph));
    const [top, left] = [glyph.y0, glyph.x0].map((edge) => Math.max(edge - more, 0) * step);
    const bottom = Math.min((glyph.y1 + more) * step, grey.height);
    const right = Math.min((glyph.x1 + more) * step, grey.width);
    const crop = plane(bottom - top, right - left, new grey.data.constructor((bottom - top) * (right - left)));
    for (let y = top; y < bottom; y++) {
      crop.data.set(grey.data.subarray(y * grey.width + left, y * grey.width + right), (y - top) * crop.width);
    }
    return crop;
  }

  function reduce(grey, step) {
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

  // ---- frame.py ----

  const SIDE = 28;
  const BOX = 20;
  const CANVAS = 80;
  const PALE = 0.35;
  const DARK = 0.9;
  const THIN = 2.0;
  const THICK = 4.0;
  const READY_RING = 8;
  const READY_PEAK = 192;
  const READY_BOX = 16;
  const READY_OFFSET = 1.0;

  function frame(ink) {
    const large = drawn(ink);
    if (!large.data.some((value) => value > 0)) throw new PictureError("noise");
    const digit = withUsualStrokes(large);
    const [ys, xs] = [extent(rowSums(digit)), extent(columnSums(digit))];
    const side = Math.max(ys[1] - ys[0], xs[1] - xs[0]);
    const small = scaled(digit, stretch(ys, side), stretch(xs, side));
    const pixels = small.data.map((value) => Math.floor(Math.min(value, 1) * 255 + 0.5));
    if (!pixels.some((value) => value > 0)) throw new PictureError("noise");
    return centred(pixels);
  }

  function ready(grey) {
    if (grey.height !== SIDE || grey.width !== SIDE) return null;
    const edge = edgeOf(grey).sort();
    const quarter = edge.length >> 2;
    const inverted = edge[3 * quarter] > READY_RING;
    if (inverted && edge[quarter] < 255 - READY_RING) return null;
    const bright = inverted ? grey.data.map((value) => 255 - value) : grey.data;
    if (Math.max(...bright) < READY_PEAK) return null;
    const ink = plane(SIDE, SIDE, Float64Array.from(bright, (value) => (value > READY_RING ? value : 0)));
    const sums = [rowSums(ink), columnSums(ink)];
    const peaks = [0, 1].map((axis) => Float64Array.from({ length: SIDE }, (_, i) => peak(ink, axis, i) / 255));
    const lengths = peaks.map(extent).map(([from, to]) => to - from);
    const offset = Math.max(...sums.map((sum) => Math.abs(middleOf(sum) - (SIDE + 1) / 2)));
    const longest = Math.max(...lengths);
    return longest >= READY_BOX && longest <= BOX && offset <= READY_OFFSET ? Uint8Array.from(bright) : null;
  }

  function peak(image, axis, i) {
    let best = 0;
    for (let k = 0; k < SIDE; k++) best = Math.max(best, image.data[axis ? k * SIDE + i : i * SIDE + k]);
    return best;
  }

  function drawn({ values, full }) {
    const scale = Math.max(values.height, values.width) / CANVAS;
    const [rows, columns] = [Math.ceil(values.height / scale), Math.ceil(values.width / scale)];
    const large = scaled(values, [0, rows * scale, rows], [0, columns * scale, columns]);
    large.data.forEach((value, i) => (large.data[i] = clamp((value / full - PALE) / (DARK - PALE), 0, 1)));
    return large;
  }

  function withUsualStrokes(digit) {
    const side = Math.max(...[rowSums(digit), columnSums(digit)].map(extent).map(([low, high]) => high - low));
    const unit = side / BOX;
    const width = strokeWidth(digit) / unit;
    const wanted = clamp(width, THIN, THICK);
    const radius = (Math.abs(wanted - width) * unit) / 2;
    if (radius < 0.5) return digit;
    const opposite = ({ height, width, data }) => plane(height, width, data.map((value) => 1 - value));
    return wanted > width ? grown(digit, radius) : opposite(grown(opposite(digit), radius, 1));
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

  function grown({ height, width, data }, radius, outside = 0) {
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

  function stretch([low, high], side) {
    const middle = (low + high) / 2;
    return [middle - side / 2, middle + side / 2, BOX];
  }

  function scaled(values, down, across) {
    const rows = shares(values.height, ...down);
    const columns = shares(values.width, ...across);
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

  // For each of `count` pixels, which of `length` it takes in and with what share.
  function shares(length, low, high, count) {
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

  function centred(pixels) {
    const small = plane(BOX, BOX, pixels);
    const [top, left] = [rowSums(small), columnSums(small)].map(middleOf).map(offsetOf);
    const image = new Uint8Array(SIDE * SIDE);
    for (let y = 0; y < BOX; y++) image.set(pixels.subarray(y * BOX, (y + 1) * BOX), (top + y) * SIDE + left);
    return image;
  }

  function middleOf(profile) {
    let [moment, sum] = [0, 0];
    profile.forEach((value, i) => {
      moment += value * (i + 0.5);
      sum += value;
    });
    return moment / sum;
  }

  const offsetOf = (middle) => clamp(Math.ceil(SIDE / 2 - middle), 0, SIDE - BOX);

  // ---- prepare.py ----

  function images(rgba, width, height) {
    const grey = flatten(rgba, width, height);
    const asItIs = ready(grey);
    return asItIs ? [asItIs] : findDigits(grey).map(frame);
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
