"""Pictures side by side, each with a line of text."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

COLUMN, LINE, EDGE = 220, 20, 3
LETTERS = 31  # that fit into a column


def sheet(rows: Sequence[Sequence[tuple[np.ndarray, str]]]) -> np.ndarray:
    """[H, W, 3] RGB bytes: rows of pictures [h, w, 3], as wide as a column, each above its text; rows are equally long."""
    return np.vstack([np.hstack(_equally_tall([_captioned(*item) for item in row])) for row in rows])


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    height, width = picture.shape[:2]
    wide = COLUMN - 2 * EDGE
    small = cv2.resize(picture, (wide, max(1, round(height * wide / width))), interpolation=cv2.INTER_AREA)
    tile = cv2.copyMakeBorder(small, EDGE, LINE, EDGE, EDGE, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    shown = text if len(text) <= LETTERS else text[: LETTERS - 3] + "..."
    cv2.putText(tile, shown, (EDGE + 1, tile.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.asarray(tile)


def _equally_tall(tiles: list[np.ndarray]) -> list[np.ndarray]:
    tallest = max(tile.shape[0] for tile in tiles)
    return [np.pad(tile, ((0, tallest - tile.shape[0]), (0, 0), (0, 0)), constant_values=255) for tile in tiles]
