
// Which items are shown, and in which order.

const ORDERS = {
  order: (a, b) => a.order - b.order,
  name: (a, b) => compare(a.image.name, b.image.name),
  label: (a, b) => compare(bestOf(a.image).label, bestOf(b.image).label),
  most: (a, b) => bestOf(b.image).probability - bestOf(a.image).probability,
  least: (a, b) => bestOf(a.image).probability - bestOf(b.image).probability,
  suspicious: (a, b) => b.severity - a.severity,
};
const { compare } = new Intl.Collator(undefined, { numeric: true });

function fits(item) {
  const { image } = item, share = bestOf(image).probability * 100, outcome = at("outcome").value, finding = at("finding").value;
  return item.words.includes(at("text").value.trim().toLowerCase())
    && share >= Number(at("low").value) && share <= Number(at("high").value)
    && (outcome === "all" || image.correct === (outcome === "right"))
    && (!finding || image.suspicions.some(({ kind }) => finding === "suspicious" || kind === finding));
}

const FILTERS = ["text", "low", "high", "outcome", "finding"];

function showAll() {
  for (const key of FILTERS) at(key).value = initial[key];
  change();
  at("text").focus();
}

function arrange() {
  layout.shown = items.filter(fits).sort(ORDERS[at("sort").value]);
  at("none").hidden = layout.shown.length > 0;
  at("count").textContent = `${layout.shown.length} of ${items.length} images`;
  layOut();
}
