"""Pictures with text: side by side, each with a line; or one, with lines under it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from openvino_xai.render.lettering import lettered

COLUMN, LINE, EDGE = 220, 20, 3
TALL = 4 * COLUMN  # at most: what is taller is made narrower
LETTERS = 31  # that fit into a column
FONT = cv2.FONT_HERSHEY_SIMPLEX
LARGEST_LETTERS = 2.0  # of the font's size, which has letters of about 20 x 22 pixels
SMALLEST_LETTERS = 0.35  # what is smaller is not read
LINE_LETTERS = 34  # of a line under a picture


def sheet(rows: Sequence[Sequence[tuple[np.ndarray, str]]]) -> np.ndarray:
    """[H, W, 3] RGB bytes: rows of pictures [h, w, 3], each fitted into a column above its text; rows are equally long.

    A picture is as wide as its column, unless it would be more than four times as tall.
    """
    return np.vstack([np.hstack(_equally_tall([_captioned(*item) for item in row])) for row in rows])


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    height, width = picture.shape[:2]
    wide = COLUMN - 2 * EDGE
    scale = min(wide / width, TALL / height)
    shown = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, shown, interpolation=cv2.INTER_AREA)
    right = EDGE + wide - shown[0]
    tile = cv2.copyMakeBorder(small, EDGE, LINE, EDGE, right, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(
        tile, lettered(text, LETTERS), (EDGE + 1, tile.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA
    )
    return np.asarray(tile)


def _equally_tall(tiles: list[np.ndarray]) -> list[np.ndarray]:
    tallest = max(tile.shape[0] for tile in tiles)
    return [np.pad(tile, ((0, tallest - tile.shape[0]), (0, 0), (0, 0)), constant_values=255) for tile in tiles]


def with_lines(picture: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """[H + h, W, 3] RGB bytes: a picture above lines of text on white, in letters that fit its width.

    What does not fit a line goes on in the next. A picture on which letters would be too small to read stays as it is.
    """
    width = picture.shape[1]
    scale = min(LARGEST_LETTERS, width / (LINE_LETTERS * 20))
    if scale < SMALLEST_LETTERS:
        return picture
    texts = [part for line in lines for part in _folded(lettered(line, 8 * LINE_LETTERS))]
    step = round(30 * scale) + 2
    strip = np.full((step * len(texts) + step // 2, width, 3), 255, np.uint8)
    for place, text in enumerate(texts, start=1):
        thickness = max(1, round(scale * 1.5))
        cv2.putText(strip, text, (round(8 * scale), step * place), FONT, scale, (0, 0, 0), thickness, cv2.LINE_AA)
    return np.vstack([picture, strip])


def _folded(line: str) -> list[str]:
    """A line in parts that fit, cut between words where there are some."""
    parts = [""]
    for word in line.split(" "):
        for start in range(0, max(len(word), 1), LINE_LETTERS):
            piece = word[start : start + LINE_LETTERS]
            if len(parts[-1]) + 1 + len(piece) > LINE_LETTERS and parts[-1]:
                parts.append(piece)
            else:
                parts[-1] = f"{parts[-1]} {piece}".strip()
    return parts
