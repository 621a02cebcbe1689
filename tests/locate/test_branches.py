"""Scores of several branches that share the image: an ensemble, twins, levels side by side. One cut has a layer of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from tiny import DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError, OvxaiError, PlanError, VerificationError
from openvino_xai.locate.located import Located, Where, locate
from openvino_xai.plan.decision import Head, decide
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import plan
from openvino_xai.plan.request import Request
from openvino_xai.verify.hook import verify_hook

INTS = np.array
A = "ac = Conv<pads=[1,1,1,1]>(image, wa) af = Relu(ac) ap = GlobalAveragePool(af) av = Flatten(ap) al = Gemm(av, u) "
B = "bc = Conv<pads=[1,1,1,1]>({0}, wb) bf = Relu(bc) bp = GlobalMaxPool(bf) bv = Flatten(bp) bl = Gemm(bv, v) "
WEIGHTS = {"wa": (4, 3, 3, 3), "wb": (4, 3, 3, 3), "u": (4, 5), "v": (4, 5)}
HALF = np.array(0.5, np.float32)
MIRROR = "i = Slice(image, last, first, three, back) "
MIRRORED = {"last": INTS([-1]), "first": INTS([-100]), "three": INTS([3]), "back": INTS([-1])}
ENSEMBLES: dict[str, tuple[str, dict[str, Any]]] = {
    "averaged": (A + B.format("image") + "s = Add(al, bl) logits = Mul(s, half)", {"half": HALF}),
    "largest": (A + B.format("image") + "logits = Max(al, bl)", {}),
    "stacked": (
        A + B.format("image") + "at = Unsqueeze(al, zero) bt = Unsqueeze(bl, zero) j = Concat<axis=0>(at, bt) "
        "logits = ReduceMean<axes=[0], keepdims=0>(j)",
        {"zero": INTS([0])},
    ),
    "twins": (A + B.format("image").replace("wb", "wa") + "logits = Sub(al, bl)", {}),
    "two strides": (
        A.replace("al = Gemm(av, u) ", "")
        + B.format("image").replace("pads", "strides=[2,2], pads").replace("bl = Gemm(bv, v) ", "")
        + "j = Concat<axis=1>(av, bv) logits = Gemm(j, w)",
        {"w": (8, 5)},
    ),
    "a stem": (
        "st = Conv<pads=[1,1,1,1]>(image, w0) " + A.replace("image", "st") + B.format("st") + "logits = Add(al, bl)",
        {"w0": (3, 3, 3, 3)},
    ),
    "mirrored": (A + MIRROR + B.format("i") + "logits = Add(al, bl)", MIRRORED),
    "mirrored twice, and pooled": (
        A
        + "r = Gather<axis=2>(image, upward) "
        + MIRROR.replace("image", "r")
        + B.format("i").replace("bf = Relu(bc)", "be = Relu(bc) bf = AveragePool<kernel_shape=[2,2], strides=[2,2]>(be)")
        + "logits = Add(al, bl)",
        {**MIRRORED, "upward": INTS([5, 4, 3, 2, 1, 0])},
    ),
    "mirrored, behind a convolution": (
        A
        + MIRROR
        + B.format("i").replace(
            "bp = GlobalMaxPool(bf)", "bd = Conv<pads=[1,1,1,1]>(bf, wd) bg = Add(bd, bf) bp = GlobalMaxPool(bg)"
        )
        + "logits = Add(al, bl)",
        {**MIRRORED, "wd": (4, 4, 3, 3)},
    ),
    "columns as rows": (A + "t = Transpose<perm=[0,1,3,2]>(image) " + B.format("t") + "logits = Add(al, bl)", {}),
}


def model(name: str, batch: int | str = "B") -> onnx.ModelProto:
    body, more = ENSEMBLES[name]
    weights = {
        key: item for key, item in {**WEIGHTS, **more}.items() if key in body.replace(")", " ").replace(",", " ").split()
    }
    return tiny(body, batch=batch, **weights)


def slow(
    proto: onnx.ModelProto,
    batch: np.ndarray,
    *,
    layers: Sequence[str] = ("af", "bf"),
    columns_as_rows: bool = False,
    mirrored: tuple[int, ...] = (),
) -> np.ndarray:
    """[B, K, H, W]: the scores, by softmax, of one cell of the image kept in all `layers`, one image and cell at a time.

    Branch b holds the image with the axes that are `mirrored` the other way round.
    """
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(proto))
    trunk = ReferenceEvaluator(extractor.extract_model(["image"], layers))
    tail = ReferenceEvaluator(extractor.extract_model(layers, ["logits"]))
    maps = []
    for image in batch:
        values = dict(zip(layers, trunk.run(None, {"image": image[None]}), strict=True))
        laid = {key: item.swapaxes(2, 3) if columns_as_rows and key == "bf" else item for key, item in values.items()}
        height, width = min(item.shape[2:] for item in laid.values())
        cells = np.zeros((5, height, width))
        for h, w in np.ndindex(height, width):
            kept_alone = {}
            for key, item in laid.items():
                tall, wide = item.shape[2] // height, item.shape[3] // width
                block = np.s_[:, :, h * tall : (h + 1) * tall, w * wide : (w + 1) * wide]
                zeros = np.zeros_like(item)
                zeros[block] = 1
                zeros = item * (np.flip(zeros, mirrored) if key == "bf" else zeros)
                kept_alone[key] = zeros.swapaxes(2, 3) if columns_as_rows and key == "bf" else zeros
            y = tail.run(None, kept_alone)[0].reshape(-1).astype(np.float64)
            cells[:, h, w] = np.exp(y) / np.exp(y).sum()
        maps.append(cells)
    return np.stack(maps)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 2])
@pytest.mark.parametrize("name", ENSEMBLES)
def test_a_mask_keeps_one_cell_of_the_image_in_every_branch(name: str, batch: int | str, dialect: str) -> None:
    proto = model(name, batch)
    photos = images(proto, 2)
    hooked = xai.insert(in_dialect(proto, dialect), scale="none", layer="af,bf" if "wd" in ENSEMBLES[name][1] else None)
    assert set(hooked.record["layer"].split(",")) == {"af", "bf"}
    outputs = hooked.deployed.compile()({"image": photos})
    axes = () if "mirrored" not in name else (2, 3) if "twice" in name else (3,)
    expected = slow(proto, photos, columns_as_rows=name == "columns as rows", mirrored=axes)
    np.testing.assert_allclose(outputs["saliency_map"], expected, atol=1e-5)
    plain = open_model(in_dialect(proto, dialect)).compile()({"image": photos})
    np.testing.assert_array_equal(outputs["logits"], plain["logits"])


def test_both_branches_have_to_be_masked() -> None:
    """The definition is of both: maps of one branch, of a plan that leaves the other as it is, are refused."""
    original = open_model(model("largest"))
    located = Located.of(original, Where())
    both = located.at(located.choose())
    decision, twin = decide(Request(), both.layer, (original.runtime,)), original.twin()
    there = both.within(twin.graph)
    first = replace(there.layer, cut=there.layer.cut[:1])
    with pytest.raises((PlanError, VerificationError)):
        emit(plan(replace(there, layer=first), decision), twin)
        verify_hook(original, twin, [Head(both, decision)])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_layers_that_are_named(dialect: str) -> None:
    native = in_dialect(model("a stem"), dialect)
    assert xai.layers(native)[0].name == "af,bf"
    assert locate(native, Where(layer="bc, af")).choose("reciprocam").name == "bc,af"
    assert locate(native, Where(layer="st")).choose().name.split("/")[0] == "st"
    for layer, message in (
        ("af,nothing", "no layer 'nothing'"),
        ("af,av", "layer 'av' has no cells"),
        ("af,ac", "layers 'af.*,ac.*' cannot carry a hook: they do not separate .*'bl.*' bypasses them and enters"),
        ("af", "does not separate .* bypasses it"),
    ):
        with pytest.raises(LayerError, match=message):
            locate(native, Where(layer=layer)).choose()


@pytest.mark.parametrize("method", ["grad_cam", "activation_map", "ablation_cam", "vit_reciprocam"])
def test_methods_that_look_at_one_layer(method: str) -> None:
    for layer in (None, "af,bf"):
        with pytest.raises(
            LayerError, match=f"{method} looks at one layer, and 'af,bf' are 2: .* explain those of several branches"
        ):
            xai.insert(model("averaged"), method=method, layer=layer)
    assert xai.insert(model("a stem"), method="grad_cam", verify=False).record["layer"] == "st"
    with pytest.raises(OvxaiError, match="a feature vector is of one layer"):
        xai.insert(model("averaged"), feature_vector=True)


@pytest.mark.slow
def test_class_activation_maps_of_an_ensemble() -> None:
    body, more = ENSEMBLES["averaged"]
    proto = tiny(body.replace("GlobalMaxPool", "GlobalAveragePool"), **WEIGHTS, **more)
    photos = images(proto, 2)
    maps = xai.insert(proto, method="cam", scale="none").deployed.compile()({"image": photos})["saliency_map"]
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(proto))
    a, b = ReferenceEvaluator(extractor.extract_model(["image"], ["af", "bf"])).run(None, {"image": photos})
    u, v = (onnx.numpy_helper.to_array(item) for item in proto.graph.initializer if item.name in "uv")
    expected = sum(np.einsum("bchw,ck->bkhw", item, weights) for item, weights in ((a, u), (b, v))) / 2
    slope = np.polyfit(expected.reshape(-1), maps.reshape(-1), 1)[0]
    np.testing.assert_allclose(maps, expected * slope, atol=1e-5)


TURNED = {
    "mixed": ("i = Gather<axis=3>(image, order)", {"order": np.array([1, 0, 2, 3, 4, 5, 6, 7])}),
    "cut": ("i = Slice(image, one, five, two)", {"one": 1, "five": 5, "two": 2}),
    "rolled": (
        "i0 = Slice(image, zero, two, two) i1 = Slice(image, two, six, two) i = Concat<axis=2>(i1, i0)",
        {"zero": 0, "two": 2, "six": 6},
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "twin"), [(name, twin) for name in TURNED for twin in (True, False) if twin or name != "cut"]
)  # a network of a crop alone is one of a part of the image
def test_a_branch_that_turns_the_image_is_refused(name: str, twin: bool, dialect: str) -> None:
    """Its cells lie elsewhere than those of the image: a map of it would point at the wrong place."""
    turn, numbers = TURNED[name]
    constants = {key: np.atleast_1d(np.array(number, np.int64)) for key, number in numbers.items()}
    body = turn + " " + (A + B.format("i") + "logits = Add(al, bl)" if twin else B.format("i") + "logits = Identity(bl)")
    weights = WEIGHTS if twin else {key: WEIGHTS[key] for key in ("wb", "v")}
    with pytest.raises(LayerError, match="behind 'i.*rows and columns of the image are not followed"):
        xai.insert(in_dialect(tiny(body, **weights, **constants), dialect))


def test_branches_of_grids_that_do_not_fit_each_other() -> None:
    proto = tiny(A + B.format("image").replace("pads=[1,1,1,1]", "strides=[2,2]") + "logits = Add(al, bl)", **WEIGHTS)
    why = "'af,bf'.* has 6x8 cells, which a grid of 2x3 does not divide evenly; method layer_cam .*: name layer '(af,bf)'"
    with pytest.raises(LayerError, match=why) as error:
        xai.insert(proto, method="reciprocam")
    names = re.search(why, str(error.value))
    assert names is not None and xai.insert(proto, method="layer_cam", layer=names[1]).verified


def test_layers_on_all_ways_are_joined_where_no_mask_suits_them() -> None:
    """Where a layer, a method, or what only masks have is named, that is obeyed or refused."""
    proto = tiny(A + B.format("image").replace("pads=[1,1,1,1]", "strides=[2,2]") + "logits = Add(al, bl)", **WEIGHTS)
    hooked = xai.insert(proto)
    assert (hooked.record["method"], hooked.record["layer"], hooked.record["targets"]) == ("layer_cam", "af,bf", "top:1")
    why = hooked.layer.instead_of
    assert why is not None and why.startswith("one of them, or by masks: ") and "layer_cam" not in why
    options: dict[str, Any]
    for options in ({"method": "reciprocam"}, {"layer": "af"}, {"grid": (2, 3)}, {"method": "grad_cam"}):
        with pytest.raises(OvxaiError, match="af"):
            xai.insert(proto, **options)


TOKENS = (
    "bc = Conv<pads=[1,1,1,1]>(image, wb) br = Reshape(bc, flat) bt = Transpose<perm=[0,2,1]>(br) bg = Tanh(bt) "
    "bm = MatMul(bg, wm) bf = Sigmoid(bm) bv = ReduceMean<axes=[1], keepdims=0>(bf) bl = Gemm(bv, v) logits = Add(al, bl)"
)
OF_TOKENS = {**WEIGHTS, "wm": (4, 4), "flat": INTS([0, 4, -1])}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stride", [1, 2])
def test_tokens_beside_cells(stride: int, dialect: str) -> None:
    """Verification holds the maps to the definition."""
    tokens = TOKENS.replace("pads", f"strides=[{stride},{stride}], pads")
    hooked = xai.insert(in_dialect(tiny(A + tokens, **OF_TOKENS), dialect))
    assert hooked.record["layer"] == "af,bf"
    assert hooked.layer.cells == (6 // stride, 8 // stride)


def test_tokens_that_are_finer_than_cells() -> None:
    proto = tiny(A.replace("pads", "strides=[2,2], pads") + TOKENS, **OF_TOKENS)
    with pytest.raises(LayerError, match=r"of 'bf', it holds tokens of \[6, 8\] cells, and others \[3, 4\]"):
        xai.insert(proto, method="reciprocam")


def test_a_layer_that_leads_to_the_others_is_the_cut() -> None:
    """Levels that are pooled side by side come from one layer, which separates the image alone, where that is not too dear."""
    body = A + B.format("af") + "logits = Add(al, bl)"
    assert locate(tiny(body, **{**WEIGHTS, "wb": (4, 4, 3, 3)})).choose().name == "af"


LEVELS = "af,bf,df"
POOLED_LEVELS = (
    "ac = Conv<pads=[1,1,1,1]>(image, wa) af = Relu(ac) ap = GlobalAveragePool(af) "
    "bc = Conv<pads=[1,1,1,1], strides=[2,2]>(af, wb) bf = Relu(bc) bp = GlobalMaxPool(bf) "
    "dc = Conv<pads=[1,1,1,1], strides=[2,2]>(bf, wd) df = Relu(dc) dp = GlobalAveragePool(df) "
    "j = Concat<axis=1>(ap, bp, dp) v = Flatten(j) logits = Gemm(v, w)"
)
OF_LEVELS = {"wa": (4, 3, 3, 3), "wb": (4, 4, 3, 3), "wd": (4, 4, 3, 3), "w": (12, 5)}


@pytest.mark.parametrize(("dialect", "batch"), [("onnx", "B"), ("openvino", "B"), ("onnx", 2)])
def test_levels_that_are_pooled_side_by_side_are_masked_together(batch: int | str, dialect: str) -> None:
    """Ahead of all of them each mask is a run of the network: there a hook is too dear."""
    proto = tiny(POOLED_LEVELS, batch=batch, image=(3, 16, 24), **OF_LEVELS)
    photos = images(proto, 2)
    hooked = xai.insert(in_dialect(proto, dialect), scale="none")
    assert hooked.record["layer"] == LEVELS and hooked.layer.cells == (4, 6)
    assert (hooked.layer.cost or 9) < 1.5
    assert hooked.layer.instead_of is not None and "times the operations of the plain model" in hooked.layer.instead_of
    outputs = hooked.deployed.compile()({"image": photos})
    np.testing.assert_allclose(outputs["saliency_map"], slow(proto, photos, layers=LEVELS.split(",")), atol=1e-5)
    np.testing.assert_array_equal(
        outputs["logits"], open_model(in_dialect(proto, dialect)).compile()({"image": photos})["logits"]
    )


def test_a_level_that_a_mask_leaves_out_is_seen() -> None:
    original = open_model(tiny(POOLED_LEVELS, image=(3, 16, 24), **OF_LEVELS))
    located = Located.of(original, Where())
    together = located.at(located.levels[0])
    decision, twin = decide(Request(), together.layer, (original.runtime,)), original.twin()
    there = together.within(twin.graph)
    fewer = replace(there.layer, cut=there.layer.cut[1:])
    with pytest.raises((PlanError, VerificationError)):
        emit(plan(replace(there, layer=fewer), decision), twin)
        verify_hook(original, twin, [Head(together, decision)])


def test_levels_of_which_none_is_chosen() -> None:
    proto = tiny(POOLED_LEVELS, image=(3, 16, 24), **OF_LEVELS)
    assert [layer.name for layer in xai.layers(proto)][:1] == ["af"]  # the first that separates the image alone
    assert xai.insert(proto, method="grad_cam").record["layer"] == "af"
    uneven = tiny(POOLED_LEVELS, image=(3, 15, 24), **OF_LEVELS)
    why = "no layer near the scores .* name layer 'af' if that is meant; method layer_cam .* name layer 'af,bf,df'"
    with pytest.raises(LayerError, match=why):
        xai.insert(uneven, method="reciprocam")
    assert xai.insert(uneven).record["layer"] == "af,bf,df"


@pytest.mark.slow
def test_a_mirrored_branch_that_is_masked_as_the_other_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for where in ("masks", "spatial_masks"):
        monkeypatch.setattr(f"openvino_xai.tail.{where}.in_image", lambda cells, place: cells)
    with pytest.raises(VerificationError, match="differ from their definition"):
        xai.insert(model("mirrored"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_joins_the_image_with_its_mirror_image_has_no_cells(dialect: str) -> None:
    """Each of its cells is of two places of the image."""
    body = MIRROR + "s = Add(image, i) " + B.format("s") + "logits = Identity(bl)"
    weights = {**{key: WEIGHTS[key] for key in ("wb", "v")}, **MIRRORED}
    with pytest.raises(LayerError, match="cannot carry a hook|no layer"):
        xai.insert(in_dialect(tiny(body, **weights), dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_mirrored_image_alone_is_refused(dialect: str) -> None:
    body = MIRROR + B.format("i") + "logits = Identity(bl)"
    weights = {**{key: WEIGHTS[key] for key in ("wb", "v")}, **MIRRORED}
    with pytest.raises(LayerError, match="behind 'i.*rows and columns of the image are not followed"):
        xai.insert(in_dialect(tiny(body, **weights), dialect))
