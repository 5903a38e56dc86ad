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

/* What a network can be given: 28×28 grey pixels are prepared as MNIST's were. Anything else is
 * scaled to the network's size and given as it is, in grey or in colour. */
function waysOf([channels, height, width]) {
  const prepared = channels === 1 && height === 28 && width === 28;
  return { prepared, pictures: prepared || channels === 1 || channels === 3 };
}

function createReader(network) {
  const { prepared, pictures } = waysOf(network.image);
  const [channels, height, width] = network.image;

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
    const small = document.createElement("canvas");
    Object.assign(small, { width, height });
    const context = contextOf(small);
    context.fillRect(0, 0, width, height);
    drawInside(context, canvas);
    const { data } = context.getImageData(0, 0, width, height);
    const image = new Uint8Array(channels * height * width);
    for (let i = 0; i < height * width; i++) {
      const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
      if (channels === 3) image.set([r, g, b], 3 * i);
      else image[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >>> 16;
    }
    return { image };
  }

  return { readPixels, readCanvas };
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
