"""Contrasts are measured as the one class of a model that subtracts: by hand, and on a model whose last layer does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from tiny import tiny

import openvino_xai as xai
from openvino_xai import metrics
from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.metrics import METRICS
from openvino_xai.evaluate.compare import compare
from openvino_xai.evaluate.contrasts import ContrastSubject

RNG = np.random.default_rng(4)
WEIGHTS, ADDENDS = RNG.normal(0, 2, (5, 4)).astype(np.float32), RNG.normal(0, 1, 5).astype(np.float32)
PHOTO = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
PAIR = (3, 0)
OF_CONTRASTS = [name for name, metric in METRICS.items() if metric.of_contrasts]
CLASSES = ["average_drop", "sic", "aic", "pointing_game", "energy", "localisation"]


def network(weights: np.ndarray, addends: np.ndarray, targets: str) -> xai.Network:
    body = "f = Conv(image, k) r = Relu(f) p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
    output = f"float[B,{len(addends)}] logits"
    model = tiny(body, image=(3, 12, 12), k=(4, 3, 1, 1), w=weights, b=addends, output=output)
    loaded = xai.load(xai.insert(model, method="grad_cam", layer="r", targets=targets, scale="none"))
    loaded.configure(preprocessing={"scale_values": "255"})
    loaded.notify = None
    return loaded


@pytest.fixture(scope="module")
def contrasts() -> xai.Network:
    return network(WEIGHTS, ADDENDS, "3-0")


@dataclass
class Linear:
    """Logits [10 x left, 4 x right, 0], of the mean brightness of the halves of an image."""

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        assert logits
        halves = [images[..., :4].mean(axis=(1, 2, 3)), images[..., 4:].mean(axis=(1, 2, 3))]
        return np.stack([10 * halves[0], 4 * halves[1], 0 * halves[0]], axis=1)

    def maps(self, images: np.ndarray, classes: object, *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        assert classes == [(0, 1)] * len(images)
        return self.predict(images, logits=logits), np.ones((len(images), 1, 1))


def test_the_score_is_the_difference_of_two_logits() -> None:
    subject = ContrastSubject(Linear(), (0, 1))
    image = np.full((1, 3, 8, 8), 0.5)
    assert subject.predict(image).tolist() == [[3.0]]  # 10 / 2 - 4 / 2
    assert subject.maps(image, [0])[0].tolist() == [[3.0]]


def test_it_is_measured_as_the_class_of_a_model_that_subtracts(contrasts: xai.Network) -> None:
    a, b = PAIR
    subtracted = network(np.stack([WEIGHTS[a] - WEIGHTS[b], WEIGHTS[1]]), np.stack([ADDENDS[a] - ADDENDS[b], ADDENDS[1]]), "0")
    names = [name for name in OF_CONTRASTS if name != "road"]
    choices = metrics.Choices(read="logit")
    expected = metrics.measure(metrics.case(subtracted, PHOTO, 0, choices=choices), names)
    measured = metrics.measure(metrics.case(contrasts, PHOTO, "3-0"), names)
    assert measured == pytest.approx(expected, abs=1e-4)
    assert abs(measured["deletion"]) > 1e-2 and abs(measured["insertion"]) > 1e-2
    first = metrics.measure(metrics.case(network(WEIGHTS, ADDENDS, "3"), PHOTO, 3, choices=choices), ["deletion"])
    assert abs(measured["deletion"] - first["deletion"]) > 1e-2  # which the other class would leave as it is


def test_what_means_nothing_of_a_difference_is_left_out_or_refused(contrasts: xai.Network) -> None:
    case = metrics.case(contrasts, PHOTO, PAIR, boxes=[(1, 1, 5, 5)])
    assert set(metrics.measure(case, ["all"])) == set(OF_CONTRASTS)
    for name in CLASSES:
        with pytest.raises(InputError, match=f"^{name} (is a share|asks for the object).*: of a contrast average_increase, "):
            metrics.measure(case, [name])
    with pytest.raises(InputError, match=r"^average_drop is a share of a probability"):
        metrics.measure(case, ["adcc"])


def test_the_only_contrast_of_a_hook_need_not_be_named(contrasts: xai.Network) -> None:
    assert metrics.case(contrasts, PHOTO).score == metrics.case(contrasts, PHOTO, "3-0").score
    with pytest.raises(InputError, match="contrasts of classes, 3-0, and the target is 3: name one of these"):
        metrics.case(contrasts, PHOTO, 3)
    for target, said in (("3-1", "the contrast 3-1 is not explained"), ("3-9", "class 9 is not there"), ("3-3", "from itself")):
        with pytest.raises(InputError, match=said):
            metrics.case(contrasts, PHOTO, target)


def test_a_map_from_elsewhere_is_measured() -> None:
    plain = network(WEIGHTS, ADDENDS, "all")
    pairs = []

    def saliency(images: np.ndarray, pair: object) -> np.ndarray:
        pairs.append(pair)
        return images[:, 0]

    measured = metrics.measure(metrics.case(plain, PHOTO, (0, 3), saliency=saliency), ["deletion", "coherency"])
    assert set(pairs) == {(0, 3)} and set(measured) == {"deletion", "coherency"}


def test_two_networks_are_compared_by_a_contrast(contrasts: xai.Network, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "p.png"), PHOTO)
    other = network(WEIGHTS[[0, 1, 2, 4, 3]], ADDENDS, "3-0")
    for second, is_same in ((contrasts, True), (other, False)):
        (row,) = compare(contrasts, second, [tmp_path / "p.png"], lambda error: None, contrast=PAIR)
        assert row.first.targets[0].name == "3-0"
        assert (row.similarity.pearson == pytest.approx(1)) == is_same


@pytest.mark.slow
def test_on_the_command_line(evaluate_colours: Callable[..., str], command: Callable[..., str]) -> None:
    ovxai = evaluate_colours
    result = json.loads(ovxai("--target", "0-1", "--method", "grad_cam", "--output", "out", "--report", "r.html", "--json"))
    assert (result["target"], result["read"]) == ("0-1", "logit")
    assert set(result["metrics"]) == {*OF_CONTRASTS, "difference"} - {"infidelity", "road"}
    row = json.loads(Path("out/rows.jsonl").read_text().splitlines()[0])
    assert (row["target"], row["other"]) == (0, 1)
    assert "0, not 1, score" in Path("r.html").read_text()
    assert "average_drop is a share" in ovxai("--target", "0-1", "--method", "grad_cam", "--metric", "adcc", status=2)
    for words, said in (
        (("--target", "0-1", "--read", "probability"), "the score of a contrast is a difference of logits"),
        (("--target", "0-1,1-0"), "the target is 2 contrasts, 0-1,1-0, and one is measured: name it (--target)"),
        (("--target", "0-9"), "class 9 is not there"),
        (("--target", "0-\n'"), "is expected"),
    ):
        assert said in ovxai("--limit", "1", *words, status=2)
    models = ("model.onnx", "model.onnx", "photos", "--scale-values", "255", "--method", "grad_cam", "--json")
    assert json.loads(command("compare", *models, "--target", "0-1"))["mean"]["top_cell"] == 1
    assert "a contrast A-B of two classes" in command("compare", *models, "--target", "red", status=2)


def test_a_model_that_returns_no_logits_is_refused() -> None:
    body = "f = Conv(image, k) p = GlobalAveragePool(f) v = Flatten(p) z = Gemm<transB=1>(v, w, b) probabilities = Softmax(z)"
    model = tiny(body, image=(3, 12, 12), k=(4, 3, 1, 1), w=WEIGHTS, b=ADDENDS, output="float[B,5] probabilities")
    assert isinstance(model, onnx.ModelProto)
    hooked = xai.load(xai.insert(model, layer="f", targets="0-1"))
    hooked.notify = None
    with pytest.raises(InputError, match="the model returns no logits"):
        metrics.case(hooked, PHOTO, "0-1")
