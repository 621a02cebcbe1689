"""Several heads in one file: each has maps of its own, by its own scores, and what they share is computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models.two_heads import HEADS, apart, shared, with_outputs, with_second_head
from tiny import DIALECTS, STEM, Oracle, images, in_dialect, tiny
from tiny_transformers import CHANNELS, VARIANTS

import openvino_xai as xai
from openvino_xai.contract import HEAD_RECORD, RECORD, Names, names_of_heads
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import AlreadyHooked, InputError, LayerError, ModelError, OvxaiError, VerificationError
from openvino_xai.locate.located import Located, Where
from openvino_xai.plan.decision import Decision, Head, decide
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.request import Request
from openvino_xai.record.reading import records_of
from openvino_xai.record.removal import unhooked
from openvino_xai.verify.hook import verify_hook

LAYERS = {"shared": {"color": "f", "shape": "f"}, "apart": {"color": "f", "shape": "e"}}
MODELS: dict[str, Callable[..., onnx.ModelProto]] = {"shared": shared, "apart": apart}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 2])
@pytest.mark.parametrize("name", MODELS)
def test_each_head_has_its_own_maps(name: str, batch: int | str, dialect: str) -> None:
    model = MODELS[name](batch)
    photos = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), scores=list(HEADS))
    plain, new = (item.compile()({"image": photos}) for item in (open_model(in_dialect(model, dialect)), hooked.deployed))
    assert list(new) == [*HEADS, *(f"saliency_map_{head}" for head in HEADS)]
    for head, layer in LAYERS[name].items():
        np.testing.assert_array_equal(new[head], plain[head])
        expected = Oracle(model, layer, output=head).unit(photos)
        np.testing.assert_allclose(new[f"saliency_map_{head}"], expected, atol=1e-4)
    assert {record["scores"]: record["layer"].split("/")[0] for record in hooked.records} == LAYERS[name]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_layer_for_all_heads(dialect: str) -> None:
    model = apart()
    hooked = xai.insert(in_dialect(model, dialect), scores=tuple(HEADS), layer="f", targets="top:2", scale="none")
    photos = images(model, 3)
    new = hooked.deployed.compile()({"image": photos})
    for head in HEADS:
        best = np.argsort(-new[head], axis=1)[:, :2]
        np.testing.assert_array_equal(new[f"saliency_class_{head}"], best)
        raw = Oracle(model, "f", output=head).raw(photos)
        expected = np.take_along_axis(raw, best[:, :, None, None], axis=1)
        np.testing.assert_allclose(new[f"saliency_map_{head}"], expected, atol=1e-5)
    with pytest.raises(LayerError, match="output 'color': layer 'e'"):
        xai.insert(in_dialect(model, dialect), scores=tuple(HEADS), layer="e")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_heads_share_is_computed_once(dialect: str) -> None:
    model = in_dialect(shared(), dialect)
    both = xai.insert(model, scores=list(HEADS))
    alone = [xai.insert(model, scores=head) for head in HEADS]
    costs = [hooked.layer.cost or 0 for hooked in (both, *alone)]
    assert costs[0] < costs[1] + costs[2] - 1
    kinds = [[node.kind for node in hooked.deployed.reread().graph.nodes].count("matmul") for hooked in (both, *alone)]
    assert kinds == [6, 5, 5]  # of the model 3; one for the hidden layer, and one for each head


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_map_for_all_classes_is_an_output_of_each_head(dialect: str) -> None:
    """Both heads make the very same value, which cannot carry two names."""
    model = with_second_head(shared(), "r", 7, classes=5)
    new = xai.insert(in_dialect(model, dialect), scores=["color", "second"], method="activation_map").deployed.compile()(
        {"image": images(model, 2)}
    )
    assert [name for name in new if name.startswith("saliency")] == ["saliency_map_color", "saliency_map_second"]
    np.testing.assert_array_equal(new["saliency_map_color"], new["saliency_map_second"])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_heads_are_told_classes_and_images(dialect: str) -> None:
    model, photos = shared(), images(shared(), 3)
    all_maps = xai.insert(in_dialect(model, dialect), scores=list(HEADS)).deployed.compile()({"image": photos})
    hook = xai.insert(in_dialect(model, dialect), scores=list(HEADS), targets="asked").deployed.compile()
    ids = {"color": np.array([4, 0, 2]), "shape": np.array([2, 1, 0])}
    new = hook({"image": photos, **{f"explain_class_{head}": array for head, array in ids.items()}})
    for head, array in ids.items():
        expected = all_maps[f"saliency_map_{head}"][np.arange(3), array]
        np.testing.assert_allclose(new[f"saliency_map_{head}"][:, 0], expected, atol=1e-4)
    gate = np.array([False, True, False])
    hook = xai.insert(in_dialect(model, dialect), scores=list(HEADS), gate=True).deployed.compile()
    new = hook({"image": photos, "explain": gate})
    for head in HEADS:
        maps = new[f"saliency_map_{head}"]
        assert not maps[~gate].any()
        np.testing.assert_allclose(maps[gate], all_maps[f"saliency_map_{head}"][gate], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_verification_sees_maps_of_the_other_head(dialect: str) -> None:
    original = open_model(in_dialect(with_second_head(shared(), "r", 7, classes=5), dialect))
    names = dict(zip(("color", "second"), names_of_heads(["color", "second"]), strict=True))
    hooked = xai.insert(original.object(), scores=list(names)).deployed

    def heads(by_output: dict[str, Names]) -> list[Head]:
        located = [Located.of(original, Where(scores=output)) for output in by_output]
        return [
            Head(item.at(item.choose()), decide(Request(), item.choose(), (original.runtime,)), by_output[item.scores.name])
            for item in located
        ]

    assert verify_hook(original, hooked, heads(names)).difference < 1e-4
    crossed = {"color": names["second"], "second": names["color"]}
    with pytest.raises(VerificationError, match="differ from their definition by .* of the scores 'color'"):
        verify_hook(original, hooked, heads(crossed))


def test_a_plan_that_shares_too_much_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nodes count as one whatever they read, maps are others, and verification says so."""
    from openvino_xai.plan import sharing

    monkeypatch.setattr(sharing, "_key", lambda node, operands: (node.kind, *(value.shape for value in node.outputs)))
    with pytest.raises(OvxaiError):
        xai.insert(with_second_head(shared(), "r", 7, classes=5), scores=["color", "second"])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("features", ["h", "h_early"])
