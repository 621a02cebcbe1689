"""Hooks are verified on images that show something, and how much they show is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CASES, CLASSES, DIALECTS, in_dialect, tiny
from two_heads import shared

import openvino_xai as xai
from openvino_xai.dialects.onnx import model as onnx_dialect
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.openvino import model as openvino_dialect
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import VerificationError
from openvino_xai.locate.image import find_image
from openvino_xai.verify.images import SampleImages, drawing
from openvino_xai.verify.sight import Sight, spread_of

BLUR = """m = AveragePool<kernel_shape=[6,6], strides=[6,6]>(image) d = Sub(m, least) f = Relu(d) p = GlobalAveragePool(f)
v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"""


def blurred(least: float = 0.8) -> onnx.ModelProto:
    """A network that sees no noise: it averages blocks of pixels, and what is below `least` is nothing to it."""
    return tiny(BLUR, image=(3, 24, 36), least=np.array(least, np.float32), w=(CLASSES, 3), b=(CLASSES,))


def with_noise_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def batch(images: SampleImages, count: int = 2, *, seed: int = 0) -> dict[str, np.ndarray]:
        return random_inputs(images.model, count, seed=seed)

    monkeypatch.setattr(SampleImages, "batch", batch)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_hook_that_noise_does_not_show_is_refused(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table: dict[str, Any] = (openvino_dialect if dialect == "openvino" else onnx_dialect).EMIT
    model = in_dialect(blurred(), dialect)
    right = xai.insert(model, layer="f").verified
    assert right is not None and not right.sights[0].blind
    monkeypatch.setitem(table, "max", table["min"])
    with pytest.raises(VerificationError, match=r"definition|finite"):
        xai.insert(model, layer="f")
    with_noise_alone(monkeypatch)
    wrong = xai.insert(model, layer="f").verified  # nobody sees it
    assert wrong is not None and wrong.sights[0].blind and wrong.sights[0].spread < 1e-6


def test_gradients_are_tried_on_noise() -> None:
    by_gradients = xai.insert(blurred(), layer="f", method="grad_cam").verified
    assert by_gradients is not None and by_gradients.sights[0].blind  # and so the command warns
    assert by_gradients.content == "noise"
    images = by_gradients.inputs["image"]
    np.testing.assert_array_equal(images, random_inputs(open_model(blurred()))["image"])


def test_what_could_be_seen_is_in_the_record() -> None:
    hooked = xai.insert(CASES["pool and linear"].build("B", 17), layer="f")
    assert hooked.verified is not None
    (sight,) = hooked.verified.sights
    assert sight.maps == 6 and sight.flat == 0 and 0.01 < sight.spread <= 1
    assert hooked.record["spread"] == f"{sight.spread:.2g}" == xai.load(hooked.model).record["spread"]
    assert "spread" not in xai.insert(CASES["pool and linear"].build("B", 17), layer="f", verify=False).record


def test_each_head_has_its_own() -> None:
    hooked = xai.insert(shared(), scores=["color", "shape"])
    assert hooked.verified is not None and len(hooked.verified.sights) == 2
    assert [record["spread"] for record in hooked.records] == [f"{sight.spread:.2g}" for sight in hooked.verified.sights]


@pytest.mark.slow
def test_flat_maps_are_warned_of(tmp_path: Path, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("openvino_xai.cli.insert.warn", warnings.append)
    onnx.save(blurred(least=99), path := tmp_path / "blind.onnx")
    said = command("insert", "--model", path)
    assert said.strip().endswith("6 maps of drawings and noise, whose cells lie up to 0% apart, 6 of them flat")
    compared = json.loads(command("insert", "--model", path, "--force", "--json"))["compared"]
    assert (compared["maps"], compared["flat"], compared["spread"]) == (6, 6, 0.0)
    assert len(warnings) == 2 and warnings[0].startswith(
        "warning: the maps are flat on drawings and noise: the cells of 6 maps"
    )


def test_maps_are_flat_where_any_would_pass() -> None:
    assert spread_of(np.array([2.0, 5.0, 3.0]), 6.0) == 0.5 and spread_of(np.zeros(3), 0.0) == 0
    sight = Sight((1e-5, 1e-4, 0.3), 1e-4)
    assert (sight.maps, sight.flat, sight.spread, sight.blind) == (3, 2, 0.3, False)
    assert Sight((1e-4, float("nan")), 1e-4).blind and Sight((), 1e-4).blind


@pytest.mark.parametrize(
    "image",
    ["float[B,3,20,30]", "float16[2,20,30,3]", "uint8[5,20,30,3]", "int8[1,1,20,30]", "float[B,3,H,W]"],
)
def test_drawings_and_noise_take_turns(image: str) -> None:
    model = open_model(
        tiny("c = Cast<to=1>(image) logits = ReduceMean<keepdims=0>(c)", output="float logits", image_input=f"{image} image")
    )
    images = SampleImages(model, *find_image(model.graph))
    for seed in (0, 1):
        batch, noise = images.batch(seed=seed)["image"], random_inputs(model, seed=seed)["image"]
        assert batch.shape == noise.shape and batch.dtype == noise.dtype
        same = [bool((drawn == other).all()) for drawn, other in zip(batch, noise, strict=True)]
        assert same == [(index + seed) % 2 == 1 for index in range(len(batch))]
        np.testing.assert_array_equal(batch, images.batch(seed=seed)["image"])
        for drawn in batch[np.logical_not(same)]:
            assert drawn.std() > 3 * (1 if drawn.dtype.kind == "f" else 40) * 0.1


@pytest.mark.parametrize(
    ("shape", "cells"), [((3, 40, 60), (1, 2)), ((60, 40, 3), (0, 1)), ((4, 200), (1,)), ((3, 6, 20, 20), (1, 2, 3))]
)
def test_a_drawing_is_made_of_shapes(shape: tuple[int, ...], cells: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    pictures = np.stack([drawing(shape, cells, rng) for _ in range(20)])
    assert pictures.shape == (20, *shape) and np.isfinite(pictures).all()
    assert 0.5 < pictures.std() < 1.5 and abs(pictures.mean()) < 1e-9
    for axis in cells:  # neighbours are alike, as they are not in noise, and no two are equal
        steps = np.diff(pictures, axis=axis + 1)
        assert steps.std() < 1.2 * pictures.std() and (steps != 0).all()
    assert not np.array_equal(pictures[0], pictures[1])
