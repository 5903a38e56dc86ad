/* The drawing area: strokes by mouse, pen, finger or arrow keys, pictures, and one way back.
 *
 * createPad(canvas, changed) calls changed("drawing") while a stroke is being drawn, at most once a
 * frame, and changed("done") whenever something has been finished. What there is, is a list of
 * items in the order in which they came; undo takes the last away.
 */
"use strict";

const PEN = 0.07; // of the pad's side: what a finger draws, and a stroke of two pixels in twenty
const READ_SIDE = 280; // pixels: as fine as the preparation looks, and a fourth of what is shown
const STEP = 0.04; // of the pad's side: what an arrow key moves

function createPad(canvas, changed) {
  const context = canvas.getContext("2d");
  const side = canvas.width;
  const small = document.createElement("canvas");
  Object.assign(small, { width: READ_SIDE, height: READ_SIDE });
  const items = [];
  let stroke = null;
  let cursor = null;
  let waiting = false;

  // Strokes count since the last picture or clearing; a picture counts until something follows it.
  function visible() {
    const last = items.at(-1);
    if (last && last.picture) return { picture: last.picture, strokes: [] };
    const from = items.findLastIndex((item) => !item.points);
    return { picture: null, strokes: items.slice(from + 1) };
  }

  function redraw() {
    const { picture, strokes } = visible();
    context.clearRect(0, 0, side, side);
    if (picture) drawInside(context, picture);
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: PEN * side });
    context.strokeStyle = getComputedStyle(canvas).color;
    for (const { points } of strokes) drawStroke(points);
    contextOf(small).clearRect(0, 0, READ_SIDE, READ_SIDE);
    drawInside(contextOf(small), canvas);
  }

  // Quadratic curves from the middle of one piece to the middle of the next.
  function drawStroke(points) {
    const [[x, y]] = points;
    context.beginPath();
    context.moveTo(x, y);
    for (let i = 1; i < points.length - 1; i++) {
      const [[u, v], [s, t]] = [points[i], points[i + 1]];
      context.quadraticCurveTo(u, v, (u + s) / 2, (v + t) / 2);
    }
    context.lineTo(...points.at(-1));
    context.stroke();
  }

  function drawing() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      redraw();
      changed(stroke || (cursor && cursor.down) ? "drawing" : "done");
    });
  }

  function done() {
    redraw();
    changed("done");
  }

  // ---- mouse, pen and finger ----

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * side) / box.width, ((event.clientY - box.top) * side) / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    liftPen();
    stroke = { points: [place(event)] };
    items.push(stroke);
    drawing();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary) return;
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    stroke.points.push(...(all.length ? all : [event]).map(place));
    drawing();
  });

  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (!stroke || !event.isPrimary) return;
      stroke = null;
      done();
    });
  }

  // ---- arrow keys ----

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") togglePen();
    else if (ARROWS[event.key]) moveCursor(ARROWS[event.key], event.shiftKey ? STEP / 4 : STEP);
    else return;
    event.preventDefault();
  });

  function togglePen() {
    cursor ||= { at: [side / 2, side / 2] };
    if (cursor.down) return liftPen();
    cursor.down = { points: [cursor.at] };
    items.push(cursor.down);
    showCursor();
    drawing();
  }

  function liftPen() {
    if (!cursor || !cursor.down) return;
    cursor.down = null;
    showCursor();
    done();
  }

  function moveCursor(direction, step) {
    cursor ||= { at: [side / 2, side / 2] };
    cursor.at = cursor.at.map((at, axis) => Math.min(Math.max(at + direction[axis] * step * side, 0), side));
    if (cursor.down) cursor.down.points.push(cursor.at);
    showCursor();
    if (cursor.down) drawing();
  }

  function showCursor() {
    const mark = canvas.parentElement.querySelector(".cursor");
    mark.hidden = false;
    mark.classList.toggle("down", Boolean(cursor.down));
    [mark.style.left, mark.style.top] = cursor.at.map((at) => `${(100 * at) / side}%`);
  }

  canvas.addEventListener("blur", () => {
    liftPen();
    canvas.parentElement.querySelector(".cursor").hidden = true;
  });

  // ---- for the page ----

  function put(item) {
    stroke = null;
    if (cursor) cursor.down = null;
    items.push(item);
    done();
  }

  function undo() {
    stroke = null;
    if (cursor) cursor.down = null;
    items.pop();
    done();
  }

  const isEmpty = () => !visible().picture && !visible().strokes.length;

  return {
    isEmpty,
    undo,
    redraw,
    clear: () => isEmpty() || put({ cleared: true }),
    show: (picture) => put({ picture }),
    // A picture is read as it came, not as it is shown.
    canvas: () => visible().picture || small,
  };
}
