"""Attention rollout in the deployed file: the paper's product, however attention is written, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attention import attentions, in_one_operation, slow_rollout
from tiny import DIALECTS, images, in_dialect
from tiny_transformers import VARIANTS, Transformer

import openvino_xai as xai
from openvino_xai.errors import InputError, LayerError, PlanError, VerificationError
from openvino_xai.plan import site as planned

METHOD = "attention_rollout"
TOLERANCE = 1e-5  # of the largest
REFUSED = {
    "distilled": r"the scores read tokens 0, 1 at 'h1?' \(Gather\) and",
    "two together": r"the scores read tokens 0, 1 at 'h0' \((Slice|StridedSlice)\)",
    "no prefix": r"'logits' reads the patches behind the last block, and no class token alone: take reciprocam, or grad_cam",
    "mean of patches": r"'logits' reads the patches behind the last block, and no class token alone",
}
EXPLAINED = [name for name, item in VARIANTS.items() if name not in REFUSED and not item.rejoined]


def slow(variant: Transformer, batch: np.ndarray) -> np.ndarray:
    return np.stack([slow_rollout(attentions(variant, image), 0, variant.prefix) for image in batch])


def same(maps: np.ndarray, expected: np.ndarray) -> None:
    assert (np.ptp(expected, axis=(1, 2)) > 100 * TOLERANCE * expected.max(axis=(1, 2))).all()  # far from flat
    for k in range(maps.shape[1]):  # it knows no class
        np.testing.assert_allclose(maps[:, k], expected, atol=TOLERANCE * expected.max())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["fused", "positions turn"])
def test_the_map_is_the_papers_product(name: str, dialect: str) -> None:
    variant = VARIANTS[name]
    batch = images(variant.build("B"), 3)
    hooked = xai.insert(in_dialect(variant.build("B"), dialect), method=METHOD, scale="none")
    assert (hooked.record["score"], hooked.record["prefix_tokens"]) == ("none", str(variant.prefix))
    same(xai.load(hooked)(batch)["saliency_map"], slow(variant, batch))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "built"),
    [*((name, "B") for name in EXPLAINED), ("fused", 1), ("fused", 2), ("tokens first", 1), ("tokens first", 2)],
)
def test_every_way_to_write_attention(name: str, dialect: str, built: int | str) -> None:
    variant = VARIANTS[name]
    batch = images(variant.build("B"), 2 if built == "B" else int(built))
    hooked = xai.insert(in_dialect(variant.build(built), dialect), method=METHOD, scale="none")
    same(xai.load(hooked)(batch)["saliency_map"], slow(variant, batch))


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["none", "truths"])
def test_attention_in_one_operation_is_computed_beside(mask: str) -> None:
    variant, tokens = VARIANTS["fused"], VARIANTS["fused"].tokens
    truths = np.random.default_rng(3).random((tokens, tokens)) < 0.7
    truths[np.arange(tokens), np.arange(tokens)] = True
    batch = images(variant.build("B"), 2)
    hooked = xai.insert(in_one_operation(variant, "B", None if mask == "none" else truths), method=METHOD, scale="none")
    maps = xai.load(hooked)(batch)["saliency_map"]
    if mask == "none":
        same(maps, slow(variant, batch))
    else:
        numbers = np.where(truths, 0, -50).astype(np.float32)
        other = xai.insert(in_one_operation(variant, "B", numbers), method=METHOD, scale="none")
        np.testing.assert_allclose(maps, xai.load(other)(batch)["saliency_map"], atol=1e-6)
        assert not np.allclose(maps[:, 0], slow(variant, batch), atol=1e-3)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", REFUSED)
def test_without_a_class_token_it_is_refused(name: str, dialect: str) -> None:
    with pytest.raises(PlanError, match=REFUSED[name]):
        xai.insert(in_dialect(VARIANTS[name].build("B"), dialect), method=METHOD)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_block_that_a_second_branch_goes_around_is_refused(dialect: str) -> None:
    """Its tokens are not all that is made of the image, and no grid that is told changes that."""
    model = in_dialect(VARIANTS["rejoined"].build("B"), dialect)
    for options in ({}, {"token_grid": "3x4", "prefix_tokens": 1}):
        with pytest.raises(
            LayerError, match=r"and of 'z_0' a way around it leaves at '\w+' .* whose cells lie otherwise"
        ) as refusal:
            xai.insert(model, method=METHOD, **options)
        assert refusal.value.options == ()
    assert xai.insert(model).verified


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layer": "z_1"}, LayerError, r"attention_rollout looks at all attention blocks: leave layer 'z_1' out"),
        ({"layer": "no\n'such'"}, LayerError, r"looks at all attention blocks: leave layer"),
        ({"grid": "1x2"}, InputError, r"attention_rollout looks at all attention blocks: a grid is for layers; leave it out"),
        ({"feature_vector": True}, InputError, r"looks at all attention blocks: a feature-vector is for layers; leave it out"),
        ({"token_grid": "5x5"}, LayerError, r"attention_rollout looks at all attention blocks, and of 'z_\d' its tokens"),
    ],
)
def test_what_is_told_wrongly_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xai.insert(VARIANTS["fused"].build("B"), method=METHOD, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "pvt",
            r"'/stages/stages.0/blocks.0/attn/MatMul_1' \(MatMul\) lets \[256\] queries attend to \[4\] keys, where 256 tokens",
        ),
        ("swin", r"of '/layers/layers.1/blocks/blocks.1/Pad' its tokens .* are not known to be the cells of the image"),
        ("cait", r"of 'node_add_333' its attention reads 2 values"),
        ("deit", r"the scores read tokens 0, 1 at"),
        ("mixer", r"none leads from the image to the scores"),
    ],
)
def test_other_networks_are_refused_by_the_name_of_the_node(network: str, message: str) -> None:
    with pytest.raises((LayerError, PlanError), match=message):
        xai.insert(f"tests/zoo/{network}.onnx", method=METHOD)


@pytest.mark.slow
def test_a_network_of_convolutions_is_refused() -> None:
    with pytest.raises(LayerError, match="none leads from the image to the scores: reciprocam and grad_cam explain networks"):
        xai.insert("samples/models/efficientnet_lite0_int8.onnx", method=METHOD)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", ["turned", "images", "one block"])
def test_wrong_attention_is_seen(what: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries and keys that change places, another image's attention, and the same block twice: none of it is written."""
    true, first = planned.probabilities, {}

    def wrong(way: Any, node: Any) -> Any:
        weights = true(way, node)
        same_block = first.setdefault(way.xp, weights)
        if what == "turned":
            return way.xp.permute_dims(weights, (0, 1, 3, 2))
        if what == "images":
            return way.xp.broadcast_to(way.xp.take(weights, np.array([0]), axis=0), weights.shape)
        return same_block

    monkeypatch.setattr(planned, "probabilities", wrong)
    with pytest.raises(VerificationError, match="the maps differ from their definition"):
        xai.insert(in_dialect(VARIANTS["fused"].build(2), dialect), method=METHOD)
