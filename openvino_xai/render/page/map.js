
// Maps as pictures.

const lut = bytes(data.colormap);
const FINE = 48; // pixels of a canvas for each side of a map with few cells
const FINEST = 160; // in the viewer

// Values are interpolated between the centres of cells, and coloured then: so are the overlays of the command line.
function paint(canvas, { cells: [rows, columns], values }, fine) {
  const height = Math.max(rows, fine), width = Math.max(columns, fine);
  canvas.height = height;
  canvas.width = width;
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  const across = Array.from({ length: width }, (_, x) => between(x, width, columns));
  for (let y = 0; y < height; y++) {
    const [top, below, down] = between(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, share] = across[x];
      const upper = values[top * columns + left] * (1 - share) + values[top * columns + right] * share;
      const lower = values[below * columns + left] * (1 - share) + values[below * columns + right] * share;
      const level = Math.round(upper * (1 - down) + lower * down) * 3, to = (y * width + x) * 4;
      picture.data.set([lut[level], lut[level + 1], lut[level + 2], 255], to);
    }
  }
  context.putImageData(picture, 0, 0);
}

// The two cells that a pixel lies between, and the share of the second.
function between(pixel, pixels, cells) {
  const exact = Math.min(Math.max(((pixel + 0.5) * cells) / pixels - 0.5, 0), cells - 1), first = Math.floor(exact);
  return [first, Math.min(first + 1, cells - 1), exact - first];
}

// The highest of all maps of an item, cell by cell.
function joint(item) {
  const [first, ...others] = item.image.targets.map((_, index) => mapOf(item, index));
  for (const { values } of others) values.forEach((value, cell) => { first.values[cell] = Math.max(first.values[cell], value); });
  return first;
}

function drawBar(canvas) {
  const context = canvas.getContext("2d"), picture = context.createImageData(256, 1);
  for (let level = 0; level < 256; level++) picture.data.set([...lut.subarray(level * 3, level * 3 + 3), 255], level * 4);
  context.putImageData(picture, 0, 0);
}
