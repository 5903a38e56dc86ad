/* From a canvas to pixels as the network takes them, and from pixels to what it says. Whatever is
 * drawn or opened goes through readCanvas, and all that is read at all through readPixels.
 */
"use strict";

const MESSAGES = {
  blank: "Nothing here stands out from its background. Draw one digit, or give a picture of one.",
  noise: "This shows only noise: nothing in it holds together as strokes. Draw one digit, or give a picture in better light.",
  "too-small": "This is far too small to tell digits apart. Draw it larger, or give the picture at a higher resolution.",
  several: "There are {count} digits here, and one was expected. Draw one alone.",
  unreadable: "This cannot be read as a picture. Give a PNG, JPEG, GIF, WebP or BMP file.",
  channels: "This network reads pixels of {count} channels, which no picture has. From the console: kilonet.predict(pixels).",
};

const failure = (kind, count) => ({ error: kind, message: MESSAGES[kind].replace("{count}", count) });

/* A network of digits is given ink that is prepared as MNIST's was. Any other gets the whole picture,
 * scaled to its size, in grey or in colour. */
function createReader(network) {
  const { prepared } = network;
  const [channels, height, width] = network.image;
  const pictures = channels === 1 || channels === 3;

  function readPixels(pixels) {
    const { logits, probabilities } = network.run(pixels);
    let label = 0;
    for (let i = 1; i < logits.length; i++) if (logits[i] > logits[label]) label = i;
    return {
      label,
      name: network.classes[label],
      confidence: probabilities[label],
      logits: logits.slice(),
      probabilities: probabilities.slice(),
    };
  }

  function readCanvas(canvas) {
    if (!pictures) return failure("channels", channels);
    const found = prepared ? preparedPixels(canvas) : scaledPixels(canvas);
    return found.error ? failure(found.error, found.count) : { pixels: found.image, ...readPixels(found.image) };
  }

  function preparedPixels(canvas) {
    const { data } = contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
    return KilonetPictures.prepare(data, canvas.width, canvas.height);
  }

  function scaledPixels(canvas) {
    const scale = Math.min(width / canvas.width, height / canvas.height);
    const [across, down] = [canvas.width, canvas.height].map((side) => Math.max(1, Math.round(side * scale)));
    const [left, top] = [(width - across) >> 1, (height - down) >> 1];
    const small = document.createElement("canvas");
    Object.assign(small, { width: across, height: down });
    drawInside(contextOf(small), canvas);
    const { data } = contextOf(small).getImageData(0, 0, across, down);
    layOnPlain(data);
    const image = new Uint8Array(channels * height * width);
    for (let y = 0; y < down; y++) {
      for (let x = 0; x < across; x++) {
        const from = 4 * (y * across + x);
        const to = (top + y) * width + left + x;
        if (channels === 3) image.set(data.subarray(from, from + 3), 3 * to);
        else image[to] = luma(data, from);
      }
    }
    return { image };
  }

  return { readPixels, readCanvas };
}

const luma = (data, i) => (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >>> 16;

// What is transparent becomes white if the rest is dark, else black.
function layOnPlain(data) {
  let [visible, weighted] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    visible += data[i + 3];
    weighted += data[i + 3] * luma(data, i);
  }
  const fill = visible && weighted < 128 * visible ? 255 : 0;
  for (let i = 0; i < data.length; i++) {
    const alpha = data[i | 3];
    if ((i & 3) < 3) data[i] = Math.floor((data[i] * alpha + fill * (255 - alpha) + 127) / 255);
  }
}

const contextOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

// Draw a picture as large as it fits, in the middle.
function drawInside(context, picture) {
  const { width, height } = context.canvas;
  const scale = Math.min(width / picture.width, height / picture.height);
  const [across, down] = [picture.width * scale, picture.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (width - across) / 2, (height - down) / 2, across, down);
}
