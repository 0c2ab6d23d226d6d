// Name the column in each cell: on a phone, a row of a table is a block (site.css).
const LARGEST = 4; // wider tables compare columns, and scroll

function nameCells(table) {
  const names = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent);
  if (names.length < 2 || names.length > LARGEST) {
    return;
  }
  table.classList.add("in-blocks");
  for (const row of table.tBodies[0].rows) {
    [...row.cells].forEach((cell, number) => {
      cell.dataset.column = names[number];
    });
  }
}

// The corner of a table that names rows and columns is not the name of anything.
function clearCorner(cell) {
  if (!cell.textContent.trim()) {
    cell.replaceWith(document.createElement("td"));
  }
}

// The theme gives the button a name without the version that it shows.
function nameVersions(button) {
  button.removeAttribute("aria-label");
  button.title = "Version of this documentation";
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".version-switcher__button").forEach(nameVersions);
  document.querySelectorAll(".bd-article table").forEach(nameCells);
  document.querySelectorAll(".bd-article thead th").forEach(clearCorner);
});
