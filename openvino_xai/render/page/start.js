
// The page begins.

function change() {
  arrange();
  writeHashSoon();
}

function changeTarget() {
  for (const item of items) item.choice = null;
  visibleCards().forEach(draw);
  writeHashSoon();
}

at("controls").open = innerWidth >= 700;
at("title").textContent = plain(data.title);
at("how").textContent = plain(data.how);
at("opacity").value = data.opacity;
tellLegend();
tellSuspicious();
tellWrong();
tellProvenance();
listTargets();
for (const key of KEYS) initial[key] = at(key).value;

at("opacity").oninput = () => { applyLook(); writeHashSoon(); };
at("size").oninput = () => { layOut(); writeHashSoon(); };
at("target").onchange = changeTarget;
for (const id of ["text", "low", "high"]) at(id).oninput = change;
for (const id of ["outcome", "finding", "sort"]) at(id).onchange = change;
at("csv").onclick = saveCsv;
at("all").onclick = showAll;
grid.addEventListener("keydown", stepInGrid);
addEventListener("scroll", renderSoon, { passive: true });
addEventListener("hashchange", readHash);
new ResizeObserver(layOutAnew).observe(grid.parentElement);
for (const panel of document.querySelectorAll("details")) panel.addEventListener("toggle", renderSoon);
readHash();
