"use strict";

// Photos at other sizes, bit for bit as OpenCV's resize makes them of bytes on x86: the maps of Python are the maps here.

const LINEAR_STEPS = 2048; // linear weights are rounded to so many parts of one
const SLIVER = 1e-3; // of a pixel: what covers less of it is left out

// Half to even, as the machine rounds.
function rounded(value) {
  const low = Math.floor(value), rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

// Pixels [height, width, 3] at the size [tall, wide]: averaged along a side that shrinks, linear along one that grows.
function resized({ pixels, height, width }, tall, wide) {
  let image = { pixels, height, width };
  const small = [Math.min(tall, height), Math.min(wide, width)];
  if (small[0] !== height || small[1] !== width) image = averaged(image, ...small);
  if (small[0] !== tall || small[1] !== wide) image = interpolated(image, tall, wide);
  return image;
}

function averaged(image, tall, wide) {
  const down = 1 / (tall / image.height), across = 1 / (wide / image.width);
  const isWhole = (scale) => Math.abs(scale - Math.round(scale)) < Number.EPSILON;
  return isWhole(down) && isWhole(across) ? averagedBlocks(image, tall, wide, Math.round(down), Math.round(across)) : averagedParts(image, tall, wide, down, across);
}

// Each pixel is the mean of as many whole ones.
function averagedBlocks({ pixels, height, width }, tall, wide, down, across) {
  const result = new Uint8ClampedArray(tall * wide * 3), share = Math.fround(1 / (down * across)), isQuad = down === 2 && across === 2;
  for (let y = 0, to = 0; y < tall; y++) for (let x = 0; x < wide; x++) for (let c = 0; c < 3; c++, to++) {
    let sum = 0;
    for (let j = 0; j < down; j++) for (let i = 0, at = ((y * down + j) * width + x * across) * 3 + c; i < across; i++, at += 3) sum += pixels[at];
    result[to] = isQuad ? (sum + 2) >> 2 : rounded(Math.fround(Math.fround(sum) * share));
  }
  return { pixels: result, height: tall, width: wide };
}

// For each pixel of a side, in turn: from where, to where, and what share of it that is.
function parts(length, count, scale) {
  const table = [];
  for (let to = 0; to < count; to++) {
    const begin = to * scale, end = begin + scale, cell = Math.min(scale, length - begin);
    const last = Math.min(Math.floor(end), length - 1), first = Math.min(Math.ceil(begin), last);
    if (first - begin > SLIVER) table.push([first - 1, to, Math.fround((first - begin) / cell)]);
    for (let from = first; from < last; from++) table.push([from, to, Math.fround(1 / cell)]);
    if (end - last > SLIVER) table.push([last, to, Math.fround(Math.min(end - last, 1, cell) / cell)]);
  }
  return table;
}

// Sums in single precision, along rows first, in OpenCV's order.
function averagedParts({ pixels, height, width }, tall, wide, down, across) {
  const columns = parts(width, wide, across), result = new Uint8ClampedArray(tall * wide * 3);
  const from = Int32Array.from(columns, ([x]) => x * 3), to = Int32Array.from(columns, ([, x]) => x * 3), shares = Float32Array.from(columns, ([, , share]) => share);
  const row = new Float32Array(wide * 3), sum = new Float32Array(wide * 3);
  let line = 0;
  const write = () => { for (let x = 0, at = line * wide * 3; x < sum.length; x++, at++) result[at] = rounded(sum[x]); };
  for (const [y, target, weight] of parts(height, tall, down)) {
    row.fill(0);
    const start = y * width * 3;
    for (let k = 0; k < shares.length; k++) {
      const at = start + from[k], place = to[k], share = shares[k];
      row[place] += Math.fround(pixels[at] * share);
      row[place + 1] += Math.fround(pixels[at + 1] * share);
      row[place + 2] += Math.fround(pixels[at + 2] * share);
    }
    if (target !== line) { write(); sum.fill(0); line = target; }
    for (let x = 0; x < sum.length; x++) sum[x] += Math.fround(weight * row[x]);
  }
  write();
  return { pixels: result, height: tall, width: wide };
}

// For each pixel of a side: the two around it, and their weights as whole numbers. Beyond the outermost centres there is one
// pixel twice: its columns have the weights 1 and 0 there, its rows those of a pixel further out, which are rounded another way.
function neighbours(length, count, isAcross) {
  const scale = 1 / (count / length), inside = (place) => Math.min(Math.max(place, 0), length - 1);
  return Array.from({ length: count }, (_, to) => {
    const exact = Math.fround((to + 0.5) * scale - 0.5), first = Math.floor(exact);
    const share = isAcross && (first < 0 || first >= length - 1) ? 0 : Math.fround(exact - first);
    const weights = [Math.fround(1 - share), share].map((weight) => rounded(Math.fround(weight * LINEAR_STEPS)));
    return [inside(first), inside(first + 1), ...weights];
  });
}

function interpolated({ pixels, height, width }, tall, wide) {
  const columns = neighbours(width, wide, true), result = new Uint8ClampedArray(tall * wide * 3), lines = new Map();
  const lineOf = (y) => {
    if (!lines.has(y)) {
      const line = new Int32Array(wide * 3);
      columns.forEach(([left, right, a, b], x) => {
        for (let c = 0; c < 3; c++) line[x * 3 + c] = pixels[(y * width + left) * 3 + c] * a + pixels[(y * width + right) * 3 + c] * b;
      });
      lines.delete(y - 2);
      lines.set(y, line);
    }
    return lines.get(y);
  };
  neighbours(height, tall, false).forEach(([top, below, a, b], y) => {
    const upper = lineOf(top), lower = lineOf(below);
    for (let x = 0, at = y * wide * 3; x < wide * 3; x++, at++) result[at] = (((a * (upper[x] >> 4)) >> 16) + ((b * (lower[x] >> 4)) >> 16) + 2) >> 2;
  });
  return { pixels: result, height: tall, width: wide };
}
