/* Pictures that are chosen, dropped or pasted, as canvases. */
"use strict";

const MOST_SIDE = 1600; // larger pictures, as telephones take them, are scaled down first

function listenForPictures(input, found, failed) {
  const take = async (files) => {
    if (!files.length) return;
    try {
      found(await openPicture(files[0]));
    } catch {
      failed();
    }
  };
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take([...event.dataTransfer.files]);
  });
}

async function openPicture(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  drawInside(contextOf(canvas), bitmap);
  bitmap.close();
  return canvas;
}
