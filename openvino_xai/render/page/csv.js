
// What is shown, as a table: a line for each map, as RFC 4180 has it.

const COLUMNS = ["image", "label", "predicted", "probability", "correct", "target", "target_id", "target_probability",
  "left", "top", "right", "bottom", "suspicious"];
const FORMULA = /^[\s\p{Cc}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u; // a spreadsheet would compute what begins so

function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvRows({ image }) {
  const best = image.predictions[0] ?? {}, doubts = image.suspicions.map(({ kind }) => titleOf(kind)).join("; ");
  const start = [image.name, image.labelled, best.label, best.probability, image.correct];
  const targets = image.targets.length ? image.targets : [{}];
  return targets.map((target) => [...start, target.label, target.id, target.probability, ...corners(target, image), doubts]);
}

// Left, top, right and bottom of a box in pixels of the photo's file.
function corners({ place }, { pixels: [width, height] }) {
  if (!place) return [null, null, null, null];
  const [left, top, wide, high] = place, edges = [left * width, top * height, (left + wide) * width, (top + high) * height];
  return edges.map((edge) => Math.round(edge * 100) / 100);
}

function csvText() {
  return [COLUMNS, ...layout.shown.flatMap(csvRows)].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
}

function saveCsv() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText()], { type: "text/csv;charset=utf-8" }));
  link.download = "report.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
