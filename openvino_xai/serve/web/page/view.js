"use strict";

// What is on the screen.

const stage = at("stage");
let photo = null, answer = null; // the photo, and what was said of it
let chosen = null; // the class, or the place of a box, whose map is shown; null is the best class, or all boxes

function position(node, [left, top, width, height]) {
  Object.assign(node.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
}

function showPhoto() {
  const canvas = at("photo"), { pixels, height, width } = photo;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d").putImageData(coloured(pixels, width, height), 0, 0);
  canvas.hidden = false;
  at("hint").hidden = true;
  stage.classList.remove("is-empty");
}

function coloured(pixels, width, height) {
  const picture = new ImageData(width, height);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    picture.data[to] = pixels[from];
    picture.data[to + 1] = pixels[from + 1];
    picture.data[to + 2] = pixels[from + 2];
    picture.data[to + 3] = 255;
  }
  return picture;
}

function showFed(pixels) {
  const canvas = at("fed"), [height, width] = data.image.size;
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(coloured(pixels, width, height), 0, 0);
  canvas.hidden = false;
}

function choice(within, label, value, isChecked, onpick) {
  const root = element("label", within, undefined, "choice"), radio = element("input", root);
  Object.assign(radio, { type: "radio", name: "result", value, checked: isChecked, disabled: !onpick });
  radio.onchange = onpick;
  element("b", root, label).title = label;
  return root;
}

function show() {
  at("error").hidden = true;
  at("under").hidden = false;
  showPhoto();
  listResults();
  drawMap();
}

// The class whose map is shown, or the place of the box; null is all boxes.
function current() {
  if (data.task === "boxes") return chosen ?? (answer.targets.length === 1 ? 0 : null);
  if (chosen !== null && answer.isExplained(chosen)) return chosen;
  return answer.predictions.find(({ id }) => answer.isExplained(id))?.id ?? null;
}

// The list is made anew with each answer, and whoever is in it stays where they are.
function listResults() {
  const list = at("results"), focus = list.contains(document.activeElement) ? document.activeElement.value : null;
  list.replaceChildren();
  (data.task === "boxes" ? listBoxes : listClasses)(list);
  at("none").hidden = list.childElementCount > 0;
  at("none").textContent = data.task === "boxes" ? `No box with a score of ${percent(data.least_score)} or more.` : "Nothing.";
  if (focus !== null) [...list.querySelectorAll("input")].find((radio) => radio.value === focus)?.focus();
}

function listClasses(list) {
  const value = current(), items = [...answer.predictions];
  if (value !== null && !items.some(({ id }) => id === value)) items.push(answer.item(value));
  for (const item of items) {
    const isExplained = answer.isExplained(item.id), entry = choice(list, item.label, String(item.id), item.id === value, isExplained ? () => pick(item.id) : null);
    entry.style.setProperty("--share", clamp(item.probability, 0, 1));
    if (item.isAnswer) entry.querySelector("b").append(" (answer)");
    if (!isExplained) entry.title = `${item.label}: no map, as the hook explains ${data.hook.targets}`;
    element("span", entry, percent(item.probability));
  }
  at("others").hidden = data.classes <= PREDICTED || data.hook.targets.startsWith("top:");
}

function listBoxes(list) {
  const { targets } = answer, value = current();
  document.querySelectorAll(".mark").forEach((mark) => mark.remove());
  if (targets.length > 1) choice(list, `all ${targets.length} boxes`, "all", value === null, () => pick(null));
  targets.forEach((item, index) => {
    const entry = choice(list, item.label, String(index), index === value, () => pick(index)), swatch = element("i", entry);
    entry.style.setProperty("--share", clamp(item.probability, 0, 1));
    swatch.style.setProperty("--colour", item.colour);
    entry.prepend(swatch);
    element("span", entry, percent(item.probability));
    addMark(item, index);
  });
}

function addMark(item, index) {
  const mark = element("button", stage, undefined, "mark");
  position(mark, item.place);
  mark.style.zIndex = 10 + Math.round(1000 * (1 - item.place[2] * item.place[3])); // small ones can be reached within large ones
  mark.style.setProperty("--colour", item.colour);
  mark.title = `${item.label} ${percent(item.probability)}`;
  mark.setAttribute("aria-label", mark.title);
  mark.setAttribute("aria-pressed", String(index === chosen));
  mark.onclick = () => pick(chosen === index ? null : index);
}

function currentMap() {
  const value = current();
  if (data.task === "classes") return value === null ? null : answer.mapOf(value);
  if (!answer.targets.length) return null;
  return value === null ? highest(answer.targets.map(({ map }) => map)) : answer.targets[value].map;
}

// The highest of all maps, cell by cell.
function highest(maps) {
  return { cells: maps[0].cells, values: maps[0].values.map((_, cell) => Math.max(...maps.map(({ values }) => values[cell]))) };
}

function drawMap() {
  const map = currentMap(), canvas = at("map");
  canvas.hidden = map === null;
  stage.classList.toggle("is-chosen", data.task === "boxes" && chosen !== null);
  if (map === null) return;
  paint(canvas, map, FINE);
  position(canvas, answer.box);
}

function sayResult() {
  const boxes = data.task === "boxes", [best] = boxes ? answer.targets : answer.predictions;
  const count = boxes && best ? `${answer.targets.length} boxes, the best ` : "";
  at("spoken").textContent = best ? `${count}${best.label} ${percent(best.probability)}` : "nothing";
}

function fail(error) {
  at("error").textContent = error.message;
  at("error").hidden = false;
  at("status").textContent = "";
}

function savePicture() {
  const { width, height } = photo, canvas = Object.assign(document.createElement("canvas"), { width, height }), context = canvas.getContext("2d");
  const inPixels = ([left, top, wide, tall]) => [left * width, top * height, wide * width, tall * height];
  context.drawImage(at("photo"), 0, 0);
  const map = currentMap();
  if (map) {
    const heat = document.createElement("canvas");
    paint(heat, map, FINEST);
    context.globalAlpha = Number(at("opacity").value);
    context.drawImage(heat, ...inPixels(answer.box));
    context.globalAlpha = 1;
  }
  if (data.task === "boxes") answer.targets.forEach((target, index) => { if (chosen === null || chosen === index) drawBox(context, target, inPixels(target.place)); });
  canvas.toBlob((file) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "ovxai.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

function drawBox(context, target, [x, y, width, height]) {
  const side = context.canvas.width, line = Math.max(2, side / 250), size = Math.max(11, side / 45), text = `${target.label} ${percent(target.probability)}`;
  Object.assign(context, { strokeStyle: target.colour, lineWidth: line, font: `${size}px system-ui, sans-serif`, textBaseline: "bottom" });
  context.strokeRect(x, y, width, height);
  const wide = context.measureText(text).width + 8, top = Math.max(y, size + 6);
  context.fillStyle = target.colour;
  context.fillRect(x, top - size - 6, wide, size + 6);
  context.fillStyle = "#000";
  context.fillText(text, x + 4, top - 3);
}
