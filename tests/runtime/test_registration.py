"""Where a photo lands in the input, and its map on the photo: any size of photo, input and kind of resizing."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny
from tiny_transformers import CHANNELS, Transformer

import openvino_xai as xai
from openvino_xai.render.overlay import Style, drawn, on_photo
from openvino_xai.runtime.preprocessing import Preprocessing, Resize

Size = tuple[int, int]  # height, width
KINDS = get_args(Resize)
PHOTOS = [(1, 1), (1, 2), (3, 2), (1, 3000), (3000, 1), (224, 224), (333, 500), (500, 333), (67, 100), (101, 67), (320, 319),
          (225, 223), (480, 640), (2999, 7), (1080, 1920)]  # fmt: skip
INPUTS = [(224, 224), (1, 1), (224, 112), (96, 260), (7, 7)]
SIDES = st.one_of(st.integers(1, 12), st.integers(1, 400), st.integers(1, 3000))
SIZES = st.tuples(SIDES, SIDES).filter(lambda size: size[0] * size[1] < 2_000_000)


def prepared(kind: Resize, size: Size) -> Preprocessing:
    return Preprocessing(size, layout="NHWC", reverse_input_channels=True, resize_type=kind)


def centres(first: float, last: float, count: int) -> np.ndarray:
    """The middles of `count` pixels that lie between two edges."""
    return first + (np.arange(count) + 0.5) * (last - first) / count


def check_white(kind: Resize, size: Size, photo: Size) -> None:
    """A white photo is white wherever the box lies in it, and padding is where it does not, of `fit_to_window` alone."""
    planes = prepared(kind, size)(np.full((*photo, 3), 255, np.uint8))[0, :, :, 0]
    x0, y0, x1, y1 = prepared(kind, size).box(photo)
    across = (centres(x0, x1, size[1]) > 0) & (centres(x0, x1, size[1]) < photo[1])
    down = (centres(y0, y1, size[0]) > 0) & (centres(y0, y1, size[0]) < photo[0])
    np.testing.assert_array_equal(planes, 255.0 * (down[:, None] & across))
    if not kind.startswith("fit"):
        assert (planes == 255).all()


def check_ramp(kind: Resize, size: Size, photo: Size) -> None:
    """Red grows to the right and green downwards: the input's colours say where its pixels come from."""
    height, width = photo
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0] = np.rint(centres(0, 255, width))
    ramp[..., 1] = np.rint(centres(0, 255, height))[:, None]
    ramp[..., 2] = 255
    planes = prepared(kind, size)(ramp)[0]
    x0, y0, x1, y1 = prepared(kind, size).box(photo)
    inside = planes[..., 2] == 255
    assert inside.any()
    red = along(x0, x1, size[1], width)
    green = along(y0, y1, size[0], height)
    for channel, expected, pixel in (
        (0, red[None], (x1 - x0) / size[1] / width),
        (1, green[:, None], (y1 - y0) / size[0] / height),
    ):
        off = np.abs(planes[..., channel] - expected)[inside]
        assert off.max() <= 255 * pixel / 2 + 1.5, (kind, size, photo)  # 1.5: the photo's bytes, and the input's


def along(first: float, last: float, count: int, length: int) -> np.ndarray:
    """The ramp where the input's pixels lie; outside the middles of the pixels that are shown there is nothing to go by."""
    return np.clip(centres(first, last, count), max(first, 0) + 0.5, min(last, length) - 0.5) * 255 / length


def check_shape(kind: Resize, size: Size, photo: Size) -> None:
    """The box keeps the ratio of the input's sides and the photo's middle, to a pixel of the photo or of the input."""
    (height, width), (tall, wide) = size, photo
    x0, y0, x1, y1 = prepared(kind, size).box(photo)
    across, down = wide / width, tall / height
    if kind == "standard":
        assert (x0, y0, x1, y1) == (0, 0, wide, tall)
    elif kind == "crop":
        assert 0 <= x0 < x1 <= wide and 0 <= y0 < y1 <= tall
        assert abs((x1 - x0) - width * min(across, down)) <= 1 and abs((y1 - y0) - height * min(across, down)) <= 1
        assert abs(x0 - (wide - x1)) <= 1 and abs(y0 - (tall - y1)) <= 1
    else:
        filled = np.array([wide * width / (x1 - x0), tall * height / (y1 - y0)])  # of the input's pixels
        assert np.abs(filled - np.array([wide, tall]) / max(across, down)).max() <= 1
        assert x0 <= 0 and y0 <= 0 and x1 >= wide - 1e-9 and y1 >= tall - 1e-9
        if kind == "fit_to_window":
            assert (x0, y0) == (0, 0)
        else:
            assert abs(-x0 - (x1 - wide)) <= (x1 - x0) / width + 1e-6 and abs(-y0 - (y1 - tall)) <= (y1 - y0) / height + 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", [check_white, check_ramp, check_shape])
def test_photos_of_many_sizes(check: Any, kind: Resize) -> None:
    for size, photo in product(INPUTS, PHOTOS):
        check(kind, size, photo)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), size=st.tuples(st.integers(1, 260), st.integers(1, 260)), photo=SIZES)
