"use strict";

// From the model's outputs to what is shown: predictions, and targets with their maps.

const PREDICTED = 5;
const F16 = { sign: 15, exponent: 10 };

// The numbers of a tensor; halves may come as their bits.
function numbersOf(tensor) {
  if (tensor.type === "float16" && tensor.data instanceof Uint16Array) return Float32Array.from(tensor.data, fromHalf);
  return typeof tensor.data[0] === "bigint" ? Float64Array.from(tensor.data, Number) : tensor.data;
}

function fromHalf(bits) {
  const sign = bits >> F16.sign ? -1 : 1, exponent = (bits >> F16.exponent) & 31, rest = bits & 1023;
  if (exponent === 31) return rest ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : (2 ** -14 * rest) / 1024);
}

// The probabilities of the classes of the first image.
function probabilitiesOf(tensor) {
  const { softmax, sigmoid, zero, step, of } = data.scores;
  const y = Float64Array.from(numbersOf(tensor).subarray(0, data.classes), (value) => ((value - zero) * step) / of);
  if (y.some((value) => !Number.isFinite(value))) throw new Error("the model's scores are not finite: it does not run on this machine");
  const result = sigmoid ? y.map((value) => 1 / (1 + Math.exp(-value))) : y.slice();
  for (const [begin, end] of softmax) {
    const part = y.subarray(begin, end), most = part.reduce((a, b) => Math.max(a, b)), powers = part.map((value) => Math.exp(value - most));
    const sum = powers.reduce((a, b) => a + b);
    powers.forEach((power, k) => { result[begin + k] = power / sum; });
  }
  return result;
}

// The labels that an image answers, where it may have several: the best of each group, and those above the threshold.
function answersOf(y) {
  if (!data.answers) return null;
  const { exclusive, threshold, parents } = data.answers, above = new Map(parents), chosen = new Set();
  for (const [begin, end] of exclusive) chosen.add(y.subarray(begin, end).reduce((best, value, k, part) => (value > part[best] ? k : best), 0) + begin);
  const free = exclusive.length ? exclusive[exclusive.length - 1][1] : 0;
  for (let k = free; k < y.length; k++) if (y[k] > threshold) chosen.add(k);
  const isWhole = (k) => { for (let parent = above.get(k); parent !== undefined; parent = above.get(parent)) if (!chosen.has(parent)) return false; return true; };
  return [...chosen].filter(isWhole);
}

// A map [rows, columns] of the first image, scaled to bytes from its least to its greatest value.
function mapAt(tensor, index) {
  const [, , rows, columns] = tensor.dims, size = rows * columns, values = numbersOf(tensor).subarray(index * size, (index + 1) * size);
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) throw new Error("the map holds values that are not finite: the model does not run on this machine");
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { cells: [rows, columns], values: Uint8Array.from(values, (value) => rounded(Math.fround((value - low) / (high - low || 1)) * 255)) };
}

function explanationOf(results, photo) {
  return data.task === "boxes" ? boxesOf(results, photo) : classesOf(results, photo);
}

function classesOf(results, photo) {
  const y = probabilitiesOf(results[data.scores.name]), maps = results.saliency_map, answers = answersOf(y);
  const ranked = [...y.keys()].sort((a, b) => y[b] - y[a] || a - b), explained = explainedBy(results);
  const item = (id) => ({ id, label: nameOf(id), probability: y[id], isAnswer: Boolean(answers?.includes(id)) });
  const indexOf = new Map(explained.map((id, index) => [id, index]));
  const mapOf = (id) => (indexOf.has(id) ? mapAt(maps, indexOf.get(id)) : null);
  const isExplained = (id) => indexOf.has(id) || data.wanted !== null;
  return { box: shownBox(photo), predictions: ranked.slice(0, PREDICTED).map(item), item, mapOf, isExplained };
}

// The classes that the maps are of, in their order.
function explainedBy(results) {
  if (results.saliency_class) return [...numbersOf(results.saliency_class).subarray(0, results.saliency_map.dims[1])];
  if (data.wanted) return [results.wanted];
  return data.explained ?? Array.from({ length: data.classes }, (_, id) => id);
}

function boxesOf(results, photo) {
  const index = numbersOf(results.saliency_index), classes = numbersOf(results.saliency_class);
  const scores = numbersOf(results.saliency_score), corners = numbersOf(results.saliency_box), count = results.saliency_map.dims[1];
  const targets = [];
  for (let place = 0; place < count; place++) {
    if (index[place] < 0 || scores[place] < data.least_score) continue;
    const box = corners.subarray(place * 4, place * 4 + 4);
    if (![scores[place], ...box].every(Number.isFinite)) throw new Error("boxes or scores are not finite: the model does not run on this machine");
    targets.push({
      id: classes[place], label: nameOf(classes[place]), probability: scores[place], row: index[place], place: photoBox(box, photo),
      colour: data.colours[targets.length % data.colours.length], map: mapAt(results.saliency_map, place),
    });
  }
  return { box: shownBox(photo), targets };
}
