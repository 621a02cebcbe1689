"""Presets of preprocessing, and what callers say beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import CASES, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.runtime.inputs.presets import PRESETS, updated_by
from openvino_xai.runtime.preprocessing import Preprocessing

PLAIN = Preprocessing((4, 4))
RED = np.zeros((8, 16, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
PAGE = Path(__file__).parents[3] / "docs" / "preprocessing.md"

FED = {  # what a red photo becomes: by plane, as its paper or framework has it
    "imagenet": [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    "inception": [1, -1, -1],
    "caffe": [-103.939, -116.779, 255 - 123.68],
    "unit": [1, 0, 0],
    "raw": [0, 0, 255],
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_feeds_what_its_framework_feeds(name: str) -> None:
    prepare = updated_by(PLAIN, name)
    np.testing.assert_allclose(prepare(RED)[0, :, 2, 2], FED[name], atol=1e-4)
    assert prepare.box((8, 16)) == ((4, 0, 12, 8) if prepare.resize_type == "crop" else (0, 0, 16, 8))
    assert prepare.unsaid == () and set(prepare.sources.values()) == {f"the preset {name}"}


@pytest.mark.parametrize("name", PRESETS)
def test_numbers_of_a_preset_belong_to_colours(name: str) -> None:
    order = "no" if PRESETS[name].order == "RGB" else "yes"
    prepare = updated_by(PLAIN, {"preset": name, "reverse_input_channels": order, "resize_type": "fit_to_window"})
    np.testing.assert_allclose(prepare(RED)[0, :, 1, 2], FED[name][::-1], atol=1e-4)
    assert prepare.resize_type == "fit_to_window"


def test_a_preset_on_grey_images() -> None:
    grey = Preprocessing((4, 4), channels=1)
    assert updated_by(grey, "inception").mean_values == (127.5,)
    with pytest.raises(InputError, match=r"mean_values is '123.675 116.28 103.53' in the preset imagenet; 1 numbers"):
        updated_by(grey, "imagenet")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("imagnet", "the preset 'imagnet' is not known: one of imagenet, inception"),
        ({"preset": 3}, "the preset 3 is not known"),
        ({"mean": "1"}, "preprocessing 'mean' is not known: one of preset, mean_values"),
        ({"preset": "unit", "Resize_type": "crop"}, "preprocessing 'Resize_type' is not known"),
        ({"preset": "unit", "reverse_input_channels": "perhaps"}, "reverse_input_channels is 'perhaps' in the options"),
    ],
)
def test_what_is_not_known_is_refused(values: dict[str, object] | str, message: str) -> None:
    network = xai.load(CASES["pool and linear"].build("B", 17))
    with pytest.raises(InputError, match=message):
        network.configure(preprocessing=values)
    assert network.preprocessing.sources == {}


def test_what_is_stored_feeds_the_same() -> None:
    numbers = {"mean_values": "1.23456789 2 3", "scale_values": "58.395", "resize_type": "fit_to_window", "pad_value": "7"}
    prepare = updated_by(PLAIN, {"preset": "imagenet", **numbers})
    model = in_dialect(CASES["pool and linear"].build("B", 17), "openvino")
    for name, text in prepare.to_info().items():
        model.set_rt_info(text, ["model_info", name])
    network = xai.load(model)
    photo = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(network.preprocessing(photo), updated_by(xai.load(model).preprocessing, numbers)(photo))
    assert network.preprocessing.unsaid == () and network.preprocessing.mean_values == prepare.mean_values


def test_the_page_has_the_numbers() -> None:
    rows = {line.split("`")[1]: line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")}
    for name, preset in PRESETS.items():
        means, scales = (", ".join(f"{item:g}" for item in dict.fromkeys(numbers)) for numbers in (preset.mean, preset.scale))
        cells = [cell.strip() for cell in rows[name].split("|")]
        assert cells[2:6] == [means, scales, preset.order, f"`{preset.resize_type}`"]