def test_heads_on_a_class_token(features: str, dialect: str) -> None:
    """Copies go into the places of tokens that nobody reads, once; nowhere, where heads would put other values there."""
    variant = VARIANTS["fused"]
    model = variant.build("B")
    if features == "h_early":  # of the class token ahead of the last block
        model.graph.node.append(onnx.helper.make_node("Gather", ["x1", "first"], ["h_early"], axis=1))
    model = with_second_head(model, features, CHANNELS)
    hooked = xai.insert(in_dialect(model, dialect), scores=["logits", "second"], scale="none")
    photos = images(model, 2)
    new = hooked.deployed.compile()({"image": photos})
    assert ("joined" in hooked.deployed.info(RECORD)) == (features == "h")
    for head in ("logits", "second"):
        alone = xai.insert(in_dialect(model, dialect), scores=head, scale="none").deployed.compile()({"image": photos})
        np.testing.assert_allclose(new[f"saliency_map_{head}"], alone["saliency_map"], rtol=1e-4)
        np.testing.assert_array_equal(new[head], alone[head])
    plain, again = open_model(in_dialect(model, dialect)), unhooked(hooked.deployed.reread())
    for name, array in plain.compile()({"image": photos}).items():
        np.testing.assert_array_equal(again.compile()({"image": photos})[name], array)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_hook_is_taken_off_again(dialect: str, tmp_path: Path) -> None:
    path = xai.insert(in_dialect(apart(), dialect), scores=list(HEADS), targets="asked", feature_vector=False).save(
        tmp_path / ("m.xml" if dialect == "openvino" else "m.onnx")
    )
    hooked = open_model(path)
    plain = unhooked(hooked)
    assert list(plain.graph.outputs) == list(HEADS)
    assert [value.name for value in plain.graph.inputs] == ["image"]
    assert not any(plain.info(section) for section in (RECORD, f"{HEAD_RECORD}1", f"{HEAD_RECORD}2"))
    with pytest.raises(AlreadyHooked, match="of 2 heads"):
        xai.insert(path, scores=list(HEADS))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_feature_vector_is_of_one_layer(dialect: str) -> None:
    hooked = xai.insert(in_dialect(shared(), dialect), scores=list(HEADS), feature_vector=True)
    assert list(hooked.deployed.graph.outputs).count("feature_vector") == 1
    with pytest.raises(InputError, match="a feature vector is of one layer, and the heads are explained at 'f.*', 'e"):
        xai.insert(in_dialect(apart(), dialect), scores=list(HEADS), feature_vector=True)


HOSTILE = {
    "Identity:0": "Identity_0",
    "/head/Gemm output": "head_Gemm_output",
    "a\nb": "a_b",
    "\x1b[31mred": "31mred",
    "q\"uo'te": "q_uo_te",
    "form[0].x-1": "form_0_.x-1",
    "цвет": "цвет",
}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_outputs_that_are_no_words(name: str, dialect: str, tmp_path: Path) -> None:
    model = in_dialect(with_outputs(shared(), {"color": name}), dialect)
    hooked = xai.insert(model, scores=[name, "shape"])
    path = hooked.save(tmp_path / f"m{hooked.deployed.suffix}")
    deployed = open_model(path)
    assert [record["scores"] for record in records_of(deployed.graph, deployed.info)] == [name, "shape"]
    assert f"saliency_map_{HOSTILE[name]}" in deployed.graph.outputs


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (["color", "color"], "'color' is named twice"),
        (["color", "nothing"], "no output 'nothing'"),
        (["a:0", "a/0"], "outputs 'a:0' and 'a/0' would both name maps 'saliency_map_a_0'"),
        (["Color", "color"], "would both name maps"),
        (["\n", "color"], r"output '\\n' cannot name maps"),
        (["c" * 300, "color"], "cannot name maps: 1 to 200 letters"),
    ],
)
def test_names_that_name_nothing(scores: list[str], message: str) -> None:
    with pytest.raises(OvxaiError, match=message):
        xai.insert(shared(), scores=scores)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("taken", ["saliency_map_shape", "saliency_class_shape"])