def test_photos_of_any_size(kind: Resize, size: Size, photo: Size) -> None:
    check_white(kind, size, photo)
    check_ramp(kind, size, photo)
    check_shape(kind, size, photo)


def test_a_side_that_shrinks_is_averaged_though_the_other_grows() -> None:
    stripes = np.zeros((10, 2240, 3), np.uint8)
    stripes[:, ::2] = 255
    for photo in (stripes, np.ascontiguousarray(stripes.transpose(1, 0, 2))):
        assert np.abs(prepared("standard", (224, 224))(photo) - 127.5).max() <= 1


def test_a_side_that_is_seen_mirrored_in_memory() -> None:
    """Views with steps of any sign, as `image[..., ::-1]` makes them, are read as what they show."""
    photo = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    for kind in KINDS:
        for view in (photo[..., ::-1], photo[::-1], photo[:, ::-2]):
            np.testing.assert_array_equal(prepared(kind, (20, 20))(view), prepared(kind, (20, 20))(view.copy()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_lands_where_its_pixels_come_from(kind: Resize) -> None:
    """A map is the input itself: laid over the photo, each bright pixel lies on the photo's bright corner."""
    for photo, (row, column) in product([(333, 500), (500, 333), (40, 90), (7, 5)], product((0, 1), (0, 1))):
        prepare = prepared(kind, (56, 56))
        white = corner(prepare, photo, (row, column), 2)
        saliency = prepare(white)[0, :, :, 0] / 255
        spread, coverage = on_photo(saliency, photo, prepare.box(photo))
        object_there = white[..., 0] == 255
        assert spread[object_there & coverage].mean() > 0.8
        assert spread[~object_there & coverage].mean() < 0.2
        heat = drawn(white, saliency, prepare.box(photo), Style("heatmap", "hot"))
        bright = heat[..., 1] > 127
        assert (bright & object_there).sum() > 0.8 * (bright | object_there).sum() or max(photo) < 10


def corner(prepare: Preprocessing, photo: Size, place: tuple[int, int], part: int) -> np.ndarray:
    """A black photo, white in a corner of what the input shows of it, a `part` of each side long."""
    picture = np.zeros((*photo, 3), np.uint8)
    x0, y0, x1, y1 = prepare.box(photo)
    left, right, top, bottom = max(x0, 0), min(x1, photo[1]), max(y0, 0), min(y1, photo[0])
    tall, wide = (bottom - top) / part, (right - left) / part
    top, left = (bottom - tall if place[0] else top), (right - wide if place[1] else left)
    picture[round(top) : max(round(top + tall), round(top) + 1), round(left) : max(round(left + wide), round(left) + 1)] = 255
    return picture


def bright_cnn() -> onnx.ModelProto:
    """Its first class is as probable as the image is bright; cells of 4 x 4 pixels, 8 x 8 of them."""
    weights = np.zeros((5, 4), np.float32)
    weights[0] = 64
    return tiny(
        "f = Conv<strides=[4,4]>(image, w0) p = GlobalAveragePool(f) r = Flatten(p) logits = Gemm<transB=1>(r, w)",
        image=(3, 32, 32),
        w0=np.full((4, 3, 4, 4), 1 / 48, np.float32),
        w=weights,
    )


def bright_transformer() -> onnx.ModelProto:
    """The class token sees the mean of the patches, 3 x 4 of them, which are bright or dark along two channels."""
    model = Transformer(repeats=1).build("B")
    eye = np.eye(CHANNELS, dtype=np.float32)
    light, dark = eye[0], eye[1]
    weights = {
        "w0": (light - dark)[:, None, None, None] * np.full((1, 3, 2, 2), 1 / 12, np.float32), "b0": dark,
        "wqkv": np.concatenate([0 * eye, 0 * eye, eye], axis=1), "wo": eye, "g1": 1 + 0 * light, "g2": 1 + 0 * light,
        "gn": 1 + 0 * light, "w": np.stack([light - dark, *[0 * light] * 4]),
    }  # fmt: skip
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.ndim and array.size > 1:
            values = weights.get(tensor.name, np.zeros_like(array))
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32).reshape(array.shape), tensor.name))
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("build", "part"), [(bright_cnn, 4), (bright_transformer, 2)])
@pytest.mark.slow
def test_the_hottest_cell_lies_on_the_object(build: Any, part: int, kind: Resize) -> None:
    network = xai.load(xai.insert(build()))
    network.configure(preprocessing={"resize_type": kind, "scale_values": "255"})
    for photo, place in product([(333, 500), (500, 333), (30, 20), (3, 5)], product((0, 1), (0, 1))):
        picture = corner(network.preprocessing, photo, place, part)
        explanation = network.explain(picture, targets=[0])
        saliency = explanation.maps[0]
        row, column = np.unravel_index(int(saliency.argmax()), saliency.shape)
        x0, y0, x1, y1 = explanation.box
        x, y = centres(x0, x1, saliency.shape[1])[column], centres(y0, y1, saliency.shape[0])[row]
        assert picture[min(int(y), photo[0] - 1), min(int(x), photo[1] - 1), 0] == 255, (kind, photo, place)
        heat = explanation.heatmap(colormap="hot", smoothing="nearest").astype(int).sum(axis=2)
        assert picture[heat == heat.max()].mean() > 127
