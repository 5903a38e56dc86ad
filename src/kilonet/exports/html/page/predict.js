/* From a canvas to the network's input pixels, and from pixels to a prediction. Everything that is
 * drawn or opened passes predictCanvas; every prediction passes predictPixels.
 */
"use strict";

const MESSAGES = {
  blank: "Nothing here stands out from its background. Draw one digit, or give a picture of one.",
  noise: "This shows only noise: nothing in it holds together as strokes. Draw one digit, or give a picture in better light.",
  "too-small": "This is far too small to tell digits apart. Draw it larger, or give the picture at a higher resolution.",
  several: "There are {count} digits here, and one was expected. Draw one alone.",
  unreadable: "This cannot be read as a picture. Give a PNG, JPEG, GIF, WebP or BMP file.",
  channels: "This network takes pixels with {count} channels, and pictures have one or three. From the console: kilonet.predict(pixels).",
};

const failure = (kind, count) => ({ error: kind, message: MESSAGES[kind].replace("{count}", count) });

/* For a network of digits, pictures are prepared like those of MNIST. Any other network gets the whole
 * picture, scaled to its size, in grey or in colour. */
function createPredictor(network) {
  const { prepared } = network;
  const [channels, height, width] = network.image;
  const takesPictures = channels === 1 || channels === 3;

  function predictPixels(pixels) {
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

  function predictCanvas(canvas) {
    if (!takesPictures) return failure("channels", channels);
    const { error, count, image } = prepared ? preparedPixels(canvas) : scaledPixels(canvas);
    return error ? failure(error, count) : { pixels: image, ...predictPixels(image) };
  }

  function preparedPixels(canvas) {
    const { data } = contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
    return KilonetPictures.prepare(data, canvas.width, canvas.height);
  }

  function scaledPixels(canvas) {
    const scale = Math.min(width / canvas.width, height / canvas.height);
    const [newWidth, newHeight] = [canvas.width, canvas.height].map((side) => Math.max(1, Math.round(side * scale)));
    const [left, top] = [(width - newWidth) >> 1, (height - newHeight) >> 1];
    const small = document.createElement("canvas");
    Object.assign(small, { width: newWidth, height: newHeight });
    drawInside(contextOf(small), canvas);
    const { data } = contextOf(small).getImageData(0, 0, newWidth, newHeight);
    fillTransparent(data);
    const image = new Uint8Array(channels * height * width);
    for (let y = 0; y < newHeight; y++) {
      for (let x = 0; x < newWidth; x++) {
        const from = 4 * (y * newWidth + x);
        const to = (top + y) * width + left + x;
        if (channels === 3) image.set(data.subarray(from, from + 3), 3 * to);
        else image[to] = luma(data, from);
      }
    }
    return { image };
  }

  return { predictPixels, predictCanvas };
}

const luma = (data, i) => (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >>> 16;

// Transparent pixels become white if the visible ones are dark, else black.
function fillTransparent(data) {
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

// Draw a picture in the middle, as large as it fits.
function drawInside(context, picture) {
  const { width, height } = context.canvas;
  const scale = Math.min(width / picture.width, height / picture.height);
  const [newWidth, newHeight] = [picture.width * scale, picture.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (width - newWidth) / 2, (height - newHeight) / 2, newWidth, newHeight);
}
