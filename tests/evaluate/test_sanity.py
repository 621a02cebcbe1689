"""Sanity checks: a map that does not depend on the weights is found out, one that does is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import AlreadyHooked
from openvino_xai.evaluate.randomisation import randomised, weighted_layers
from openvino_xai.evaluate.sanity import sanity

CASE = CASES["3x3 convolution after the layer"]
SAMPLES = Path(__file__).parents[2] / "samples" / "models"


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(2).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    return str(path)


def hooked(model: Any) -> xai.Network:
    return xai.load(xai.insert(model, layer="f", verify=False))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_maps_that_depend_on_the_weights(dialect: str, photo: str) -> None:
    model = in_dialect(CASE.build(1, 17), dialect)
    stages = list(sanity(model, hooked, {photo: [1]}, seed=1, stages=2))
    assert [(stage.order, stage.layers) for stage in stages] == [
        ("cascading", 1),
        ("cascading", 3),
        ("independent", 1),
        ("independent", 1),
    ]
    assert max(stage.pearson for stage in stages) < 0.9
    again = list(sanity(model, hooked, {photo: [1]}, seed=1, stages=2))
    assert again == stages


def test_maps_that_do_not(photo: str) -> None:
    """A network of which the map is always that of the model as it is: an edge detector does no more."""
    fixed = hooked(CASE.build(1, 17))
    stages = list(sanity(CASE.build(1, 17), lambda model: fixed, {photo: [1]}, seed=1))
    assert {stage.layers for stage in stages} == {1, 2, 3}
    assert all(
        (stage.pearson, stage.spearman, stage.ssim, stage.top_cell) == pytest.approx((1, 1, 1, 1), abs=1e-4) for stage in stages
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0.xml", "efficientnet_lite0_int8.onnx"])
def test_weights_are_shuffled_as_they_are_stored(name: str) -> None:
    deployed = open_model(SAMPLES / name)
    layers = weighted_layers(deployed.graph)
    assert len(layers) == 50
    lost = randomised(deployed, layers[:2], seed=0)
    pairs = [(before, after) for before, after in zip(_stored(deployed), _stored(lost), strict=True)]
    changed = [pair for pair in pairs if not np.array_equal(*pair)]
    assert len(changed) == 2
    for before, after in changed:
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(np.sort(before.reshape(-1)), np.sort(after.reshape(-1)))
    assert _stored(deployed)[0].dtype == (np.int8 if "int8" in name else np.float16)


def _stored(deployed: Any) -> list[np.ndarray]:
    arrays = []
    for node in deployed.graph.nodes:
        if node.kind in ("conv", "matmul"):
            value = node.operand(1)
            while value.producer is not None:
                value = value.producer.operand(0)
            arrays.append(deployed.graph.constant(value))
    return arrays


def test_constants_written_as_nodes() -> None:
    model = CASE.build(1, 17)
    weights = next(item for item in model.graph.initializer if item.name == "w0")
    model.graph.initializer.remove(weights)
    node = model.graph.node.add(op_type="Constant", output=["w0"])
    node.attribute.add(name="value", type=4).t.CopyFrom(weights)
    model.graph.node.insert(0, model.graph.node.pop())
    deployed = open_model(model)
    lost = randomised(deployed, weighted_layers(deployed.graph), seed=0)
    batch = {"image": np.ones((1, 3, 6, 8), np.float32)}
    assert not np.array_equal(lost.compile()(batch)["logits"], deployed.compile()(batch)["logits"])


def test_a_hooked_model_is_refused(photo: str) -> None:
    with pytest.raises(AlreadyHooked):
        next(sanity(xai.insert(CASE.build(1, 17), layer="f").model, hooked, {photo: [1]}, seed=0))
