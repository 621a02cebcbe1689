"use strict";

// What a person does: photos, the camera, and other choices.

const FRAMES = 10; // over which times are averaged
const ROUNDING = 4; // of 255: by so much a map of the graphics card may differ from the processor's
let running = false, waiting = false, stream = null, place = "wasm", isCompared = false;
const times = [];

function tell(text) {
  at("status").textContent = text;
}

// One photo at a time: what changes meanwhile is explained behind it.
async function refresh() {
  if (!photo) return;
  if (running) { waiting = true; return; }
  running = true;
  try {
    do {
      waiting = false;
      await explain(photo);
    } while (waiting);
  } catch (error) { fail(error); } finally { running = false; }
}

async function explain(image) {
  const loaded = await load(place, tell), begin = performance.now();
  const pixels = fedPixels(image), numbers = fedNumbers(pixels), fed = performance.now();
  const results = await run(loaded, numbers, data.task === "classes" ? chosen : null), ran = performance.now();
  answer = explanationOf(results, image);
  if (photo !== image) return; // another one, meanwhile
  if (data.task === "boxes" && chosen !== null && chosen >= answer.targets.length) chosen = null;
  show();
  showFed(pixels);
  sayTimes({ feeding: fed - begin, model: ran - fed, all: performance.now() - begin });
  if (!stream) sayResult();
  if (place === "webgpu" && !(stream && isCompared)) await compareWithProcessor(image, numbers);
}

function sayTimes(latest) {
  times.push(latest);
  if (times.length > (stream ? FRAMES : 1)) times.splice(0, times.length - (stream ? FRAMES : 1));
  const mean = (name) => (times.reduce((sum, entry) => sum + entry[name], 0) / times.length).toFixed(0);
  tell(`${mean("all")} ms a frame`);
  const { ort } = sessions[place], threads = place === "wasm" ? `, ${ort.env.wasm.numThreads} thread${ort.env.wasm.numThreads > 1 ? "s" : ""}` : "";
  at("times").textContent = `onnxruntime-web ${ort.env.versions?.web ?? data.runtime?.version ?? ""}${threads}: ${mean("model")} ms in the model, ${mean("feeding")} ms ahead of it.`;
}

// Kernels of a graphics card round in other ways, and some are wrong. Its answer is held to the processor's: for each photo, and the
// first frame of the camera. Where they differ by more than rounding, the processor goes on.
async function compareWithProcessor(image, numbers) {
  const map = currentMap(), best = sayable(answer), shown = answer;
  const other = explanationOf(await run(await load("wasm", tell), numbers, data.task === "classes" ? current() : null), image);
  if (photo !== image) return;
  isCompared = true;
  answer = other;
  const steps = apart(map, currentMap()), words = best === sayable(other) ? `a map that is ${steps} of 255 apart` : `another answer, ${best}`;
  const isWrong = steps > ROUNDING || best !== sayable(other);
  at("apart").textContent = isWrong ? `The graphics card gives ${words}: the processor goes on.` : `The processor gives the same answer, and ${words}.`;
  if (isWrong) { at("place").value = place = "wasm"; show(); } else answer = shown;
  sayTimes(times[times.length - 1]);
}

function apart(map, other) {
  if (!map || !other) return map === other ? 0 : 255;
  return map.values.reduce((most, value, cell) => Math.max(most, Math.abs(value - other.values[cell])), 0);
}

function sayable({ predictions, targets }) {
  return (predictions?.slice(0, 1) ?? targets).map(({ label }) => label).join(", ") || "nothing";
}

function pick(value) {
  chosen = value;
  if (data.wanted) { refresh(); return; }
  for (const radio of at("results").querySelectorAll("input")) radio.checked = radio.value === String(current() ?? "all");
  document.querySelectorAll(".mark").forEach((mark, index) => mark.setAttribute("aria-pressed", String(index === chosen)));
  if (data.task === "classes") listResults();
  drawMap();
}

async function open(file) {
  stopCamera();
  try {
    if (!file.size) throw new Error("the photo is empty");
    photo = await decoded(file);
    chosen = null;
    await refresh();
  } catch (error) { fail(error); }
}

at("file").onchange = (event) => { const [file] = event.target.files; if (file) open(file); event.target.value = ""; };
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) { event.preventDefault(); open(file); }
});
addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("is-over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) stage.classList.remove("is-over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("is-over");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("camera").setAttribute("aria-pressed", "false");
  at("camera").textContent = "Camera";
}

at("camera").onclick = async () => {
  if (stream) { stopCamera(); return; }
  try {
    if (!navigator.mediaDevices) throw new Error("browsers give it to pages of this machine or by HTTPS");
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
  } catch (error) { fail(new Error(`there is no camera for this page: ${error.message}`)); return; }
  at("camera").setAttribute("aria-pressed", "true");
  at("camera").textContent = "Hold this picture";
  const mine = stream, video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  chosen = null;
  times.length = 0;
  await video.play();
  while (stream === mine) {
    photo = drawnPixels(video, video.videoWidth, video.videoHeight);
    await refresh();
    if (!at("error").hidden) stopCamera();
    await new Promise((done) => { requestAnimationFrame(done); });
  }
};

at("opacity").oninput = (event) => document.documentElement.style.setProperty("--opacity", event.target.value);
at("save").onclick = savePicture;
at("place").onchange = (event) => { place = event.target.value; isCompared = false; times.length = 0; at("apart").textContent = ""; refresh(); };
at("other").onchange = (event) => {
  const text = event.target.value.trim().toLowerCase(), number = /^\d+$/.test(text) ? Number(text) : -1;
  if (!text || !answer) return;
  let id = data.labels.findIndex((label) => label.toLowerCase() === text);
  if (id < 0 && number >= 0 && number < data.classes) id = number;
  if (id < 0) id = data.labels.findIndex((label) => label.toLowerCase().includes(text));
  if (id < 0) { fail(new Error("no class has that name or number")); return; }
  if (!answer.isExplained(id)) { fail(new Error(`${nameOf(id)} has no map: the hook explains ${data.hook.targets}`)); return; }
  event.target.value = "";
  at("error").hidden = true;
  pick(id);
};

async function offerGraphicsCard() {
  if (!data.runtime?.gpu || !await navigator.gpu?.requestAdapter().catch(() => null)) return;
  at("place").append(new Option("the graphics card (WebGPU)", "webgpu"));
}

async function start() {
  at("error").hidden = true;
  at("name").textContent = data.name;
  document.title = `${data.name} - ovxai`;
  at("about").textContent = data.task === "boxes" ? "boxes, each with its own map" : `${data.classes} classes`;
  at("results-name").textContent = data.task === "boxes" ? "The boxes" : "What it sees";
  const { method, layer, score } = data.hook;
  at("how").textContent = [method, layer && `at ${layer}`, score && `score ${score}`].filter(Boolean).join(", ") + ". Each map is scaled from its least to its greatest value.";
  at("summary").textContent = data.image.summary;
  for (const doubt of data.doubts) element("p", at("doubts"), doubt, "doubt");
  at("opacity").value = data.opacity;
  document.documentElement.style.setProperty("--opacity", data.opacity);
  drawBar(at("bar"));
  for (const label of data.labels) element("option", at("labels")).value = label;
  at("camera").disabled = false;
  offerGraphicsCard();
  try { await load(place, tell); tell("ready"); } catch (error) { fail(error); }
}
start();
