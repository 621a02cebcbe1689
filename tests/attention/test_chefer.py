"""Chefer's relevance in the deployed file: the paper's matrices of gradients by differences; wrong gradients are seen."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from attention import attentions, in_one_operation, slopes, slow_chefer
from tiny import CLASSES, DIALECTS, images, in_dialect
from tiny_transformers import VARIANTS

import openvino_xai as xai
from openvino_xai.errors import LayerError, VerificationError
from openvino_xai.plan import site as planned

METHOD = "chefer"
TOLERANCE = 1e-4  # of the largest: gradients in f32 through two blocks
EXPLAINED = [name for name, item in VARIANTS.items() if item.head in ("class", "sliced") and item.attention != "rope"]


@cache
def slow(name: str, count: int) -> np.ndarray:
    """[B, K, H, W]"""
    variant = VARIANTS[name]
    maps = []
    for image in images(variant.build("B"), count):
        gradients = [slopes(variant, image, block, "l" if variant.softmax else "logits") for block in range(variant.repeats)]
        weights = attentions(variant, image)
        maps.append([slow_chefer(weights, [slope[..., k] for slope in gradients], 0, variant.prefix) for k in range(CLASSES)])
    return np.array(maps)


def same(maps: np.ndarray, expected: np.ndarray) -> None:
    largest = expected.max(axis=(2, 3), keepdims=True)
    assert (np.ptp(expected, axis=(2, 3)) > 0.1 * largest[..., 0, 0]).all()  # far from flat
    np.testing.assert_allclose(maps / largest, expected / largest, atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_map_is_the_papers_product(dialect: str) -> None:
    model = in_dialect(VARIANTS["registers"].build("B"), dialect)
    hooked = xai.insert(model, method=METHOD, scale="none", targets="all")
    assert (hooked.record["score"], hooked.record["attention"]) == ("logit", "all blocks")
    same(xai.load(hooked)(images(VARIANTS["registers"].build("B"), 2))["saliency_map"], slow("registers", 2))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "built"), [*((name, "B") for name in EXPLAINED), ("split", 1), ("tokens first", 1), ("tokens first", 2)]
)
def test_every_way_to_write_attention(name: str, dialect: str, built: int | str) -> None:
    batch = images(VARIANTS[name].build("B"), 2 if built == "B" else int(built))
    hooked = xai.insert(
        in_dialect(VARIANTS[name].build(built), dialect), method=METHOD, scale="none", targets="all", score="logit"
    )
    same(xai.load(hooked)(batch)["saliency_map"], slow(name, 2)[: len(batch)])


def test_attention_in_one_operation_is_differentiated() -> None:
    batch = images(VARIANTS["fused"].build("B"), 2)
    hooked = xai.insert(in_one_operation(VARIANTS["fused"], "B"), method=METHOD, scale="none", targets="top:2")
    outputs = xai.load(hooked)(batch)
    expected = np.take_along_axis(slow("fused", 2), outputs["saliency_class"][:, :, None, None], axis=1)
    same(outputs["saliency_map"], expected)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_looks_at_no_layer(dialect: str) -> None:
    with pytest.raises(LayerError, match=r"chefer looks at all attention blocks: leave layer 'z_1' out"):
        xai.insert(in_dialect(VARIANTS["fused"].build("B"), dialect), method=METHOD, layer="z_1")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", ["a factor", "turned", "heads", "images"])
def test_wrong_gradients_are_seen(what: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first block alone: all others are what they should be."""
    true = planned.gradients_of_weights

    def wrong(way: Any, nodes: Any) -> Any:
        first, *others = true(way, nodes)
        xp = way.xp
        broken = {
            "a factor": lambda: xp.multiply(first, 1.3),
            "turned": lambda: xp.permute_dims(first, (0, 1, 3, 2)),
            "heads": lambda: xp.take(first, np.array([1, 0]), axis=1),
            "images": lambda: xp.take(first, np.array([1, 0]), axis=0),
        }
        return broken[what](), *others

    monkeypatch.setattr(planned, "gradients_of_weights", wrong)
    with pytest.raises(VerificationError, match=r"at the attention of 'g_0' \(MatMul\) is not the slope of its score"):
        xai.insert(in_dialect(VARIANTS["fused"].build(2), dialect), method=METHOD, targets=[2])