def test_a_name_that_the_model_has(taken: str, verify: bool, dialect: str) -> None:
    model = with_outputs(with_second_head(shared(), "r", 7), {"second": taken})
    with pytest.raises(ModelError, match=f"the model has '{taken}' already"):
        xai.insert(in_dialect(model, dialect), scores=list(HEADS), verify=verify)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("verify", [True, False])
def test_the_name_of_the_only_map_is_taken(verify: bool, dialect: str) -> None:
    model = with_outputs(with_second_head(shared(), "r", 7), {"second": "saliency_map"})
    with pytest.raises(ModelError, match="the model has 'saliency_map' already"):
        xai.insert(in_dialect(model, dialect), scores="color", verify=verify)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "4"}, "class 4 is not there: output 'shape' has 3 classes"),
        ({"targets": "top:4"}, "top:4 asks for more classes than the 3 that output 'shape' has"),
        ({"targets": "vector"}, "vectors are explained in a hook of their own"),
        ({"targets": "boxes:2"}, "rows of a detector are explained in a hook of their own"),
        ({"cut": "heads"}, "rows of a detector are explained in a hook of their own"),
    ],
)
def test_what_not_all_heads_can_be_asked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        xai.insert(shared(), scores=list(HEADS), **options)


def test_heads_have_to_be_named() -> None:
    with pytest.raises(ModelError, match="2 of the model's outputs can be class scores.*'color'.*'shape'.*name") as error:
        xai.insert(shared())
    assert error.value.options == ("scores",)


@pytest.mark.slow
def test_a_head_of_pixels_beside_one_of_the_image() -> None:
    body = STEM + "p = GlobalAveragePool(f) v = Flatten(p) color = Gemm(v, wv) pixels = Conv(f, wp)"
    model = tiny(body, output="float[B,5] color, float[B,3,6,8] pixels", w0=(4, 3, 3, 3), wv=(4, 5), wp=(3, 4, 1, 1))
    hooked = xai.insert(model, scores=["color", "pixels"], layer="c")
    assert [(record["method"], record["targets"]) for record in hooked.records] == [
        ("reciprocam", "all"),
        ("layer_cam", "top:3"),
    ]
    alone = [xai.insert(model, scores=head, layer="c").deployed.compile() for head in ("color", "pixels")]
    photos = {"image": images(model, 2)}
    new = hooked.deployed.compile()(photos)
    for head, running in zip(("color", "pixels"), alone, strict=True):
        np.testing.assert_allclose(new[f"saliency_map_{head}"], running(photos)["saliency_map"], atol=1e-5)


FORGED: list[tuple[str, dict[str, str], str]] = [
    (RECORD, {"heads": "3"}, "'heads'|'map'"),
    (RECORD, {"heads": "1"}, "'heads'"),
    (RECORD, {"heads": "9" * 30}, "'heads'"),
    (RECORD, {"heads": "two"}, "'heads'"),
    (f"{HEAD_RECORD}1", {"map": "saliency_map_shape"}, "saliency_map_shape"),
    (f"{HEAD_RECORD}1", {"map": "color"}, "'map'"),
    (f"{HEAD_RECORD}1", {"scores": "shape"}, "'scores'|saliency_map"),
    (f"{HEAD_RECORD}2", {"targets": "top:2"}, "saliency"),
    (f"{HEAD_RECORD}2", {"task": "boxes"}, "entry"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("section", "entries", "message"), FORGED)
def test_forged_records(section: str, entries: dict[str, str], message: str) -> None:
    deployed = xai.insert(shared(), scores=list(HEADS)).deployed
    deployed.set_info(section, entries)
    for use in (xai.load_heads, unhooked):
        with pytest.raises(ModelError, match=message):
            use(deployed.object() if use is xai.load_heads else deployed)  # type: ignore[operator]


def test_a_second_way_is_taken_by_all_heads(changed_once: list[Decision]) -> None:
    hooked = xai.insert(shared(), scores=list(HEADS), method="grad_cam")
    assert [record["fallback"] for record in hooked.records] == ["apart", "apart"]
    assert [decision.isolated for decision in changed_once] == [False, False, True, True]


def test_plans_of_one_head_stay_as_they_are() -> None:
    from openvino_xai.plan.sharing import shared as union

    plan = Plan(open_model(shared()).graph, (), {})
    assert union([(Names(), plan)]) is plan
    assert union([(Names("a"), replace(plan, splices={})), (Names("b"), plan)]) is not None
