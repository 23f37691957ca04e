"use strict";

/** Adds to every page what it can do without: tables that are sorted and searched, and times of this browser's zone. */

const ROWS_WORTH_A_SEARCH = 8;

/** Return what a cell is sorted by: what it says itself, a date, a number if it begins with one, or its text. */
function valueOf(row, column) {
  const cell = row.cells[column];
  if (cell?.dataset.sort !== undefined) return Number(cell.dataset.sort);
  const text = cell?.textContent.trim() ?? "";
  if (cell?.querySelector("time")) return text;
  const number = Number.parseFloat(text.replace(/^[a-z]+-(?=\d)/i, "").replaceAll(",", ""));
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

function compare(left, right) {
  if (typeof left === typeof right) return left < right ? -1 : Number(left > right);
  return typeof left === "number" ? -1 : 1;
}

/** Sort a table by a column, the other way round if it is sorted by it already. */
function sort(table, header) {
  const column = header.cellIndex;
  const isUp = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
  rows.sort(([left], [right]) => (isUp ? compare(left, right) : compare(right, left)));
  body.append(...rows.map(([, row]) => row));
}

function makeSortable(table) {
  if (table.tBodies[0].rows.length < 2) return;
  for (const header of table.tHead.rows[0].cells) {
    if (!header.textContent.trim()) continue;
    const button = document.createElement("button");
    button.className = "sort";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, header));
    header.append(button);
  }
}

/** Put a field above a long table that hides the rows without its words. */
function makeSearchable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < ROWS_WORTH_A_SEARCH) return;
  const label = document.createElement("label");
  label.className = "search";
  const field = document.createElement("input");
  field.type = "search";
  const found = document.createElement("span");
  found.setAttribute("role", "status");
  label.append("search these rows ", field, found);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    found.textContent = field.value ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
  table.parentElement.before(label);
}

/** Say beside a time in UTC what it is here. */
function showLocally(time) {
  const written = time.dateTime.trim().replace(" ", "T");
  const moment = new Date(/(Z|[+-]\d\d:\d\d)$/.test(written) ? written : `${written}Z`);
  if (Number.isNaN(moment.getTime()) || moment.getTimezoneOffset() === 0 || time.dataset.local) return;
  time.dataset.local = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  time.title = `${moment.toLocaleString()} here`;
}

const CELL_ROLES = { col: "columnheader", row: "rowheader" };

/** Let a table show each row as a list on a phone: cells know their columns, and stay cells to screen readers. */
function makeStackable(table) {
  const names = [...(table.tHead?.rows[0].cells ?? [])].map((header) => header.textContent.trim());
  table.classList.add("stacks");
  table.role = "table";
  for (const group of [table.tHead, ...table.tBodies, table.tFoot]) {
    if (group !== null) group.role = "rowgroup";
    for (const row of group?.rows ?? []) {
      row.role = "row";
      for (const cell of row.cells) {
        cell.role = CELL_ROLES[cell.scope] ?? "cell";
        if (!cell.scope && cell.colSpan === 1) cell.dataset.column = names[cell.cellIndex] ?? "";
      }
    }
  }
}

/** Do all this to a part of the page; called again for parts that are replaced. */
function improve(part) {
  for (const time of part.querySelectorAll("time[datetime]")) showLocally(time);
  const around = part instanceof Element ? part.closest("table") : null;
  for (const table of around === null ? part.querySelectorAll("table") : [around]) makeStackable(table);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  makeSortable(table);
  makeSearchable(table);
}
improve(document);
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const node of addedNodes) if (node instanceof Element) improve(node);
  }
}).observe(document.getElementById("main"), { childList: true, subtree: true });
