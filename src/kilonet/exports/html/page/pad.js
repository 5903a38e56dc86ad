/* The drawing area: strokes by mouse, pen, finger or arrow keys, pictures, and undo.
 *
 * createPad(canvas, changed) calls changed("drawing") while a stroke is drawn, at most once a frame,
 * and changed("done") when a stroke or another action ends. The content is a list of items in the order
 * of their creation; undo removes the last.
 */
"use strict";

const PEN = 0.07; // of the pad's side: like a finger, and about two pixels in MNIST's twenty
const INPUT_SIDE = 280; // pixels: the resolution of the preparation, and half that of the pad
const STEP = 0.04; // of the pad's side: the distance of one arrow key

function createPad(canvas, changed) {
  const context = canvas.getContext("2d");
  const side = canvas.width;
  const small = document.createElement("canvas");
  Object.assign(small, { width: INPUT_SIDE, height: INPUT_SIDE });
  const items = [];
  let stroke = null;
  let cursor = null;
  let waiting = false;

  // Only strokes after the last picture or clearing are visible; a picture is visible until the next item.
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
    contextOf(small).clearRect(0, 0, INPUT_SIDE, INPUT_SIDE);
    drawInside(contextOf(small), canvas);
  }

  // Quadratic curves from the middle of one segment to the middle of the next.
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

  function positionOf(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * side) / box.width, ((event.clientY - box.top) * side) / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    liftPen();
    stroke = { points: [positionOf(event)] };
    items.push(stroke);
    drawing();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary) return;
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    stroke.points.push(...(all.length ? all : [event]).map(positionOf));
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

  function add(item) {
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
    clear: () => isEmpty() || add({ cleared: true }),
    show: (picture) => add({ picture }),
    // A picture is classified at its own resolution, not at that of the pad.
    canvas: () => visible().picture || small,
  };
}
