"""Which part of the image a network looks at, and on which maps of the image its cells lie."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, in_dialect, tiny, with_open_sizes

import openvino_xai as xai
from openvino_xai.errors import LayerError, PlanError
from openvino_xai.locate.framing.layout import Extent, Side, layout_of
from openvino_xai.locate.located import locate

BEHIND = " f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm(v, w)"
NEXT = "c = Conv<strides=[4,4], pads=[1,1,1,1]>({}, k)" + BEHIND
WEIGHTS = {"k": (4, 3, 5, 5), "w": (4, 5)}
INTS = np.array


def extent(first: float, last: float, of: int = 32) -> Extent:
    return Extent(Fraction(first) / of, Fraction(last) / of)


def network(body: str, image: tuple[int, ...] = (3, 32, 32), **constants: Any) -> onnx.ModelProto:
    body = body if "c = " in body else body + NEXT.format("x")
    return tiny(body, image=image, **{**WEIGHTS, **constants})


FRAMES: dict[str, tuple[str, dict[str, np.ndarray], tuple[float, float], tuple[float, float]]] = {
    "a slice of rows, then one of columns": (
        "y = Slice(image, s, e, two) x = Slice(y, t, u, three) ",
        {"s": INTS([4]), "e": INTS([28]), "two": INTS([2]), "t": INTS([-24]), "u": INTS([2**62]), "three": INTS([3])},
        (4, 28),
        (8, 32),
    ),
    "a border that is taken off": ("x = Pad(image, pads) ", {"pads": INTS([0, 0, -8, 0, 0, 0, 0, -16])}, (8, 32), (0, 16)),
    "a canvas, and a crop of it": (
        "y = Pad(image, pads) x = Slice(y, s, e, two) ",
        {"pads": INTS([0, 0, 8, 16, 0, 0, 8, 16]), "s": INTS([4]), "e": INTS([44]), "two": INTS([2])},
        (-4, 36),
        (-16, 48),
    ),
    "a crop of what is made larger": (
        'y = Resize<mode="linear">(image, , scales) x = Slice(y, s, e, both) ',
        {"scales": np.array([1, 1, 2, 1], np.float32), "s": INTS([8, 8]), "e": INTS([48, 24]), "both": INTS([2, 3])},
        (4, 24),
        (8, 24),
    ),
    "a crop of normalised pixels, channels last": (
        "m = ReduceMean<axes=[1], keepdims=1>(image) n = Sub(image, m) t = Transpose<perm=[0,2,3,1]>(n) "
        "y = Slice(t, s, e, first) x = Transpose<perm=[0,3,1,2]>(y) ",
        {"s": INTS([8]), "e": INTS([24]), "first": INTS([1])},
        (8, 24),
        (0, 32),
    ),
    "a crop of which a convolution writes its border apart": (
        "y = Slice(image, s, e, two) q = Pad(y, pads) c = Conv<strides=[2,2]>(q, k)" + BEHIND,
        {"pads": INTS([0, 0, 2, 2, 0, 0, 1, 1]), "s": INTS([8]), "e": INTS([24]), "two": INTS([2])},
        (8, 24),
        (0, 32),
    ),
    "a canvas that a convolution has as its own border": (
        "c = Conv<strides=[2,2], pads=[9,1,9,1]>(image, k)" + BEHIND,
        {"k": (4, 3, 3, 3)},
        (-8, 40),
        (0, 32),
    ),
    "a canvas of patches, and a crop ahead of it": (
        "y = Slice(image, s, e, two) c = Conv<strides=[4,4], pads=[8,0,4,4]>(y, k)" + BEHIND,
        {"k": (4, 3, 4, 4), "s": INTS([8]), "e": INTS([24]), "two": INTS([2])},
        (0, 28),
        (0, 36),
    ),
}
UNFRAMED = {
    "a convolution that sees some of the image everywhere": (
        "c = Conv<strides=[1,1], pads=[2,2,2,2]>(image, k)" + BEHIND,
        {"k": (4, 3, 3, 3)},
    ),
    "the border of a convolution, written apart": ("x = Pad(image, pads) ", {"pads": INTS([0, 0, 1, 1, 0, 0, 1, 1])}),
    "that of a wide one": (
        "x = Pad(image, pads) c = Conv<strides=[2,2]>(x, k)" + BEHIND,
        {"pads": INTS([0, 0, 3, 3, 0, 0, 3, 3]), "k": (4, 3, 7, 7)},
    ),
    "that of one whose end has more": (
        "x = Pad(image, pads) c = Conv<strides=[2,2]>(x, k)" + BEHIND,
        {"pads": INTS([0, 0, 0, 0, 0, 0, 1, 1]), "k": (4, 3, 3, 3)},
    ),
    "a crop that is put back": (
        "y = Slice(image, s, e, two) x = Pad(y, pads) ",
        {"s": INTS([4]), "e": INTS([28]), "two": INTS([2]), "pads": INTS([0, 0, 4, 0, 0, 0, 4, 0])},
    ),
    "a slice of all": ("x = Slice(image, s, e, two) ", {"s": INTS([0]), "e": INTS([99]), "two": INTS([2])}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", FRAMES)
def test_what_a_network_looks_at(name: str, dialect: str) -> None:
    body, constants, rows, columns = FRAMES[name]
    frame = locate(in_dialect(network(body, **constants), dialect)).frame
    assert frame is not None
    assert (frame.rows, frame.columns) == (extent(*rows), extent(*columns))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", UNFRAMED)
def test_what_is_no_part_of_the_image(name: str, dialect: str) -> None:
    body, constants = UNFRAMED[name]
    assert locate(in_dialect(network(body, **constants), dialect)).frame is None


REFUSED = {
    "two crops side by side": (
        "y = Slice(image, s, e, two) z = Slice(image, t, u, two) x = Add(y, z) ",
        {"s": INTS([0]), "e": INTS([24]), "t": INTS([8]), "u": INTS([32]), "two": INTS([2])},
    ),
    "a mirror around the image": ('x = Pad<mode="reflect">(image, pads) ', {"pads": INTS([0, 0, 16, 0, 0, 0, 16, 0])}),
    "a crop of the cells": (
        "d = Conv<strides=[2,2], pads=[2,2,2,2]>(image, k) y = Slice(d, s, e, two) c = Conv(y, l)" + BEHIND,
        {"s": INTS([4]), "e": INTS([12]), "two": INTS([2]), "l": (4, 4, 5, 5)},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_network_looks_at_in_other_ways_is_refused(name: str) -> None:
    body, constants = REFUSED[name]
    with pytest.raises(
        LayerError, match=r"(the last is '(x|image|y)'|rows and columns of the image are not followed|no layer)"
    ):
        xai.insert(network(body, **constants))


def test_a_crop_of_an_image_of_any_size_is_refused() -> None:
    crop = network("x = Slice(image, s, e, two) ", s=INTS([4]), e=INTS([-4]), two=INTS([2]))
    with pytest.raises(LayerError, match="rows and columns of the image are not followed"):
        xai.insert(with_open_sizes(crop))
    assert xai.insert(network("x = Slice(image, s, e, two) ", s=INTS([4]), e=INTS([-4]), two=INTS([2]))).verified


def test_a_refusal_names_the_crop() -> None:
    model = network("x = Slice(image, s, e, two) ", s=INTS([0]), e=INTS([13]), two=INTS([2]), image=(3, 101, 32))
    model.graph.node[0].name = "a'\n\x1b[2Jb"
    with pytest.raises(LayerError, match="which no map of at most 128 rows shows exactly") as error:
        xai.insert(model)
    assert "'a'\n\x1b[2Jb' (Slice), can stand ahead of the model" in str(error.value)


def test_a_map_of_too_many_places_is_refused() -> None:
    with pytest.raises(PlanError, match="a map of 4096 x 4096 shows, which is too large"):
        layout_of(extent(1, 2, 2), extent(1, 2, 2), (2048, 2048), "a layer")
    with pytest.raises(PlanError, match="of a layer, 1 cells lie on the image"):
        layout_of(extent(-9, 9, 8), extent(0, 1, 1), (2, 1), "a layer")


@pytest.mark.parametrize(
    ("part", "cells", "expected"),
    [
        (extent(16, 240, 256), 7, (16, 2, 1)),
        (extent(4, 228, 232), 7, (58, 8, 1)),
        (extent(-8, 56, 48), 8, (6, 1, -1)),
        (extent(-4, 8, 8), 3, (2, 1, -1)),
        (extent(0, 32), 4, (4, 1, 0)),
        (extent(16, 240, 256), 112, (128, 1, 8)),
        (extent(1, 225, 226), 7, None),
        (extent(21, 320, 342), 8, None),
    ],
)
def test_the_fewest_parts_of_a_side(part: Extent, cells: int, expected: tuple[int, int, int] | None) -> None:
    """Each pixel of the side lies in a part of the map, and so in the cell that it has of the network's image."""
    side = Side.of(part, cells)
    if expected is None:
        assert side is None
        return
    assert side is not None
    assert (side.parts, side.each, side.first) == expected
    pixels = np.arange(720) + 0.5
    true = np.floor((pixels / 720 - float(part.start)) / float(part.end - part.start) * cells)
    there = side.sources[(pixels / 720 * side.parts).astype(int)]
    np.testing.assert_array_equal(there, np.where((true >= 0) & (true < cells), true, -1))
