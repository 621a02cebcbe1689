"use strict";

// What all scripts of the page use. Names and labels come from a stranger's file: they become text, and never markup.

const at = (id) => document.getElementById(id);

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function element(tag, within, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  within.append(node);
  return node;
}

const percent = (share) => (share * 100).toFixed(1) + "%";
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const nameOf = (id) => (id < data.labels.length ? data.labels[id] : `class ${id}`);
