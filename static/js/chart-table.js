// The numbers of a figure as rows: for the table beside every chart and for its CSV download.

import { text } from "./texts.js";

const MAX_SHOWN = 2000;

/** Rows of cells, the header first: one per point, or one per row of a matrix. */
export function chartRows(figure) {
  const [first] = figure.data;
  if (first?.z) return matrixRows(first, figure.layout);
  if (figure.table) return [figure.table.columns, ...figure.table.rows];
  return pointRows(figure);
}

/** The rows as a table element; a very long one is cut with a visible notice. */
export function tableOf(rows) {
  const table = document.createElement("table");
  table.className = "table dense";
  const [header, ...body] = rows;
  table.createTHead().append(rowOf(header, "th"));
  const section = table.createTBody();
  section.append(...body.slice(0, MAX_SHOWN).map((row) => rowOf(row, "td")));
  if (body.length > MAX_SHOWN) section.append(rowOf([text("chart_cut", { n: MAX_SHOWN })], "td"));
  return table;
}

/** The rows as CSV; text that a spreadsheet would run as a formula is quoted with an apostrophe. */
export function csvOf(rows) {
  return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function pointRows({ data, layout = {} }) {
  const several = data.length > 1;
  const header = [axisTitle(layout.xaxis, "x"), axisTitle(layout.yaxis, "y")];
  const rows = [several ? [text("chart_series"), ...header] : header];
  for (const trace of data) {
    const xs = trace.x ?? trace.labels ?? [];
    const ys = trace.y ?? trace.values ?? [];
    for (let index = 0; index < Math.max(xs.length, ys.length); index += 1) {
      const point = [xs[index] ?? index, ys[index] ?? ""];
      rows.push(several ? [trace.name ?? "", ...point] : point);
    }
  }
  return rows;
}

function matrixRows(trace, layout = {}) {
  const corner = `${axisTitle(layout.yaxis, "y")} \\ ${axisTitle(layout.xaxis, "x")}`;
  const columns = trace.x ?? trace.z[0].map((_, index) => index);
  return [[corner, ...columns], ...trace.z.map((row, index) => [trace.y?.[index] ?? index, ...row])];
}

function axisTitle(axis, fallback) {
  const title = axis?.title;
  return (typeof title === "string" ? title : title?.text) || fallback;
}

function rowOf(cells, kind) {
  const row = document.createElement("tr");
  for (const value of cells) {
    const cell = document.createElement(kind);
    if (typeof value === "number") cell.className = "numeric";
    if (kind === "th") cell.scope = "col";
    cell.textContent = value ?? "";
    row.append(cell);
  }
  return row;
}

function csvCell(value) {
  if (typeof value === "number") return String(value);
  const plain = String(value ?? "");
  const safe = /^[=+\-@\t\r＝＋－＠]/.test(plain) && Number.isNaN(Number(plain)) ? `'${plain}` : plain;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
