"use strict";

// From a photo to the model's input, as Python's preprocessing makes it: the same pixels, and the same numbers.

const ARRAYS = {
  float32: Float32Array, float16: Uint16Array, float64: Float64Array, uint8: Uint8Array, int8: Int8Array,
  uint16: Uint16Array, int16: Int16Array, uint32: Uint32Array, int32: Int32Array,
};
const GREY = { weights: [9798, 19235, 3735], half: 1 << 14, bits: 15 }; // of red, green and blue, as OpenCV has them

// The pixels of a photo [height, width, 3]: turned as its EXIF tells, no colour profile applied, transparent ones on white.
async function decoded(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    throw new Error(`this browser cannot read the photo (${error.message}): PNG, JPEG and WebP are safe`);
  }
  try { return drawnPixels(bitmap, bitmap.width, bitmap.height); } finally { bitmap.close(); }
}

function drawnPixels(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`the photo has ${width} x ${height} pixels, which are too many for this browser`);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const colours = context.getImageData(0, 0, width, height).data, pixels = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < colours.length; from += 4) {
    pixels[to++] = colours[from];
    pixels[to++] = colours[from + 1];
    pixels[to++] = colours[from + 2];
  }
  return { pixels, height, width };
}

// Along each side: `length` pixels of the photo from `start` on, which fill `filled` of the input's `size` from `begin` on.
function placements(tall, wide) {
  const [height, width] = data.image.size, kind = data.image.resize_type;
  let [shownTall, shownWide, filledTall, filledWide] = [tall, wide, height, width];
  if (kind === "crop") {
    shownTall = Math.min(tall, Math.max(1, Math.floor((wide * height) / width)));
    shownWide = Math.min(wide, Math.max(1, Math.floor((tall * width) / height)));
  } else if (kind !== "standard") {
    filledTall = Math.min(height, Math.max(1, rounded((tall * width) / wide)));
    filledWide = Math.min(width, Math.max(1, rounded((wide * height) / tall)));
  }
  const placed = (length, shown, size, filled) => ({
    start: Math.floor((length - shown) / 2), length: shown, begin: kind === "fit_to_window" ? 0 : Math.floor((size - filled) / 2), filled, size,
  });
  return [placed(tall, shownTall, height, filledTall), placed(wide, shownWide, width, filledWide)];
}

const onPhoto = (place, side) => side.start + ((place - side.begin) * side.length) / side.filled;

// What the input shows of a photo, as shares of its sides: left, top, width, height. Beyond the photo where it is padded.
function shownBox({ height, width }) {
  const [rows, columns] = placements(height, width);
  const [top, left] = [onPhoto(0, rows) / height, onPhoto(0, columns) / width];
  return [left, top, onPhoto(columns.size, columns) / width - left, onPhoto(rows.size, rows) / height - top];
}

// A box left, top, right, bottom of the input, as shares of the photo's sides, cut off at its edges: left, top, width, height.
function photoBox([x0, y0, x1, y1], { height, width }) {
  const [rows, columns] = placements(height, width);
  const across = (x) => clamp(onPhoto(x, columns), 0, width) / width, down = (y) => clamp(onPhoto(y, rows), 0, height) / height;
  return [across(x0), down(y0), across(x1) - across(x0), down(y1) - down(y0)];
}

// The photo's pixels at the input's size, ahead of all arithmetic.
function fedPixels(photo) {
  const [rows, columns] = placements(photo.height, photo.width), [height, width] = data.image.size;
  const part = resized(cut(photo, rows, columns), rows.filled, columns.filled).pixels;
  if (rows.filled === height && columns.filled === width) return part;
  const pixels = new Uint8Array(height * width * 3).fill(data.image.pad_value);
  for (let y = 0; y < rows.filled; y++) {
    pixels.set(part.subarray(y * columns.filled * 3, (y + 1) * columns.filled * 3), ((rows.begin + y) * width + columns.begin) * 3);
  }
  return pixels;
}

function cut(photo, rows, columns) {
  if (rows.length === photo.height && columns.length === photo.width) return photo;
  const pixels = new Uint8Array(rows.length * columns.length * 3);
  for (let y = 0; y < rows.length; y++) {
    const from = ((rows.start + y) * photo.width + columns.start) * 3;
    pixels.set(photo.pixels.subarray(from, from + columns.length * 3), y * columns.length * 3);
  }
  return { pixels, height: rows.length, width: columns.length };
}

// The numbers of the input for its pixels: a table of each channel says what a byte becomes.
function fedNumbers(pixels) {
  const { batch, channels, channels_first: first, is_rgb: isRgb, tables, type } = data.image, count = pixels.length / 3;
  const numbers = new ARRAYS[type](batch * channels * count), [red, green, blue] = GREY.weights;
  for (let c = 0; c < channels; c++) {
    const table = ARRAYS[type].from(tables[c]), from = isRgb ? c : 2 - c, step = first ? 1 : channels;
    for (let i = 0, to = first ? c * count : c; i < count; i++, to += step) {
      const k = i * 3;
      numbers[to] = table[channels === 1 ? (pixels[k] * red + pixels[k + 1] * green + pixels[k + 2] * blue + GREY.half) >> GREY.bits : pixels[k + from]];
    }
  }
  for (let item = 1; item < batch; item++) numbers.copyWithin(item * channels * count, 0, channels * count);
  return numbers;
}

function fedShape() {
  const { batch, channels, channels_first: first, size } = data.image;
  return first ? [batch, channels, ...size] : [batch, ...size, channels];
}
