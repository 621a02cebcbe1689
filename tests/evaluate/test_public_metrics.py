"""The public metrics are those of `ovxai evaluate`, of the network's own maps and of anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny import CASES

import openvino_xai as xai
from openvino_xai import metrics
from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.case import Choices
from openvino_xai.evaluate.classes.metrics import METRICS
from openvino_xai.evaluate.classes.run import evaluate
from openvino_xai.evaluate.examples import Example

pytestmark = pytest.mark.slow
MODEL = CASES["pool and linear"].build("B", 17)
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
BOX = (2.0, 3.0, 9.0, 10.0)


@pytest.mark.parametrize("choices", [Choices(), Choices(covered="blur", read="logit", step=3)])
def test_they_are_those_of_evaluate(choices: Choices, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), PHOTO[..., ::-1])
    network = xai.load(xai.insert(MODEL))
    names = [*METRICS]
    (row,) = evaluate(network, [Example(path, 2, boxes=(BOX,))], names, target="label", choices=choices)
    assert isinstance(row, dict)
    case = metrics.case(network, path, 2, boxes=[BOX], choices=choices)
    values = metrics.measure(case, ["all"])
    assert {name: values[name] for name in names} == row["metrics"]
    assert values["adcc"] == metrics.adcc(values)
    assert metrics.insertion(case) == values["insertion"]
    cheap = {name: value for name, value in values.items() if name == "adcc" or not METRICS[name].dear}
    assert metrics.measure(case) == cheap
    assert metrics.measure(case, ["adcc"]).keys() == {"average_drop", "coherency", "complexity", "adcc"}
    without = metrics.measure(metrics.case(network, PHOTO, 2, choices=choices))
    assert without == {name: value for name, value in cheap.items() if name == "adcc" or not METRICS[name].located}


def test_maps_of_anybody_are_measured() -> None:
    hooked, plain = xai.load(xai.insert(MODEL)), xai.load(MODEL)
    of_hook = metrics.case(hooked, PHOTO, 2)
    as_array = metrics.case(plain, PHOTO, 2, saliency=of_hook.saliency)
    values = metrics.measure(of_hook)
    assert metrics.measure(as_array) == {
        name: value for name, value in values.items() if name not in ("coherency", "sensitivity", "adcc")
    }

    def maps_of(images: np.ndarray, k: int) -> np.ndarray:
        return hooked.maps(images, [k] * len(images))[1]

    assert metrics.measure(metrics.case(plain, PHOTO, 2, saliency=maps_of)) == values
    assert metrics.case(plain, PHOTO, saliency=of_hook.saliency).target == plain.predict(plain.prepare(PHOTO))[0].argmax()
    best, worst = (metrics.case(plain, PHOTO, 2, saliency=sign * of_hook.saliency) for sign in (1, -1))
    assert metrics.insertion(best) != metrics.insertion(worst)


def test_what_is_missing_is_told() -> None:
    network, plain = xai.load(xai.insert(MODEL)), xai.load(MODEL)
    case = metrics.case(network, PHOTO)
    calls: list[tuple[Any, str]] = [
        (lambda: metrics.measure(case, ["energy"]), "energy needs boxes"),
        (lambda: metrics.measure(case, ["insertoin"]), "did you mean 'insertion'"),
        (lambda: metrics.measure(metrics.case(plain, PHOTO, saliency=case.saliency), ["adcc"]), "coherency needs saliency as"),
        (lambda: metrics.case(plain, PHOTO), "no hook"),
        (lambda: metrics.case(network, PHOTO, "all"), "one class"),
        (lambda: metrics.case(network, PHOTO, 9, saliency=case.saliency), "class 9 is not there"),
        (lambda: metrics.case(network, PHOTO, boxes=[(1, 2, 3)]), "boxes are"),  # type: ignore[list-item]
        (lambda: metrics.case(network, PHOTO, boxes=[(3, 2, 1, 9)]), "boxes are"),
        (lambda: metrics.case(network, PHOTO, saliency=np.zeros((2, 2, 2))), "a map"),
        (lambda: metrics.case(network, PHOTO, saliency=lambda images, k: None), "a map"),  # type: ignore[arg-type,return-value]
        (lambda: metrics.case(MODEL, PHOTO), "a network"),  # type: ignore[arg-type]
        (lambda: metrics.measure(None), "metrics.case"),  # type: ignore[arg-type]
        (lambda: metrics.case(network, PHOTO, choices={}), "Choices"),  # type: ignore[arg-type]
    ]
    for call, match in calls:
        with pytest.raises(InputError, match=match):
            call()


def test_two_explanations_are_compared() -> None:
    first = xai.explain(MODEL, PHOTO)
    pytest.importorskip("skimage")
    same = metrics.similarity(first, first)
    assert same.pearson == pytest.approx(1) and same.top_cell
