"""Copies in the places of tokens that nobody reads: the model's own nodes compute them, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, images, in_dialect
from tiny_transformers import ROUNDING, VARIANTS, oracle

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.plan.decision import Decision
from openvino_xai.record.removal import unhooked
from openvino_xai.tail.class_token.attention import ClassTokenAttention

pytestmark = pytest.mark.slow

JOINED = [
    "fused",
    "split",
    "tokens first",
    "positions turn",
    "norm behind",
    "gated",
    "registers",
    "softmax inside",
    "one block",
]
APART = ["distilled", "two together", "mean of patches"]  # more tokens are read than one


def hooked(name: str, dialect: str, **options: Any) -> xai.Hooked:
    return xai.insert(in_dialect(VARIANTS[name].build("B"), dialect), layer=VARIANTS[name].layer, **options)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", JOINED)
def test_the_mlp_is_computed_for_copies_and_class_token_at_once(name: str, dialect: str) -> None:
    grown = hooked(name, dialect)
    assert int(grown.record["joined"]) >= 2
    products = [node.kind for node in grown.deployed.reread().graph.nodes].count("matmul")
    plain = [node.kind for node in open_model(VARIANTS[name].build("B")).graph.nodes]
    assert products - plain.count("matmul") <= 5  # scores and values of the attention, and the head; no MLP


@pytest.mark.parametrize("name", APART)
def test_what_is_read_has_no_place_for_copies(name: str) -> None:
    assert "joined" not in hooked(name, "onnx").record


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("read", ["n", "y_1", "m3_1"])
def test_tokens_that_another_output_reads_stay(read: str, dialect: str) -> None:
    """Of what an output holds, all tokens are read, and copies may only come behind it, or elsewhere."""
    variant = VARIANTS["fused"]
    model = variant.build("B")
    model.graph.output.append(onnx.helper.make_tensor_value_info(read, onnx.TensorProto.FLOAT, None))
    batch = images(model, 3)
    grown = xai.insert(in_dialect(model, dialect), scores="logits", scale="none")
    plain, new = open_model(in_dialect(model, dialect)).compile()({"image": batch}), grown.deployed.compile()({"image": batch})
    for name in plain:
        np.testing.assert_array_equal(new[name], plain[name])
    assert ("joined" in grown.record) == (read != "n")  # behind the last norm nothing is left
    np.testing.assert_allclose(new["saliency_map"], oracle(variant).raw(batch), rtol=ROUNDING)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["fused", "registers"])
def test_the_hook_is_taken_off_again(name: str, dialect: str, tmp_path: Path) -> None:
    grown = hooked(name, dialect)
    file = grown.save(tmp_path / f"hooked{grown.deployed.suffix}")
    native = in_dialect(VARIANTS[name].build("B"), dialect)
    original, again = open_model(native), unhooked(open_model(file))
    assert [node.op for node in again.graph.nodes] == [node.op for node in original.graph.nodes]
    batch = {"image": images(VARIANTS[name].build("B"), 2)}
    results, plain = again.compile()(batch), original.compile()(batch)
    assert list(results) == ["logits"]
    np.testing.assert_array_equal(results["logits"], plain["logits"])


def test_a_hook_whose_joins_have_lost_their_names_is_left_on() -> None:
    grown = hooked("fused", "onnx").deployed
    for node in grown.native.graph:
        node.name = str(node.name).replace(JOIN, "other")
    with pytest.raises(ModelError, match="0 of its 2 joins are found by their names; insert into the original again"):
        unhooked(grown.reread())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_gate_keeps_the_copies_apart(dialect: str) -> None:
    grown = hooked("fused", dialect, gate=True, scale="none")
    assert "joined" not in grown.record
    batch = images(VARIANTS["fused"].build("B"), 3)
    maps = grown.deployed.compile()({"image": batch, "explain": np.array([True, False, True])})["saliency_map"]
    np.testing.assert_allclose(maps[[0, 2]], oracle(VARIANTS["fused"]).raw(batch)[[0, 2]], rtol=ROUNDING)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_copies_are_kept_apart_where_a_runtime_would_change_a_bit(dialect: str, changed_once: list[Decision]) -> None:
    grown = hooked("fused", dialect)
    assert [decision.isolated for decision in changed_once] == [False, True]
    assert "joined" not in grown.record


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_copy_in_the_place_of_the_class_token_is_seen(
    dialect: str, verified: list[Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle fails where it should: one place too early, the outputs are others."""
    real = ClassTokenAttention._among
    monkeypatch.setattr(
        ClassTokenAttention, "_among", lambda self, value, span, item, token: real(self, value, span, item, token - 1)
    )
    hooked("fused", dialect)
    assert [decision.isolated for decision in verified] == [False, True]  # the first try was refused


def test_where_copies_find_no_place_further_on_none_of_them_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    real, values = ClassTokenAttention._among, []

    def second_does_not_fit(self: Any, value: Any, span: Any, item: Any, token: int) -> Any:
        values.append(value)
        return None if len(values) == 2 else real(self, value, span, item, token)

    monkeypatch.setattr(ClassTokenAttention, "_among", second_does_not_fit)
    grown = hooked("fused", "onnx", scale="none")
    assert "joined" not in grown.record
    batch = images(VARIANTS["fused"].build("B"), 2)
    np.testing.assert_allclose(xai.load(grown)(batch)["saliency_map"], oracle(VARIANTS["fused"]).raw(batch), rtol=ROUNDING)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_classes_that_are_asked_for(dialect: str) -> None:
    variant = replace(VARIANTS["fused"], prefix=3)
    batch = images(variant.build("B"), 2)
    grown = xai.insert(in_dialect(variant.build("B"), dialect), layer=variant.layer, targets="asked", scale="none")
    assert "joined" in grown.record
    classes = np.array([2, 0], np.int64)
    maps = grown.deployed.compile()({"image": batch, "explain_class": classes})["saliency_map"]
    references = oracle(variant).raw(batch)
    np.testing.assert_allclose(maps[:, 0], references[[0, 1], classes], rtol=ROUNDING)
