
// A photo with its map, its predictions and what is strange of it: as a card of the grid, and in the viewer.

const WHOLE = 0.005; // of a side: what is seen but for less is all

function makeCard(item, fine) {
  const { image } = item, root = document.createElement("article"), card = { item, root, fine, chips: [], drawn: null };
  card.pictures = element("div", root, undefined, "pictures");
  const [photo] = picturesOf(item);
  card.first = makePicture(card, photo);
  if (isDouble(item)) card.second = makePicture(card, photo);
  root.classList.toggle("is-wrong", image.correct === false);
  const caption = element("div", root, undefined, "caption");
  (image.boxes ? listBoxes : listClasses)(card, element("ul", caption, undefined, "entries"));
  if (card.fine === FINEST) listDoubts(card, caption);
  const foot = element("div", caption, undefined, "foot"), name = button(foot, short(image.name), "name plain", () => openViewer(item));
  name.setAttribute("aria-label", `open ${short(image.name)}`);
  name.title = plain(image.name);
  if (card.fine !== FINEST) nameDoubts(card, foot);
  root.card = card;
  return card;
}

// A wrong one whose true class is explained has the maps of both classes.
function isDouble({ image }) {
  return image.correct === false && trueTarget(image) !== undefined;
}

function makePicture(card, photo) {
  const { image } = card.item, figure = element("figure", card.pictures), stage = element("div", figure, undefined, "stage");
  const frame = element("div", stage, undefined, "picture"), picture = element("img", frame);
  const layer = element("div", frame, undefined, "layer"), canvas = element("canvas", layer);
  frame.style.setProperty("--shape", image.size[0] / image.size[1]);
  picture.alt = short(image.name);
  picture.decoding = "async";
  picture.src = `data:image/jpeg;base64,${photo}`;
  lay(canvas, image.box);
  if (!isWhole(image.box)) lay(element("div", layer, undefined, "seen"), image.box);
  stage.onclick = () => { if (!at("viewer").open) openViewer(card.item); };
  return { frame, canvas, caption: element("figcaption", figure) };
}

// Whether the model saw all of a photo.
function isWhole([left, top, width, height]) {
  return left <= WHOLE && top <= WHOLE && left + width >= 1 - WHOLE && top + height >= 1 - WHOLE;
}

function listClasses(card, list) {
  const { image } = card.item;
  for (const prediction of image.predictions) {
    const entry = element("li", list);
    element("span", entry, undefined, "share").style.setProperty("--share", prediction.probability);
    element("b", entry, label(card, prediction)).title = plain(prediction.label);
    element("span", entry, percent(prediction.probability));
    if (prediction.id === image.label) entry.classList.add("is-true");
    const index = image.targets.findIndex((target) => target.id === prediction.id);
    if (index < 0) continue;
    const chip = button(entry, "map", "map plain", () => choose(card, index));
    chip.setAttribute("aria-label", `map of ${short(prediction.label)}`);
    card.chips.push([index, chip]);
  }
}

// Each box is a button over the photo, and one in the list: either shows its map alone, and once more shows all.
function listBoxes(card, list) {
  const toggle = (index) => () => choose(card, card.item.choice === index ? null : index);
  card.item.image.targets.forEach((target, index) => {
    const box = button(card.first.frame, undefined, "box plain", toggle(index)), [, , width, height] = target.place;
    lay(box, target.place);
    box.style.zIndex = Math.round(1000 * (1 - width * height)); // small ones can be reached within large ones
    box.title = `${short(target.label)} ${percent(target.probability)}`;
    box.setAttribute("aria-label", box.title);
    box.addEventListener("click", (event) => event.stopPropagation()); // the stage would open the viewer
    const line = element("li", list, undefined, "has-box"), entry = button(line, undefined, "entry plain", toggle(index));
    element("b", entry, label(card, target));
    element("span", entry, percent(target.probability));
    for (const chip of [box, entry]) {
      chip.style.setProperty("--colour", target.colour);
      card.chips.push([index, chip]);
    }
  });
}

function listDoubts(card, caption) {
  for (const { kind, text } of card.item.image.suspicions) element("div", caption, `${titleOf(kind)}: ${plain(text)}`, "doubt");
}

function nameDoubts(card, foot) {
  const { suspicions } = card.item.image;
  if (!suspicions.length) return;
  const line = element("span", foot, suspicions.map(({ kind }) => titleOf(kind)).join(", "), "doubt");
  line.title = suspicions.map(({ text }) => plain(text)).join("\n");
}

function titleOf(kind) {
  return data.suspicions[kind].title;
}

// In the viewer there is room for all of a label.
function label(card, { label: text }) {
  return card.fine === FINEST ? plain(text) : short(text);
}

function choose(card, index) {
  card.item.choice = index;
  draw(card);
  writeHashSoon();
}

function indexShown({ image, choice }) {
  if (choice !== null) return choice;
  const selected = at("target").value, index = selected === "true" ? image.targets.indexOf(trueTarget(image)) : Number(selected);
  return Math.min(Math.max(index, 0), image.targets.length - 1);
}

function draw(card) {
  if (card.item.image.boxes) drawBoxes(card);
  else drawClass(card);
}

function drawBoxes(card) {
  const { item, first } = card, { targets } = item.image;
  for (const [index, chip] of card.chips) chip.setAttribute("aria-pressed", index === item.choice);
  first.frame.classList.toggle("is-chosen", item.choice !== null);
  first.canvas.hidden = !targets.length;
  if (card.drawn === `box ${item.choice}`) return;
  card.drawn = `box ${item.choice}`;
  if (!targets.length) first.caption.textContent = "no box";
  else if (item.choice !== null) show(card, first, item.choice);
  else {
    paint(first.canvas, joint(item), card.fine);
    first.caption.textContent = targets.length === 1 ? "1 box" : `all ${targets.length} boxes`;
  }
}

function drawClass(card) {
  const { item } = card, index = indexShown(item);
  for (const [of, chip] of card.chips) chip.setAttribute("aria-pressed", of === index);
  if (card.drawn === index) return;
  card.drawn = index;
  show(card, card.first, index);
  if (card.second) show(card, card.second, item.image.targets.indexOf(trueTarget(item.image)), "true: ");
}

function show(card, picture, index, start = "") {
  const target = card.item.image.targets[index], [low, high] = target.range;
  paint(picture.canvas, mapOf(card.item, index), card.fine);
  const range = data.scale === "none" ? `, values ${low.toPrecision(3)} to ${high.toPrecision(3)}` : "";
  picture.caption.textContent = `${start}${label(card, target)} ${percent(target.probability)}${range}`;
}
