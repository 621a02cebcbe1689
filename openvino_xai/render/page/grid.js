
// The cards, of which those exist that are near what is on the screen: rows of one height, so that their places are known.

const GAP = 14;
const AHEAD = 600; // pixels above and below the screen for which there are cards
const LOWEST = 0.5, TALLEST = 1.2; // height over width of what a photo is shown in
const grid = at("grid");
const layout = { shown: items, rows: [], width: 0, columns: 1, pitch: 1 };
const rendered = new Map(); // elements of rows, by their index

// Put the items that are shown into rows; a double one takes two columns where there are two.
function layOut() {
  const width = grid.clientWidth, size = Math.min(Number(at("size").value), width);
  const columns = Math.max(1, Math.floor((width + GAP) / (size + GAP)));
  const column = (width - GAP * (columns - 1)) / columns, frame = Math.round(Math.min(column * shape, innerHeight * 0.75));
  layout.width = width;
  layout.columns = columns;
  layout.rows = [];
  let left = 0;
  for (const item of layout.shown) {
    const span = spanOf(item);
    if (span > left) {
      layout.rows.push([]);
      left = columns;
    }
    left -= span;
    item.row = layout.rows.length - 1;
    layout.rows[item.row].push(item);
  }
  document.documentElement.style.setProperty("--frame", `${frame}px`);
  document.documentElement.style.setProperty("--card", "auto");
  const height = frame + captionHeight(column);
  document.documentElement.style.setProperty("--card", `${height}px`);
  layout.pitch = height + GAP;
  grid.style.height = `${Math.max(0, layout.rows.length * layout.pitch - GAP)}px`;
  for (const row of rendered.values()) row.remove();
  rendered.clear();
  renderRows();
}

function spanOf(item) {
  return isDouble(item) ? Math.min(2, layout.columns) : 1;
}

// What most photos are like.
const shape = middle(items.map(({ image: { size: [width, height] } }) => Math.min(Math.max(height / width, LOWEST), TALLEST)));

function middle(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

// The height of all but the picture, as a card of the item with most lines has it.
function captionHeight(column) {
  const lines = ({ image }) => (image.boxes ? image.targets : image.predictions).length;
  const longest = items.reduce((most, item) => (lines(item) > lines(most) ? item : most));
  const { root } = makeCard(longest, FINE);
  root.style.cssText = `position: absolute; visibility: hidden; width: ${column}px`;
  grid.append(root);
  const height = Math.ceil(root.getBoundingClientRect().height - root.querySelector(".stage").getBoundingClientRect().height);
  root.remove();
  return height;
}

function renderRows() {
  const top = -grid.getBoundingClientRect().top, { pitch, rows } = layout;
  const first = Math.max(0, Math.floor((top - AHEAD) / pitch));
  const last = Math.min(rows.length - 1, Math.floor((top + innerHeight + AHEAD) / pitch));
  for (const [index, row] of rendered) {
    if ((index < first || index > last) && !row.contains(document.activeElement)) {
      row.remove();
      rendered.delete(index);
    }
  }
  for (let index = first; index <= last; index++) if (!rendered.has(index)) renderRow(index);
}

function renderRow(index) {
  const row = document.createElement("div");
  row.className = "row";
  row.style.top = `${index * layout.pitch}px`;
  row.style.gridTemplateColumns = `repeat(${layout.columns}, minmax(0, 1fr))`;
  row.setAttribute("role", "presentation");
  for (const item of layout.rows[index]) {
    const card = makeCard(item, FINE);
    card.root.setAttribute("role", "listitem");
    card.root.setAttribute("aria-setsize", layout.shown.length);
    card.root.setAttribute("aria-posinset", layout.shown.indexOf(item) + 1);
    card.root.style.gridColumn = `span ${spanOf(item)}`;
    row.append(card.root);
    draw(card);
  }
  const later = [...rendered.keys()].filter((other) => other > index);
  grid.insertBefore(row, later.length ? rendered.get(Math.min(...later)) : null); // in order, as Tab goes
  rendered.set(index, row);
}

function visibleCards() {
  return [...grid.querySelectorAll("article")].map((root) => root.card);
}

// Scroll to an item and give it the focus.
function focusItem(item) {
  if (!layout.shown.includes(item)) return;
  const place = grid.getBoundingClientRect().top + item.row * layout.pitch, above = coveredHeight();
  if (place < above) scrollBy(0, place - above - GAP);
  else if (place + layout.pitch > innerHeight) scrollBy(0, place + layout.pitch - innerHeight);
  renderRows();
  visibleCards().find((card) => card.item === item)?.root.querySelector(".name").focus({ preventScroll: true });
}

// What a header that stays in place hides.
function coveredHeight() {
  const header = document.querySelector("body > header");
  return getComputedStyle(header).position === "sticky" ? header.offsetHeight : 0;
}

const STEPS = {
  ArrowRight: (index) => index + 1,
  ArrowLeft: (index) => index - 1,
  ArrowDown: (index) => index + layout.columns,
  ArrowUp: (index) => index - layout.columns,
  Home: () => 0,
  End: () => layout.shown.length - 1,
};

// From a card's name, arrows lead to other cards.
function stepInGrid(event) {
  const step = STEPS[event.key], { card } = event.target.closest("article") ?? {};
  if (!step || !card || !event.target.matches(".name") || event.ctrlKey || event.altKey || event.metaKey) return;
  const to = layout.shown[step(layout.shown.indexOf(card.item))];
  if (!to) return;
  event.preventDefault();
  focusItem(to);
}

// Where the page has become wider or narrower.
function layOutAnew() {
  if (grid.clientWidth === layout.width) return;
  const focus = document.activeElement.closest("#grid article")?.card.item;
  layOut();
  if (focus) focusItem(focus);
}

let isDue = false;
function renderSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; renderRows(); });
}
