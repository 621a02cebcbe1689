"""Which preprocessing a model was trained with, on one that knows colours and brightness by pixels of 0..1, RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from colours import colour_model, photo_examples
from plain_detectors import decoding

import openvino_xai as xai
from openvino_xai.cli.preprocessing.ranking import plain_network
from openvino_xai.errors import InputError
from openvino_xai.evaluate.examples import Example
from openvino_xai.evaluate.ranking import LEAST, Candidate, rank
from openvino_xai.locate.located import Where
from openvino_xai.runtime.preprocessing import Preprocessing


def test_the_right_one_wins_and_what_no_example_tells_apart_is_one_row(tmp_path: Path) -> None:
    ranking = rank(xai.load(colour_model()), photo_examples(tmp_path), {})
    assert ranking.winner is not None and ranking.images == 10
    assert ranking.winner.values == {"preset": "unit", "resize_type": "standard", "reverse_input_channels": "yes"}
    assert [values["resize_type"] for values in ranking.winner.alike] == ["crop", "fit_to_window_letterbox"]
    by_name = {(item.name, item.order): item.right for item in ranking.candidates}
    assert (by_name["unit", "RGB"], by_name["inception", "RGB"], by_name["imagenet", "RGB"]) == (10, 8, 8)
    assert by_name["unit", "BGR"] == 6 and by_name["raw", "BGR"] <= 2
    assert sum(1 + len(item.alike) for item in ranking.candidates) == 5 * 2 * 3
    written = ranking.to_dict()
    assert written["winner"]["preset"] == "unit" and written["candidates"][0]["top1"] == 1 and len(written["level"]) == 1


def test_a_tie_is_a_tie(tmp_path: Path) -> None:
    """Of photos that are not square the resizes differ, and on those of one colour a cut is as good as a stretch."""
    ranking = rank(xai.load(colour_model()), photo_examples(tmp_path, (12, 6)), {"reverse_input_channels": "yes"})
    assert ranking.winner is not None and ranking.winner.preprocessing.resize_type == "standard"
    assert [values["resize_type"] for values in ranking.winner.alike] == ["crop"]
    few = rank(xai.load(colour_model()), photo_examples(tmp_path / "few", each=1), {})
    assert few.winner is None and few.level[0].name == "unit" and {"imagenet", "inception"} < {item.name for item in few.level}
    assert few.to_dict()["winner"] is None and len(few.to_dict()["level"]) == len(few.level)


def test_what_is_said_is_so_for_all(tmp_path: Path) -> None:
    examples = photo_examples(tmp_path)
    ranking = rank(xai.load(colour_model()), examples, {"resize_type": "crop", "reverse_input_channels": "no"})
    assert {item.preprocessing.resize_type for item in ranking.candidates} == {"crop"}
    assert {item.order for item in ranking.candidates} == {"BGR"}
    network = xai.load(colour_model())
    network.configure(labels=list("rgbBd"))
    assert network.preprocessing.sources == {} and not any(item.name == "model_info" for item in ranking.candidates)


def test_what_the_model_tells_is_tried_too(tmp_path: Path) -> None:
    model = colour_model()
    onnx.helper.set_model_props(model, {"model_info mean_values": "0", "model_info reverse_input_channels": "True"})
    ranking = rank(xai.load(model), photo_examples(tmp_path), {})
    (row,) = (item for item in ranking.candidates if item.name == "model_info")
    assert row.right <= 2 and row.alike  # it is `raw`, as RGB
    assert ranking.winner is not None and ranking.winner.name == "unit"


def test_examples_without_a_class(tmp_path: Path) -> None:
    examples = [*photo_examples(tmp_path), Example(tmp_path / "0" / "0.png")]
    with pytest.raises(InputError, match=r"the class of .*0.png is not known: put photos into folders"):
        rank(xai.load(colour_model()), examples, {})


def candidate(hits: list[int], probabilities: list[float]) -> Candidate:
    return Candidate({"preset": "raw"}, Preprocessing((1, 1)), np.array(hits, bool), np.array(probabilities))


def test_what_is_clearly_better() -> None:
    best = candidate([1, 1, 1, 1], [0.9] * 4)
    assert best.beats(candidate([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1]))
    assert not best.beats(candidate([1, 1, 1, 0], [0.9, 0.9, 0.9, LEAST]))  # one photo decides nothing
    assert not best.beats(candidate([1, 1, 0, 0], [0.9, 0.9, 0.4, 0.4]))  # nor do two that are nearly right
    assert not best.beats(candidate([0, 0, 0, 0], [1.0] * 4)) and not best.beats(best)
    assert candidate([1], [0.0]).likelihood == candidate([1], [LEAST]).likelihood


@pytest.mark.slow
def test_what_is_ranked_is_a_classifier_with_or_without_a_hook(tmp_path: Path) -> None:
    model, hooked = colour_model(), xai.insert(colour_model(), layer="f", targets="top:1").model
    rankings = [
        rank(plain_network(item, Where()), photo_examples(tmp_path / str(i)), {}) for i, item in enumerate((model, hooked))
    ]
    assert [ranking.to_dict() for ranking in rankings[:1]] == [ranking.to_dict() for ranking in rankings[1:]]
    with pytest.raises(InputError, match="auto ranks by the classes of images: say a preset"):
        plain_network(decoding("xyxy"), Where())
    boxes = xai.insert(decoding("xyxy"), targets="asked:1", verify=False).model
    with pytest.raises(InputError, match="the model's hook explains boxes: say a preset"):
        plain_network(boxes, Where())
