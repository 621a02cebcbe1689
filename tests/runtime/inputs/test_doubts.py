"""What is said of preprocessing that is doubtful."""

from __future__ import annotations

import warnings

import numpy as np
import openvino as ov
import pytest
from tiny import CASES, in_dialect

import openvino_xai as xai
from openvino_xai.runtime.inputs.doubts import Tally, doubts_of
from openvino_xai.runtime.inputs.presets import updated_by
from openvino_xai.runtime.preprocessing import MODEL_INFO, Preprocessing

CASE = CASES["pool and linear"]
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
PLAIN = Preprocessing((240, 224))
TWO = {"mean_values": "2", "reverse_input_channels": "yes"}


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "does not tell its preprocessing: fed is BGR, 0..255, stretched to 240x224. "),
        ({"scale_values": "255"}, "the order of channels or the resize: fed is BGR, 0..1, stretched"),
        (TWO, "does not tell the resize: fed is RGB, -2..253, stretched"),
        ({"pad_value": "3", "resize_type": "fit_to_window"}, "the values or the order of channels: fed is BGR, 0..255, padded"),
    ],
)
def test_what_nobody_says_is_told(values: dict[str, str], missing: str) -> None:
    (doubt,) = doubts_of(PLAIN.updated(values))
    assert missing in str(doubt) and "preprocess" in doubt.options


@pytest.mark.parametrize("values", ["raw", "unit", {**TWO, "resize_type": "standard"}])
def test_who_says_it_all_is_told_nothing(values: dict[str, object] | str) -> None:
    assert doubts_of(updated_by(PLAIN, values)) == []


def test_a_model_that_tells_numbers_or_order_is_believed() -> None:
    assert doubts_of(PLAIN.updated({"mean_values": "2 2 2", "labels": "a b"}, source=MODEL_INFO)) == []
    assert doubts_of(PLAIN.updated({"reverse_input_channels": "False"}, source=MODEL_INFO)) == []
    assert len(doubts_of(PLAIN.updated({"resize_type": "crop", "labels": "a b"}, source=MODEL_INFO))) == 1
    grey = Preprocessing((4, 4), channels=1).updated({"scale_values": "255", "resize_type": "standard"})
    assert doubts_of(grey) == [] and grey.summary == "grey, 0..1, stretched to 4x4"


def test_numbers_of_another_scale_are_told_with_those_of_this() -> None:
    both = {"preset": "unit", "mean_values": "0.485 0.456 0.406", "scale_values": ".229,.224,.225"}
    means, scales = doubts_of(updated_by(PLAIN, both))
    assert "123.675, 116.28, 103.53 would be the same" in str(means) and means.options == ("mean_values",)
    assert "58.395, 57.12, 57.375 would be the same" in str(scales)
    assert doubts_of(updated_by(PLAIN, {"preset": "inception", "mean_values": "0 0 1.5"})) == []


@pytest.mark.parametrize(
    ("dtype", "values", "doubtful"),
    [
        ("uint8", "raw", False),
        ("uint8", "imagenet", True),
        ("uint8", "unit", True),
        ("uint8", {"preset": "raw", "mean_values": "128"}, True),
        ("int8", {"preset": "raw", "mean_values": "128"}, False),
        ("float32", "imagenet", False),
    ],
)
def test_floats_for_whole_numbers_are_told(dtype: str, values: dict[str, object] | str, doubtful: bool) -> None:
    doubts = doubts_of(updated_by(Preprocessing((4, 4), dtype=dtype), values))
    assert [f"the input takes {dtype}, and fed are" in str(doubt) for doubt in doubts] == [True] * doubtful


@pytest.mark.slow
def test_python_warns_once_for_what_is_fed_and_not_for_what_is_only_loaded() -> None:
    network = xai.load(xai.insert(CASE.build("B", 17), layer="f"))
    with pytest.warns(xai.PreprocessingWarning, match="fed is BGR, 0..255, stretched to 6x8") as caught:
        first, _ = (network.explain(PHOTO) for _ in range(2))
    assert len(caught) == 1 and caught[0].filename == __file__
    assert first.preprocessing["sources"] == {} and first.preprocessing["fed"] == "BGR, 0..255, stretched to 6x8"
    network.configure(preprocessing={"scale_values": "255"})
    with pytest.warns(xai.PreprocessingWarning, match="order of channels or the resize"):
        network.explain(PHOTO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.configure(preprocessing="unit")
        assert network.explain(PHOTO).to_dict()["preprocessing"]["mean_values"] == [0, 0, 0]
        quiet = xai.load(xai.insert(CASE.build("B", 17), layer="f"))
        quiet.notify = None
        quiet.explain(PHOTO)


@pytest.mark.slow
def test_what_is_wrapped_warns_too() -> None:
    hooked = xai.insert(in_dialect(CASE.build("B", 17), "openvino"), layer="f")
    with pytest.warns(xai.PreprocessingWarning, match="does not tell its preprocessing"):
        xai.wrap(ov.compile_model(hooked.model, "CPU"), model=hooked.model).explain(PHOTO)


def tally(answers: list[tuple[str, float]], labels: str | None = None) -> list[str]:
    counts = Tally()
    for index, (predicted, probability) in enumerate(answers):
        counts.count(predicted, probability, label=None if labels is None else labels[index])
    return [str(doubt) for doubt in counts.doubts()]


def test_one_class_for_nearly_all_is_told() -> None:
    answers = [("a\x1b", 0.7)] * 10 + [("b", 0.6)]
    (text,) = tally(answers)
    assert "10 of 11 images are taken for 'a\x1b'. " in text
    assert tally(answers[:10]) == [] and tally(answers + [("b", 0.6)] * 2) == []
    assert len(tally(answers, labels="abcdabcdabc")) == 1
    assert tally(answers, labels="\0" * 11) != [] and tally([("a", 0.7)] * 11, labels="aaaaaaaaaab") == []


def test_scores_that_are_one_are_told() -> None:
    assert "the score of 2 of 3 images is 1 to six digits" in tally([("a", 1.0), ("b", 1 - 1e-7), ("c", 0.99)])[0]
    assert tally([("a", 1.0), ("b", 1.0)]) == [] and tally([("a", 1.0), ("b", 0.9999), ("c", 1.0), ("d", 0.5)]) == []
    assert tally([]) == []
