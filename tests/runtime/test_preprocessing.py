"""Photos to inputs, and where in the photo the input lies."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import CASES, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.runtime.preprocessing import Preprocessing

PLAIN = Preprocessing((4, 4))


def photo(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards, blue is 7."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 7)], axis=-1).astype(np.uint8)


def test_channels_are_bgr_unless_reversed() -> None:
    assert PLAIN(photo(4, 4))[0, 0, 0, 0] == 7
    assert PLAIN.updated({"reverse_input_channels": "YES"})(photo(4, 4))[0, 2, 0, 0] == 7


def test_mean_and_scale_are_in_the_models_order() -> None:
    prepare = PLAIN.updated({"mean_values": "[1, 2, 3]", "scale_values": "2 4 8"})
    planes = prepare(photo(4, 4))[0]
    np.testing.assert_allclose(planes[:, 3, 2], [(7 - 1) / 2, (3 - 2) / 4, (2 - 3) / 8])


def test_layouts() -> None:
    assert PLAIN(photo(4, 4)).shape == (1, 3, 4, 4)
    assert PLAIN.updated({"layout": "data:[N,H,W,C]"})(photo(4, 4)).shape == (1, 4, 4, 3)
    assert Preprocessing((4, 4), channels=1)(photo(4, 4)).shape == (1, 1, 4, 4)


@pytest.mark.parametrize(
    ("resize", "box"),
    [
        ("standard", (0, 0, 16, 8)),
        ("crop", (4, 0, 12, 8)),
        ("fit_to_window", (0, 0, 16, 16)),
        ("fit_to_window_letterbox", (0, -4, 16, 12)),
    ],
)
def test_what_the_input_shows_of_a_wide_photo(resize: str, box: tuple[float, ...]) -> None:
    prepare = PLAIN.updated({"resize_type": resize, "reverse_input_channels": "1"})
    assert prepare.box((8, 16)) == box
    planes = prepare(photo(8, 16))[0]
    x0, y0, x1, y1 = box
    # the middle of an input's pixel, in the photo: red tells its column and green its row
    for row in range(4):
        for column in range(4):
            x, y = x0 + (column + 0.5) * (x1 - x0) / 4 - 0.5, y0 + (row + 0.5) * (y1 - y0) / 4 - 0.5
            inside = 0 <= y < 8
            np.testing.assert_allclose(planes[:, row, column], [x, y, 7] if inside else [0, 0, 0], atol=0.51)


@pytest.mark.parametrize("resize", ["fit_to_window", "fit_to_window_letterbox"])
def test_what_is_beside_the_photo_is_as_grey_as_said(resize: str) -> None:
    planes = PLAIN.updated({"resize_type": resize, "pad_value": "114"})(photo(8, 16))[0]
    beside = [2, 3] if resize == "fit_to_window" else [0, 3]
    assert (planes[:, beside] == 114).all() and not (planes[:, 1] == 114).any()


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        ("standard", [4, 2, 12, 6]),
        ("crop", [6, 2, 10, 6]),
        ("fit_to_window", [4, 4, 12, 8]),
        ("fit_to_window_letterbox", [4, 0, 12, 8]),
    ],
)
def test_boxes_come_back_to_the_photo(resize: str, expected: list[float]) -> None:
    prepare = PLAIN.updated({"resize_type": resize})
    boxes = np.array([[1, 1, 3, 3], [-9, -9, 99, 99]], np.float32)
    np.testing.assert_allclose(prepare.boxes(boxes, (8, 16)), [expected, [0, 0, 16, 8]])


def test_an_input_size_from_text() -> None:
    assert PLAIN.updated({"input_size": "6x5"})(photo(9, 9)).shape == (1, 3, 6, 5)


STRANGE = {
    "mean_values": ["a", "1 2", "nan", "inf 0 0", "1e300", "1,2,3,4", "1;2;3", "1,,2;3"],
    "scale_values": ["1 0 1", "0", "-0.0", "nan", "inf", "1e-300", "1e-7", "-inf", "1e7", "None"],
    "reverse_input_channels": ["maybe", "2", "none"],
    "pad_value": ["256", "-1", "1.5", "nan", "\u0664", "9" * 5000, "None", "114,114,114"],
    "resize_type": ["squash", "Crop!", "crop,standard"],
    "layout": ["NCWH", "CHW", "?"],
    "input_size": ["3", "0x0", "0,5", "-4x4", "4x-4", "1.5x2", "1000000000x1000000000", "8193x1", "9" * 5000 + "x1", "nanxnan",
                   "4x4x4", "\u0664x\u0664", "infx1", "4e1x2", "None"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in STRANGE.items() for text in texts])
def test_values_that_make_no_sense_are_told_with_their_source(name: str, text: str) -> None:
    with pytest.raises(InputError, match=f"{name} is '.*' in the model; .* expected"):
        PLAIN.updated({name: text}, source="the model")


def test_a_model_that_carries_such_values_says_so() -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), "openvino")
    model.set_rt_info("0", ["model_info", "scale_values"])
    with pytest.raises(InputError, match="scale_values is '0' in the model's model_info; 1 or 3 numbers"):
        xai.load(model)
    model.set_rt_info("2", ["model_info", "scale_values"])
    with pytest.raises(InputError, match="input_size is '0x4' in the options"):
        xai.load(model).configure(preprocessing={"input_size": "0x4"})


def test_values_as_python_has_them() -> None:
    changed = PLAIN.updated(
        {"mean_values": [1, 2.5, 3], "scale_values": (-255.0,), "reverse_input_channels": True, "input_size": (6, 5)}
    )
    assert (changed.mean_values, changed.scale_values) == ((1, 2.5, 3), (-255,))
    assert changed.reverse_input_channels and changed.size == (6, 5)
    assert PLAIN.updated({"mean_values": None, "labels": "a b", "embedded_processing": "nan", "layout": ""}) == PLAIN


def test_bytes_are_rounded_and_end_at_their_bounds() -> None:
    prepare = Preprocessing((4, 4), dtype="uint8", mean_values=(5.0,), scale_values=(0.02,))
    planes = prepare(photo(4, 4))[0]
    assert planes.dtype == np.uint8
    assert (planes[0, 0, 0], planes[1, 0, 0], planes[2, 0, 3]) == (100, 0, 0)


def test_an_input_of_four_channels_is_no_photo() -> None:
    with pytest.raises(InputError, match="input has 4 channels; a photo fills 3"):
        Preprocessing((4, 4), channels=4)(photo(4, 4))
