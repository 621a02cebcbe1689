
"use strict";
// What the page holds, and the few words that all of it is written with. Whatever comes from a model or a file becomes text.

const at = (id) => document.getElementById(id);
const data = JSON.parse(at("data").textContent);
const UNSHOWN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu; // as the command line has it
const SHORT = 120; // characters of a name in a card
const items = data.images.map(makeItem);

function makeItem(image, order) {
  const labels = image.boxes ? image.targets.map((target) => target.label) : [bestOf(image).label];
  return {
    image,
    order,
    choice: null, // the index of the target that was chosen for this photo
    row: 0,
    words: [image.name, ...labels, image.labelled ?? ""].map(plain).join("\n").toLowerCase(),
    severity: image.suspicions.reduce((most, { severity }) => Math.max(most, severity), -1),
  };
}

function bestOf(image) {
  return image.predictions[0] ?? { id: null, label: "", probability: 0 };
}

function trueTarget(image) {
  return image.targets.find((target) => target.id === image.label);
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// The photo of an item as base64, and the maps of its targets. They lie in elements of their own, and are read when they are shown.
function picturesOf(item) {
  return at(`pictures-${item.order}`).textContent.split(" ");
}

function mapOf(item, index) {
  return { cells: item.image.cells, values: bytes(picturesOf(item)[index + 1]) };
}

function percent(share) {
  return `${(share * 100).toFixed(1)}%`;
}

// A text in which nothing turns the line around, ends it or hides.
function plain(text) {
  return String(text).replace(UNSHOWN, (character) => {
    const code = character.codePointAt(0), digits = code.toString(16);
    return code < 256 ? `\\x${digits.padStart(2, "0")}` : `\\u${digits.padStart(4, "0")}`;
  });
}

function short(text) {
  const characters = [...plain(text)];
  return characters.length > SHORT ? `${characters.slice(0, SHORT).join("")}\u2026` : characters.join("");
}

function element(tag, within, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  within.append(node);
  return node;
}

function button(within, text, name, action) {
  const node = element("button", within, text, name);
  node.type = "button";
  node.onclick = action;
  return node;
}

function lay(node, [left, top, width, height]) {
  Object.assign(node.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
}
