"""A model, located: once, in public, and carried into its twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny import CASES, DIALECTS, in_dialect
from tiny_transformers import VARIANTS

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import AlreadyHooked, InputError, LayerError, ModelError, PlanError
from openvino_xai.locate import TokenHint, Where, locate, located
from openvino_xai.locate.located import counterparts

CASE = CASES["residual, layer second"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_image_the_scores_and_the_layers_are_found(dialect: str) -> None:
    model = locate(in_dialect(CASE.build("B", 17), dialect))
    assert (model.image.name, model.scores.name, model.scores.classes) == ("image", "logits", 5)
    assert model.image_place.cells == (2, 3)
    assert [candidate.name for candidate in model.usable][:3] == ["r", "s", "f"]
    assert model.choose().name == model.choose("grad_cam").name == "r"
    assert not model.blocks


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_transformer_has_cells_and_blocks(dialect: str) -> None:
    variant = VARIANTS["fused"]
    model = locate(in_dialect(variant.build("B"), dialect))
    assert model.choose().attends
    assert model.choose("vit_reciprocam").name == variant.layer == model.choose().name


def test_what_a_caller_says_is_obeyed_or_refused() -> None:
    model = CASE.build("B", 17)
    assert locate(model, Where(layer="f", scores="logits", image="image")).choose("reciprocam").name == "f"
    for where in (Where(scores="f"), Where(image="logits")):
        with pytest.raises(ModelError):
            locate(model, where)
    with pytest.raises(LayerError, match="no layer 'nothing'"):
        locate(model, Where(layer="nothing")).choose()
    with pytest.raises(LayerError, match="needs an attention block"):
        locate(model).choose("vit_reciprocam")
    with pytest.raises(AlreadyHooked):
        locate(xai.insert(model, verify=False).model)


def test_what_a_caller_writes_is_read() -> None:
    where = Where.parse("f", prefix_tokens=1, token_grid="7x9")
    assert where == Where(layer="f", tokens=TokenHint((7, 9), 1)) == Where.parse("f", prefix_tokens=1, token_grid=(7, 9))
    for wrong in ({"prefix_tokens": -1}, {"token_grid": "7"}):
        with pytest.raises(InputError):
            Where.parse(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["fused", "registers"])
def test_a_location_is_the_same_in_a_twin(name: str, dialect: str) -> None:
    model = locate(in_dialect(VARIANTS[name].build("B"), dialect))
    here, twin = model.at(model.choose()), model.deployed.twin()
    there = here.within(twin.graph)
    pairs = [(here.image, there.image), (here.scores.value, there.scores.value), (here.layer.value, there.layer.value)]
    for first, second in pairs:
        assert first is not second and (first.name, first.shape, first.dtype) == (second.name, second.shape, second.dtype)
    assert {part.value for part in there.layer.cut} <= {value for node in twin.graph.nodes for value in node.outputs}
    assert (there.layer.place, there.layer.name) == (here.layer.place, here.layer.name)


def test_another_model_is_no_twin() -> None:
    first, second = (open_model(CASES[name].build("B", 17)).graph for name in ("mlp head", "batch norm"))
    with pytest.raises(PlanError, match="a copy of the model has other nodes"):
        counterparts(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_is_located_once_for_a_hook(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    real = located.places
    monkeypatch.setattr(located, "places", lambda *places, **options: calls.append(places) or real(*places, **options))
    hooked = xai.insert(in_dialect(CASE.build("B", 17), dialect), method="grad_cam")
    assert hooked.verified is not None and len(calls) == 1
    assert np.isfinite(hooked.verified.difference)
