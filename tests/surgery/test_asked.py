"""A class that is told with the image: one map an image, of that class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tails import CASES, slopes
from tiny import CLASSES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.runtime import loading, network

pytestmark = pytest.mark.slow

NAME = "squeeze and excite"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("score", ["softmax", "logit"])
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam", "fd_cam", "abs_cam", "activation_map"])
def test_the_map_is_that_of_the_class(method: str, score: str, dialect: str) -> None:
    model, image = CASES[NAME].model("B"), slopes(NAME).image
    of_all, at_run_time = (
        xai.load(xai.insert(in_dialect(model, dialect), method=method, layer="x", score=score, targets=targets))
        for targets in ("all", "asked")
    )
    true = of_all(image)["saliency_map"]
    for classes in ([3, 0], [1, 4]):
        outputs = at_run_time(image, classes=np.array(classes))
        assert "saliency_class" not in outputs
        np.testing.assert_array_equal(outputs["logits"], of_all(image)["logits"])
        np.testing.assert_allclose(outputs["saliency_map"][:, 0], true[[0, 1], classes], atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 2])
def test_a_network_asks_for_what_it_is_asked(batch: int | str, dialect: str) -> None:
    image = slopes(NAME).image
    model = in_dialect(CASES[NAME].model(batch), dialect)
    at_run_time = xai.load(xai.insert(model, method="grad_cam", layer="x", targets="asked"))
    of_all = xai.load(xai.insert(model, method="grad_cam", layer="x", targets="all"))
    scores, maps = at_run_time.maps(image, [2, None])
    np.testing.assert_allclose(maps, of_all.maps(image, [2, int(scores[1].argmax())])[1], atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("room", [1, 10**9])
def test_a_dear_hook_runs_for_maps_alone_and_in_batches_that_fit(
    room: int, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predictions are those of the model without its hook, which is compiled when it is wanted, and has one input."""
    images = np.random.default_rng(4).normal(0, 1, (5, *slopes(NAME).image.shape[1:])).astype(np.float32)
    hooked = xai.insert(in_dialect(CASES[NAME].model("B"), dialect), method="fd_cam", layer="x", targets="asked")
    true = xai.load(hooked)
    monkeypatch.setattr(network, "MAX_MEMORY", room)
    monkeypatch.setattr(loading, "DEAR", 0.0)
    explainer, ran = xai.load(hooked), []
    real = explainer.running
    watched = replace(real, run=lambda inputs: ran.append(len(inputs["image"])) or real.run(inputs))
    monkeypatch.setattr(explainer, "_running", watched)
    classes = [3, None, 3, 0, None]
    scores, maps = explainer.maps(images, classes)
    assert ran == ([1] * 5 if room == 1 else [5])
    np.testing.assert_allclose(scores, true.predict(images), atol=1e-6)
    alone = [true.maps(item[None], [k])[1] for item, k in zip(images, classes, strict=True)]
    np.testing.assert_allclose(maps, np.concatenate(alone), atol=1e-5)
    assert explainer.predict(images).shape == (5, CLASSES) and len(ran) == (5 if room == 1 else 1)


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    model = CASES[NAME].model("B")
    with pytest.raises(InputError, match="one of both"):
        xai.insert(model, layer="x", targets="asked", gate=True)
    hooked = xai.insert(model, layer="x", targets="asked")
    with pytest.raises(InputError, match="wants to be told a class"):
        xai.export(hooked.model, tmp_path / "repository", server="triton")
    plain = xai.load(xai.insert(model, layer="x"))
    with pytest.raises(InputError, match="not asked for a class"):
        plain(slopes(NAME).image, classes=np.zeros(2))
    assert plain.classes == CLASSES


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam", "activation_map"])
def test_a_class_that_is_not_there_has_a_map_of_zeros(method: str, dialect: str) -> None:
    hooked = xai.insert(in_dialect(CASES[NAME].model("B"), dialect), method=method, layer="x", targets="asked", verify=False)
    image = np.repeat(slopes(NAME).image[:1], 4, axis=0)
    (name,) = [value.name for value in hooked.deployed.graph.inputs if value.name != "explain_class"]
    running = hooked.deployed.compile()
    maps = running({name: image, "explain_class": np.array([0, -1, CLASSES, 10**12])})["saliency_map"]
    assert maps.any(axis=(1, 2, 3)).tolist() == [True, False, False, False]
    there = running({name: image, "explain_class": np.array([0, 1, 0, 0])})["saliency_map"]
    np.testing.assert_allclose(maps[0], there[0], atol=1e-6)
