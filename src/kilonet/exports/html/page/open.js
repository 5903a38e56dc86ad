/* Open pictures that are chosen, dropped or pasted, as canvases. */
"use strict";

const MAX_SIDE = 1600; // larger pictures, for example of telephones, are scaled down first

function listenForPictures(input, opened, failed) {
  const take = async (files) => {
    if (!files.length) return;
    try {
      opened(await openPicture(files[0]));
    } catch {
      failed();
    }
  };
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // lets the user choose the same file again
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
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  drawInside(contextOf(canvas), bitmap);
  bitmap.close();
  return canvas;
}
