"""Vision transformers: the last attention block is found by structure, and its maps are those of the slow definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, images, in_dialect
from tiny_transformers import HEIGHT, ROUNDING, VARIANTS, WIDTH, TokenOracle, Transformer, oracle

import openvino_xai as xai
from openvino_xai.errors import InputError, LayerError, PlanError

pytestmark = pytest.mark.slow


def hooked_maps(
    variant: Transformer, dialect: str, built: int | str, batch: np.ndarray, **options: Any
) -> tuple[Any, np.ndarray]:
    hooked = xai.insert(in_dialect(variant.build(built), dialect), layer=variant.layer, **{"scale": "none", **options})
    return hooked, xai.load(hooked)(batch)["saliency_map"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("plan", ["lazy", "direct"])
@pytest.mark.parametrize("name", VARIANTS)
def test_maps_are_the_definition(name: str, plan: str, dialect: str) -> None:
    variant = VARIANTS[name]
    batch = images(variant.build("B"), 3)
    hooked, maps = hooked_maps(variant, dialect, "B", batch, plan=plan)
    assert hooked.record["method"] == "vit_reciprocam"
    assert hooked.layer.cells == (HEIGHT, WIDTH)
    slow = oracle(variant).raw(batch)
    np.testing.assert_allclose(maps, slow, rtol=ROUNDING)
    spread = np.ptp(slow, axis=(2, 3)) / slow.max(axis=(2, 3))
    assert (spread.max(axis=1) > 100 * ROUNDING).all()  # far from flat


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("built", [1, 2])
@pytest.mark.parametrize("name", ["fused", "split", "tokens first", "distilled"])
def test_a_batch_that_is_written_into_the_model(name: str, built: int, dialect: str) -> None:
    variant = VARIANTS[name]
    batch = images(variant.build(built), built)
    _, maps = hooked_maps(variant, dialect, built, batch)
    np.testing.assert_allclose(maps, oracle(variant).raw(batch), rtol=ROUNDING)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("options", [{"kernel": "cell"}, {"score": "logit"}], ids=["single cells", "logits"])
def test_options(options: dict[str, Any], dialect: str) -> None:
    variant = VARIANTS["fused"]
    batch = images(variant.build("B"), 2)
    _, maps = hooked_maps(variant, dialect, "B", batch, **options)
    np.testing.assert_allclose(maps, oracle(variant, **options).raw(batch), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["top:2", "3,1"])
@pytest.mark.parametrize("score", ["softmax", "logit"])
def test_targets(targets: str, score: str, dialect: str) -> None:
    variant = VARIANTS["fused"]
    batch = images(variant.build("B"), 2)
    hooked = xai.insert(in_dialect(variant.build("B"), dialect), targets=targets, score=score, scale="none")
    outputs = xai.load(hooked)(batch)
    all_maps = oracle(variant, score=score).raw(batch)
    ids = outputs["saliency_class"] if targets == "top:2" else np.array([[3, 1]] * 2)
    expected = np.take_along_axis(all_maps, ids[:, :, None, None], axis=1)
    np.testing.assert_allclose(outputs["saliency_map"], expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.head != "mean"])
def test_a_lazy_plan_costs_little(name: str) -> None:
    """Where few tokens reach the scores, a lazy plan computes nothing for the others."""
    model = VARIANTS[name].build("B")
    lazy, direct = (xai.insert(model, layer=VARIANTS[name].layer, plan=plan).layer.cost or 0 for plan in ("lazy", "direct"))
    assert lazy - 1 < (direct - 1) / 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_method_is_chosen_by_structure(dialect: str) -> None:
    by_class = xai.insert(in_dialect(Transformer().build("B"), dialect))
    assert (by_class.record["method"], by_class.record["kernel"], by_class.record["prefix_tokens"]) == (
        "vit_reciprocam",
        "gaussian",
        "1",
    )
    rejoined = xai.insert(in_dialect(VARIANTS["rejoined"].build("B"), dialect))  # one block lies behind both branches
    assert (rejoined.record["method"], rejoined.layer.name) == ("vit_reciprocam", VARIANTS["rejoined"].layer)
    by_mean = xai.insert(in_dialect(VARIANTS["mean of patches"].build("B"), dialect))
    assert by_mean.record["method"] == "reciprocam"  # behind the last norm patches are cells, which cost nothing
    assert by_mean.layer.cells == (HEIGHT, WIDTH)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_another_block_is_named(dialect: str) -> None:
    variant = VARIANTS["fused"]
    model = in_dialect(variant.build("B"), dialect)
    first = [layer.name for layer in xai.layers(model) if layer.method == "vit_reciprocam"][1]
    hooked = xai.insert(model, layer=first)
    batch = images(variant.build("B"), 2)
    slow = TokenOracle(variant.build("B"), "x0", "z_0", 1)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], slow.unit(batch), atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tokens_that_cannot_be_inferred_are_told(dialect: str) -> None:
    """The patches are reordered so that rows and columns cannot be inferred: the caller has to give the token grid."""
    model = VARIANTS["fused"].build("B")
    flatten = model.graph.node[1]
    flatten.output[0] = "r4"
    model.graph.node.insert(2, onnx.helper.make_node("Reshape", ["r4", "odd"], ["r5"]))
    model.graph.node.insert(3, onnx.helper.make_node("Transpose", ["r5"], ["r6"], perm=[0, 1, 3, 2]))
    model.graph.node.insert(4, onnx.helper.make_node("Reshape", ["r6", "flat"], ["r"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 8, 6, 2], np.int64), "odd"))
    native = in_dialect(model, dialect)
    for method in ("vit_reciprocam", None):
        with pytest.raises(LayerError, match=r"give the token grid .* and the number of prefix tokens") as unknown:
            xai.insert(native, method=method)
        assert unknown.value.options == ("token_grid", "prefix_tokens")
    hooked = xai.insert(native, token_grid="3x4")
    assert hooked.record["prefix_tokens"] == "1"
    batch = images(VARIANTS["fused"].build("B"), 2)
    slow = TokenOracle(model, "x1", "z_1", 1)
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], slow.unit(batch), atol=2e-4)


def test_what_is_told_wrongly_is_refused() -> None:
    model = VARIANTS["fused"].build("B")
    with pytest.raises(LayerError, match="are not known to be the cells of the image"):
        xai.insert(model, method="vit_reciprocam", token_grid="5x5")
    with pytest.raises(InputError, match="token grid 'wide' is not understood"):
        xai.insert(model, token_grid="wide")
    with pytest.raises(InputError, match="prefix_tokens is -1"):
        xai.insert(model, prefix_tokens=-1)
    with pytest.raises(InputError, match="kernel 'box' is not known: one of gaussian, cell"):
        xai.insert(model, kernel="box")
    with pytest.raises(PlanError, match="holds tokens: a coarser grid is for rows and columns"):
        xai.insert(model, grid="1x2")


def test_a_block_of_which_no_shape_is_known_is_listed() -> None:
    model = VARIANTS["fused"].build(1)
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.op_type = "Unheard"  # so that nothing behind it has a shape
    (block,) = (layer for layer in xai.layers(model) if layer.method == "vit_reciprocam")
    assert (block.shape, block.cost) == ((), None)
    assert "are not known to be the cells of the image" in str(block.reason)
