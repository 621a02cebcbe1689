"use strict";

// The model in onnxruntime-web.

const FOLDER = "./ort/", SCRIPTS = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };
const THREADS = 4; // at most, where the server lets the browser have several
const INSTALL = "the page has no runtime: its README.md says which files of npm's onnxruntime-web belong into the folder ort";
const sessions = {}; // by the place where they run: { ort, session }

async function load(place, tell) {
  if (sessions[place]) return sessions[place];
  let ort;
  tell("loading the runtime");
  try {
    ort = await import(FOLDER + SCRIPTS[place]);
  } catch (error) { throw new Error(`${INSTALL} (${error.message})`); }
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency || 1) : 1;
  const model = await fetched(data.file, data.bytes, tell);
  const externalData = data.data.map((name) => ({ path: name, data: `./${name}` }));
  tell("preparing the model");
  try {
    const session = await ort.InferenceSession.create(model, { executionProviders: [place], logSeverityLevel: 3, ...(externalData.length ? { externalData } : {}) });
    await run({ ort, session }, new ARRAYS[data.image.type](fedShape().reduce((a, b) => a * b)), null); // the first takes longest
    sessions[place] = { ort, session };
  } catch (error) { throw new Error(`onnxruntime-web does not run the model: ${error.message ?? error}`); }
  return sessions[place];
}

async function fetched(name, length, tell) {
  const response = await fetch(`./${name}`);
  if (!response.ok) throw new Error(`the server does not give ${name} (${response.status})`);
  const reader = response.body.getReader(), content = new Uint8Array(length);
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (size + part.value.length > length) { size = length + 1; break; }
    content.set(part.value, size);
    size += part.value.length;
    tell(`loading the model, ${Math.round((100 * size) / length)} %`);
  }
  if (size !== length) throw new Error(`${name} is not the file that was exported: ${length} bytes are expected`);
  return content;
}

// What a run needs: the image, and what the hook is told.
function feedsOf(ort, numbers, wanted) {
  const { name, batch, type } = data.image, feeds = { [name]: new ort.Tensor(type, numbers, fedShape()) };
  if (data.gate) feeds[data.gate] = new ort.Tensor("bool", new Uint8Array(batch).fill(1), [batch]);
  if (data.wanted) feeds[data.wanted] = new ort.Tensor("int64", new BigInt64Array(batch).fill(BigInt(wanted)), [batch]);
  return feeds;
}

function fetchedOutputs(session) {
  const own = data.task === "boxes" ? ["saliency_index", "saliency_class", "saliency_score", "saliency_box"] : [data.scores.name, "saliency_class"];
  return [...own, "saliency_map"].filter((name) => session.outputNames.includes(name));
}

// The outputs for an image; of a hook that is asked for a class, with the map of that class, by default the most probable one.
async function run({ ort, session }, numbers, wanted) {
  const names = fetchedOutputs(session), ask = async (id) => ({ ...await session.run(feedsOf(ort, numbers, id), names), wanted: id });
  if (!data.wanted || wanted !== null) return ask(wanted ?? 0);
  const results = await ask(run.last), y = probabilitiesOf(results[data.scores.name]), best = y.indexOf(y.reduce((a, b) => Math.max(a, b)));
  run.last = best;
  return best === results.wanted ? results : ask(best);
}
run.last = 0;
