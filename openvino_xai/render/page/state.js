
// What is looked at, in the address behind its #, so that a link leads to the same. What an address says may be anybody's words.

const KEYS = ["text", "low", "high", "outcome", "finding", "sort", "target", "opacity", "size"];
const PAUSE = 300; // milliseconds: browsers refuse to write addresses too often
const initial = {};
let timer = 0;

function readHash() {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const key of KEYS) setControl(at(key), words.get(key) ?? initial[key], initial[key]);
  for (const item of items) item.choice = null;
  applyLook();
  arrange();
  const item = items[placeIn(words, "photo")];
  if (!item) at("viewer").close();
  else {
    const index = placeIn(words, "map");
    if (item.image.targets[index]) item.choice = index;
    openViewer(item);
  }
}

// What a word counts from 1, counted from 0; -1 where it is no number.
function placeIn(words, key) {
  const word = words.get(key) ?? "";
  return /^[0-9]{1,9}$/.test(word) ? Number(word) - 1 : -1;
}

// A control takes what it can show, and is as at first otherwise.
function setControl(control, value, otherwise) {
  if (control.tagName === "SELECT") {
    const choices = control.closest("label").hidden ? [] : [...control.options].map((option) => option.value);
    control.value = choices.includes(value) ? value : otherwise;
  } else if (control.type === "search") control.value = value.slice(0, control.maxLength);
  else {
    const number = value.trim() === "" ? NaN : Number(value);
    control.value = Number.isFinite(number) ? Math.min(Math.max(number, Number(control.min)), Number(control.max)) : otherwise;
  }
}

function writeHash() {
  const words = new URLSearchParams();
  for (const key of KEYS) if (at(key).value !== initial[key]) words.set(key, at(key).value);
  if (at("viewer").open) {
    words.set("photo", viewed.order + 1);
    if (viewed.choice !== null) words.set("map", viewed.choice + 1);
  }
  const text = words.toString();
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function writeHashSoon() {
  clearTimeout(timer);
  timer = setTimeout(writeHash, PAUSE);
}

function applyLook() {
  document.documentElement.style.setProperty("--opacity", at("opacity").value);
}
