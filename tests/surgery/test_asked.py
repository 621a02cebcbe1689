"""A class that is told with the image: one map an image, of that class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tails import CASES, slopes
from tiny import CLASSES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError

NAME = "squeeze and excite"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("score", ["softmax", "logit"])
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam", "fd_cam", "abs_cam", "activation_map"])
def test_the_map_is_that_of_the_class(method: str, score: str, dialect: str) -> None:
    model, image = CASES[NAME].model("B"), slopes(NAME).image
    every, asked = (
        xai.load(xai.insert(in_dialect(model, dialect), method=method, layer="x", score=score, targets=targets))
        for targets in ("all", "asked")
    )
    true = every(image)["saliency_map"]
    for classes in ([3, 0], [1, 4]):
        seen = asked(image, classes=np.array(classes))
        assert "saliency_class" not in seen
        np.testing.assert_array_equal(seen["logits"], every(image)["logits"])
        np.testing.assert_allclose(seen["saliency_map"][:, 0], true[[0, 1], classes], atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 2])
def test_a_network_asks_for_what_it_is_asked(batch: int | str, dialect: str) -> None:
    image = slopes(NAME).image
    model = in_dialect(CASES[NAME].model(batch), dialect)
    network = xai.load(xai.insert(model, method="grad_cam", layer="x", targets="asked"))
    every = xai.load(xai.insert(model, method="grad_cam", layer="x", targets="all"))
    scores, maps = network.maps(image, [2, None])
    np.testing.assert_allclose(maps, every.maps(image, [2, int(scores[1].argmax())])[1], atol=2e-4)


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
