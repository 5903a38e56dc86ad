"use strict";
// A click on a heading sorts its table by that column; another turns the order round.
const figure = (text) => {
  const found = text.replaceAll(",", "").replace("\u2212", "-").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/);
  return found ? Number(found[0]) : -Infinity;
};
const sortBy = (table, place, heading) => {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const figures = heading.classList.contains("n");
  const key = (row) => row.cells[place].textContent.trim();
  const order = (a, b) => (figures ? figure(key(a)) - figure(key(b)) : key(a).localeCompare(key(b)));
  const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
  table.tBodies[0].append(...rows);
};
for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((heading, place) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, place, heading));
  });
}
