"""Boxes over a photo, each with its label, and maps in the colours of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from openvino_xai.render.lettering import lettered
from openvino_xai.render.overlay import OVERLAY, Box, Spread, Style, drawn, stretch

Colour: TypeAlias = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (  # far from each other, and from what photos are mostly made of
    (255, 64, 64),
    (64, 160, 255),
    (64, 220, 96),
    (255, 176, 32),
    (208, 96, 255),
    (32, 224, 224),
    (255, 112, 192),
    (200, 230, 40),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX
LETTERS = 40  # of a label
DIMMED = 0.5  # of an overlay's opacity: how dark the photo is where no map is high, so that colours show
LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue are
SHARE = 3  # a label takes at most a third of a picture's height


def colour_of(index: int) -> Colour:
    """The colour of a box, by its place among the boxes; after eight they come again."""
    return COLOURS[index % len(COLOURS)]


@dataclass(frozen=True)
class Mark:
    """A box (x0, y0, x1, y1) in pixels of a photo, what is written on it, and its colour."""

    box: Box
    text: str
    colour: Colour


def marked(picture: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """[H, W, 3] RGB bytes: a picture with boxes and labels on it; the first lie on top."""
    result = np.array(picture, order="C")
    for mark in reversed(marks):
        _outline(result, mark)
    for mark in reversed(marks):
        _write(result, mark)
    return result


def tinted(photo: np.ndarray, maps: np.ndarray, box: Box, colours: Sequence[Colour], style: Style = OVERLAY) -> np.ndarray:
    """[H, W, 3] RGB bytes: maps [D, h, w], each in a colour of its own, over the part of the photo that the model saw.

    Where several maps are high their colours mix; the photo itself is paler and darker the more opaque maps are. Contours have
    no colours of boxes: they are those of the highest map anywhere. Raises InputError for a map with NaN.
    """
    scaled = np.stack([stretch(saliency) for saliency in maps])
    highest = scaled.max(axis=0)
    if style.kind == "contours":
        return drawn(photo, highest, box, style)
    opacity = 1.0 if style.kind == "heatmap" else style.opacity
    picture = np.zeros(photo.shape, np.uint8) if style.kind == "heatmap" else np.array(photo, order="C")
    shares = scaled / np.maximum(scaled.sum(axis=0), np.finfo(np.float32).tiny)
    tints = highest[..., None] * np.einsum("dhw,dc->hwc", shares, np.array(colours, np.float64))
    layers = [Spread(layer, photo.shape[:2], box, style.smoothing).bands() for layer in (highest, *np.moveaxis(tints, -1, 0))]
    for (place, cover), *channels in zip(*layers, strict=True):
        tint = np.stack([band for _, band in channels], axis=-1)
        dimmed = 1 - opacity * (DIMMED + (1 - DIMMED) * cover[..., None])
        picture[place] = np.round(_paled(picture[place], opacity) * dimmed + tint * opacity)
    return picture


def _paled(pixels: np.ndarray, share: float) -> np.ndarray:
    """Pixels [h, w, 3], f64, with a share of their colour gone, so that it is not taken for a map's."""
    return np.asarray(pixels * (1 - share) + (pixels @ np.array(LUMA))[..., None] * share)


def _outline(picture: np.ndarray, mark: Mark) -> None:
    """Draw a box's four sides, inside the picture."""
    height, width = picture.shape[:2]
    thick = max(1, round(max(height, width) / 300))
    x0, y0, x1, y1 = (round(edge) for edge in mark.box)
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    x1, y1 = min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height)
    inner = slice(y0 + thick, max(y0 + thick, y1 - thick)), slice(x0 + thick, max(x0 + thick, x1 - thick))
    inside = picture[inner].copy()
    picture[y0:y1, x0:x1] = mark.colour
    picture[inner] = inside


def _write(picture: np.ndarray, mark: Mark) -> None:
    """Write a label above a box, or inside where there is no room; none where the picture is too small to read it."""
    height, width = picture.shape[:2]
    scale = max(0.4, max(height, width) / 1600)
    thick, margin = max(1, round(1.6 * scale)), max(2, round(5 * scale))
    line = lettered(mark.text, LETTERS)
    (wide, tall), below = cv2.getTextSize(line, FONT, scale, thick)
    wide, tall = wide + 2 * margin, tall + below + margin
    if tall * SHARE > height or not line:
        return
    x0, y0 = (round(edge) for edge in mark.box[:2])
    left, top = max(0, min(x0, width - wide)), y0 - tall if y0 >= tall else min(y0, height - tall)
    picture[top : top + tall, left : left + wide] = mark.colour
    dark = np.dot(mark.colour, LUMA) > 110
    ink = (0, 0, 0) if dark else (255, 255, 255)
    cv2.putText(picture, line, (left + margin, top + tall - below), FONT, scale, ink, thick, cv2.LINE_AA)
