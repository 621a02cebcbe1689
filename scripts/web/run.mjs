// What onnxruntime-web makes of ONNX files, on the CPU (WASM, one thread): `node run.mjs jobs.json`, beside node_modules.
// Each job has a model, raw f32 inputs, their shape, and for each output the bytes that Python's ONNX Runtime returned.
import fs from "fs";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
const ROUNDS = 30;
const jobs = JSON.parse(fs.readFileSync(process.argv[2]));

for (const job of jobs) {
  const bytes = fs.readFileSync(job.input);
  const image = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  job.session = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(job.model)), { executionProviders: ["wasm"] });
  job.feeds = { [job.session.inputNames[0]]: new ort.Tensor("float32", image, job.shape) };
  const results = await job.session.run(job.feeds);
  job.outputs = Object.entries(job.expected).map(([name, file]) => ({ name, ...compared(results[name], fs.readFileSync(file)) }));
}

function compared(tensor, expected) {
  const bytes = Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  const reference = new tensor.data.constructor(expected.buffer.slice(expected.byteOffset, expected.byteOffset + expected.length));
  let difference = 0;
  tensor.data.forEach((value, index) => { difference = Math.max(difference, Math.abs(Number(value) - Number(reference[index]))); });
  return { same_bits: bytes.equals(expected), difference };
}

const times = jobs.map(() => []);
for (let round = 0; round < ROUNDS; round++)
  for (const [index, job] of jobs.entries()) {
    const start = performance.now();
    await job.session.run(job.feeds);
    times[index].push(performance.now() - start);
  }
const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
console.log(JSON.stringify(jobs.map((job, index) => ({ model: job.model, outputs: job.outputs, milliseconds: median(times[index]) }))));
