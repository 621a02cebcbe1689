"""Pictures side by side, each with a line of text."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from openvino_xai.render.lettering import lettered

COLUMN, LINE, EDGE = 220, 20, 3
TALL = 4 * COLUMN  # at most: what is taller is made narrower
LETTERS = 31  # that fit into a column


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
