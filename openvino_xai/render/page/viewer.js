
// One photo, large: with its map and without.

const viewer = at("viewer");
const SWIPE = 60; // pixels
let viewed = null; // the item

function openViewer(item) {
  viewed = item;
  const card = makeCard(item, FINEST), place = layout.shown.indexOf(item);
  at("viewer-card").replaceChildren(card.root);
  draw(card);
  at("viewer-name").textContent = plain(item.image.name);
  at("viewer-place").textContent = place < 0 ? "" : `${place + 1} of ${layout.shown.length}`;
  at("viewer-back").disabled = !neighbour(-1);
  at("viewer-on").disabled = !neighbour(1);
  setBare(false);
  if (!viewer.open) {
    setWipe(0);
    document.body.classList.add("is-viewing");
    viewer.showModal(); // what lies behind is inert
    at("viewer-close").focus();
  }
  viewer.scrollTop = 0;
  writeHashSoon();
}

function neighbour(step) {
  const place = layout.shown.indexOf(viewed);
  return place < 0 ? layout.shown[step > 0 ? 0 : -1] : layout.shown[place + step];
}

function stepInViewer(step) {
  const item = neighbour(step), focus = document.activeElement;
  if (!item) return;
  openViewer(item);
  if (focus?.disabled || !viewer.contains(document.activeElement)) at("viewer-close").focus();
}

// The focus goes back to the photo that was shown last.
function leaveViewer() {
  document.body.classList.remove("is-viewing");
  at("viewer-card").replaceChildren();
  visibleCards().forEach(draw); // other classes or boxes may have been chosen
  focusItem(viewed);
  writeHashSoon();
}

function setWipe(share) {
  at("wipe").value = 100 - share;
  viewer.style.setProperty("--wipe", `${share}%`);
}

function setBare(isBare) {
  viewer.classList.toggle("is-bare", isBare);
  at("bare").setAttribute("aria-pressed", isBare);
}

function keepFocus(event) {
  const stops = [...viewer.querySelectorAll("button, input")].filter((node) => !node.disabled && node.offsetParent !== null);
  const [first, last] = [stops[0], stops.at(-1)], focus = document.activeElement;
  if (event.shiftKey ? focus === first || focus === viewer : focus === last) {
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}

function pressInViewer(event) {
  if (event.key === "Tab") keepFocus(event);
  else if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input")) return;
  else if (event.key === "ArrowLeft") stepInViewer(-1);
  else if (event.key === "ArrowRight") stepInViewer(1);
  else return;
  if (event.key !== "Tab") event.preventDefault();
}

// A finger that goes sideways leads on.
function swipe() {
  let start = null;
  at("viewer-card").addEventListener("touchstart", (event) => { start = event.touches.length === 1 ? event.touches[0] : null; });
  at("viewer-card").addEventListener("touchend", (event) => {
    const end = event.changedTouches[0], across = start ? end.clientX - start.clientX : 0, down = start ? end.clientY - start.clientY : 0;
    start = null;
    if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) stepInViewer(across < 0 ? 1 : -1);
  });
}

function holdBare() {
  const hold = at("bare"), isHeld = (event) => event.key === " " || event.key === "Enter";
  hold.onpointerdown = () => setBare(true);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"]) hold.addEventListener(name, () => setBare(false));
  hold.onkeydown = (event) => { if (isHeld(event)) { event.preventDefault(); setBare(true); } };
  hold.onkeyup = (event) => { if (isHeld(event)) setBare(false); };
}

viewer.addEventListener("close", leaveViewer);
viewer.addEventListener("keydown", pressInViewer);
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); }); // beside it
at("viewer-close").onclick = () => viewer.close();
at("viewer-back").onclick = () => stepInViewer(-1);
at("viewer-on").onclick = () => stepInViewer(1);
at("wipe").oninput = (event) => setWipe(100 - event.target.value);
holdBare();
swipe();
