// What files return in onnxruntime-web (WASM, one thread) or onnxruntime-node: `node outputs.mjs PACKAGE JOBS.json`, beside
// node_modules. A job has a model, inputs (name: type, shape, file with raw bytes) and a folder, where each output goes as raw
// bytes, by its number. For each there is a line of JSON: `version`, `outputs` (name: type, shape), or `failed` with its `stage`.
import fs from "fs";

const [name, path] = process.argv.slice(2);
const ort = await import(name);
const version = JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
const executionProviders = [name === "onnxruntime-web" ? "wasm" : "cpu"];
const ARRAYS = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };
if (ort.env.wasm) ort.env.wasm.numThreads = 1;

function tensor({ type, shape, file }) {
  const bytes = fs.readFileSync(file);
  return new ort.Tensor(type, new ARRAYS[type](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)), shape);
}

for (const job of JSON.parse(fs.readFileSync(path))) {
  const report = { version, stage: "load" };
  try {
    const session = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(job.model)), { executionProviders });
    report.stage = "run";
    const feeds = Object.fromEntries(Object.entries(job.inputs).map(([key, input]) => [key, tensor(input)]));
    const results = await session.run(feeds);
    report.outputs = {};
    for (const [number, key] of session.outputNames.entries()) {
      const { data, type, dims } = results[key];
      fs.writeFileSync(`${job.folder}/${number}.bin`, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
      report.outputs[key] = { type, shape: dims };
    }
  } catch (error) {
    report.failed = String(error.message || error).slice(-1000);
  }
  console.log(JSON.stringify(report));
}
