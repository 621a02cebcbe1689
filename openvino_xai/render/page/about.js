
// What is told above the cards: the legend, suspicious maps, the wrong ones, and how the page was made.

const SCALES = {
  unit: "The hook returns maps min-max scaled to 0..1 (unit).",
  u8: "The hook returns maps min-max scaled, as bytes 0..255 (u8).",
  none: "The hook returns the method's own values (none); here each map is stretched, and its caption tells from where to where.",
};
const MOST_PAIRS = 12;
const FEW_PAIRS = 4; // that leave room for photos below them

function tellLegend() {
  document.querySelectorAll(".bar").forEach(drawBar);
  at("scale").textContent = ["0 is the lowest value of a map and 1 its highest: colours of two maps do not compare.",
    Object.hasOwn(SCALES, data.scale) ? SCALES[data.scale] : "",
    items.some(({ image }) => image.boxes) ? "Of several boxes the highest is shown, cell by cell." : ""].join(" ").trim();
  at("unseen").hidden = items.every(({ image }) => isWhole(image.box));
}

function tellSuspicious() {
  const counts = new Map(), some = items.filter(({ image }) => image.suspicions.length);
  for (const { image } of some) for (const { kind } of image.suspicions) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  at("findings").hidden = at("suspicious").hidden = !some.length;
  at("sort").querySelector("[value=suspicious]").hidden = !some.length;
  at("suspicious").querySelector("summary").textContent = `Maps of ${some.length} of ${items.length} images are suspicious`;
  for (const [kind, { title, definition }] of Object.entries(data.suspicions)) {
    if (!counts.has(kind)) continue;
    const name = `${title} (${counts.get(kind)})`, line = element("li", at("suspicious").querySelector("ul"));
    at("finding").append(new Option(name, kind));
    button(line, name, "plain", () => { at("finding").value = kind; at("sort").value = "suspicious"; change(); });
    element("span", line, `: ${definition}`);
  }
}

function tellWrong() {
  const labelled = items.filter(({ image }) => image.correct !== null), wrong = labelled.filter(({ image }) => !image.correct);
  at("outcomes").hidden = !labelled.length;
  at("wrong").hidden = !wrong.length;
  at("accuracy").textContent = `${labelled.length - wrong.length} of ${labelled.length} are predicted correctly. The wrong ones:`;
  const body = at("wrong").querySelector("tbody"), pairs = confusions(wrong);
  at("wrong").open = pairs.length <= FEW_PAIRS;
  for (const pair of pairs.slice(0, MOST_PAIRS)) {
    const row = element("tr", body), means = [pair.confidence, pair.left].map((sum) => percent(sum / pair.count));
    button(element("td", row), short(pair.labelled), "plain", () => {
      at("text").value = plain(pair.labelled).slice(0, at("text").maxLength);
      at("outcome").value = "wrong";
      change();
    });
    for (const text of [short(pair.predicted), pair.count, ...means]) element("td", row, text);
  }
}

// What classes were taken for which, the most frequent first.
function confusions(wrong) {
  const pairs = new Map();
  for (const { image } of wrong) {
    const best = bestOf(image), key = JSON.stringify([image.labelled, best.label]);
    const pair = pairs.get(key) ?? { labelled: image.labelled, predicted: best.label, count: 0, confidence: 0, left: 0 };
    pair.count += 1;
    pair.confidence += best.probability;
    pair.left += trueTarget(image)?.probability ?? 0;
    pairs.set(key, pair);
  }
  return [...pairs.values()].sort((a, b) => b.count - a.count || b.confidence - a.confidence);
}

function tellProvenance() {
  at("command").hidden = !data.command;
  at("command").querySelector("pre").textContent = data.command;
  at("copy").onclick = copyCommand;
  for (const { title, rows } of data.provenance) {
    const part = element("section", at("provenance"));
    element("h2", part, title);
    const body = element("tbody", element("table", element("div", part, undefined, "wide")));
    for (const cells of rows) {
      const row = element("tr", body), [name, ...rest] = cells;
      element("th", row, plain(name)).scope = "row";
      for (const cell of rest) element("td", row, plain(cell));
    }
  }
}

async function copyCommand() {
  const text = at("command").querySelector("pre");
  try {
    await navigator.clipboard.writeText(data.command);
  } catch { // where a page may not: it is selected at least
    getSelection().selectAllChildren(text);
    if (!document.execCommand("copy")) return;
  }
  at("copy").textContent = "copied";
}

function listTargets() {
  const most = items.reduce((count, { image }) => Math.max(count, image.targets.length), 0);
  const ranks = ["the most probable class", "the second class", "the third class", "the fourth class", "the fifth class"];
  ranks.slice(0, most).forEach((rank, index) => at("target").append(new Option(rank, index)));
  if (items.some(({ image }) => trueTarget(image))) at("target").append(new Option("the true class", "true"));
  at("targets").hidden = items.every(({ image }) => image.boxes);
}
