"""Attention and its gradients, in the deployed file: as the papers say, by differences; wrong gradients are seen."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from attention import attentions, in_one_operation, slopes, slow_chefer, slow_legrad
from tiny import CLASSES, DIALECTS, images, in_dialect
from tiny_transformers import VARIANTS, Transformer

import openvino_xai as xai
from openvino_xai.errors import LayerError, PlanError, VerificationError
from openvino_xai.plan import site as planned

METHODS = ("chefer", "legrad")
TOLERANCE = 1e-4  # of the largest: gradients in f32 through two blocks
EXPLAINED = [name for name, item in VARIANTS.items() if item.head in ("class", "sliced") and not item.rejoined]
BUILT: list[tuple[str, int | str]] = [
    *((name, "B") for name in EXPLAINED),
    ("split", 1),
    ("tokens first", 1),
    ("tokens first", 2),
]
# in turn: each way to write attention in both dialects, and by either method
WAYS = [(*built, METHODS[(turn + k) % 2], dialect) for turn, built in enumerate(BUILT) for k, dialect in enumerate(DIALECTS)]


@cache
def slow(method: str, name: str, count: int) -> np.ndarray:
    """[B, K, H, W]"""
    variant, maps = VARIANTS[name], []
    for image in images(variant.build("B"), count):
        gradients = [slopes(variant, image, block, behind=method == "legrad") for block in range(variant.repeats)]
        of_classes = [[slope[..., k] for slope in gradients] for k in range(CLASSES)]
        if method == "legrad":
            maps.append([slow_legrad(some, variant.prefix) for some in of_classes])
        else:
            maps.append([slow_chefer(attentions(variant, image), some, 0, variant.prefix) for some in of_classes])
    return np.array(maps)


def same(maps: np.ndarray, expected: np.ndarray) -> None:
    largest = expected.max(axis=(2, 3), keepdims=True)
    assert (np.ptp(expected, axis=(2, 3)) > 0.1 * largest[..., 0, 0]).all()  # far from flat
    np.testing.assert_allclose(maps / largest, expected / largest, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", METHODS)
def test_the_map_is_that_of_the_paper(method: str, dialect: str) -> None:
    model = in_dialect(VARIANTS["registers"].build("B"), dialect)
    hooked = xai.insert(model, method=method, scale="none", targets="all")
    assert (hooked.record["score"], hooked.record["attention"]) == ("logit", "all blocks")
    same(xai.load(hooked)(images(VARIANTS["registers"].build("B"), 2))["saliency_map"], slow(method, "registers", 2))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "built", "method", "dialect"), WAYS)
def test_every_way_to_write_attention(name: str, built: int | str, method: str, dialect: str) -> None:
    batch = images(VARIANTS[name].build("B"), 2 if built == "B" else int(built))
    hooked = xai.insert(
        in_dialect(VARIANTS[name].build(built), dialect), method=method, scale="none", targets="all", score="logit"
    )
    same(xai.load(hooked)(batch)["saliency_map"], slow(method, name, 2)[: len(batch)])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_attention_in_one_operation_is_differentiated(method: str) -> None:
    batch = images(VARIANTS["fused"].build("B"), 2)
    hooked = xai.insert(in_one_operation(VARIANTS["fused"], "B"), method=method, scale="none", targets="top:2")
    outputs = xai.load(hooked)(batch)
    expected = np.take_along_axis(slow(method, "fused", 2), outputs["saliency_class"][:, :, None, None], axis=1)
    same(outputs["saliency_map"], expected)


@pytest.mark.parametrize("method", METHODS)
def test_it_looks_at_no_layer(method: str) -> None:
    with pytest.raises(LayerError, match=rf"{method} looks at all attention blocks: leave layer 'z_1' out"):
        xai.insert(VARIANTS["fused"].build("B"), method=method, layer="z_1")


@pytest.mark.slow
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
        xai.insert(in_dialect(VARIANTS["fused"].build(2), dialect), method="chefer", targets=[2])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_gradients_of_the_whole_way_are_not_those_behind_a_block(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned.PlannedSite, "block_gradients", planned.PlannedSite.attention_gradients)
    with pytest.raises(VerificationError, match=r"at the attention of 'g_0' \(MatMul\) is not the slope of its score"):
        xai.insert(in_dialect(VARIANTS["fused"].build(2), dialect), method="legrad", targets=[2])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_blocks_that_differ_have_no_head_in_common(dialect: str) -> None:
    """Of three blocks the second has one more operation behind it: what is behind the last cannot be told by it."""
    model = Transformer(repeats=3).build("B")
    for node in model.graph.node:
        node.input[:] = ["x2e" if name == "x2" else name for name in node.input]
    place = next(index for index, node in enumerate(model.graph.node) if "x2" in node.output)
    model.graph.node.insert(place + 1, onnx.helper.make_node("Tanh", ["x2"], ["x2e"]))
    with pytest.raises(PlanError, match=r"legrad reads the tokens behind each block, and the one at 'x[12]e?' is not built as"):
        xai.insert(in_dialect(model, dialect), method="legrad")
