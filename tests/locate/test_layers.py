"""Which layers of a model are listed, which is chosen, and the reasons that are given where one is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CASES, DIALECTS, LINEAR, STEM, Case, Oracle, images, in_dialect, tiny, with_open_sizes

import openvino_xai as xai
from openvino_xai.errors import AlreadyHooked, InputError, LayerError, ModelError, PlanError, TooLarge
from openvino_xai.surgery import classes

RESIDUAL = CASES["residual, layer second"]


def find(model: object, **options: object) -> str:
    return xai.insert(model, verify=False, **options).record["layer"]  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_last_layer_with_cells_is_chosen(dialect: str) -> None:
    assert find(in_dialect(RESIDUAL.build("B", 17), dialect)) == "r"
    assert find(in_dialect(CASES["max pool, flatten, linear"].build(1, 17), dialect)).startswith("m")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_layers_are_listed_best_first_with_their_cost_or_the_reason_against_them(dialect: str) -> None:
    layers = xai.layers(in_dialect(RESIDUAL.build("B", 17), dialect))
    names = [layer.name for layer in layers]
    assert names[:3] == ["r", "s", "f"]
    assert layers[0].cells == (6, 8)
    assert layers[0].shape[1:] == (4, 6, 8)
    assert [layer.reason is None for layer in layers] == sorted((layer.reason is None for layer in layers), reverse=True)
    costs = [layer.cost for layer in layers if layer.cost is not None]
    assert costs == sorted(costs)
    assert costs[0] > 1
    bypassed = next(layer for layer in layers if layer.name == "d")
    assert bypassed.cost is None
    assert bypassed.reason == "it does not separate the image from the scores: 'f' bypasses it and enters 's' (Add)"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_bypassed_layer_is_refused_with_what_bypasses_it(dialect: str) -> None:
    with pytest.raises(LayerError, match=r"layer 'd' cannot carry a hook: .* 'f' bypasses it and enters 's' \(Add\)"):
        find(in_dialect(RESIDUAL.build("B", 17), dialect), layer="d")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_unknown_layer_is_answered_with_the_nearest_names(dialect: str) -> None:
    model = tiny(RESIDUAL.body.replace("f", "features_relu"), **RESIDUAL.weights)
    with pytest.raises(LayerError, match=r"no layer 'features_rlu'; the nearest names are .*'features_relu'"):
        find(in_dialect(model, dialect), layer="features_rlu")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_layer_without_cells_is_refused(dialect: str) -> None:
    with pytest.raises(LayerError, match="'p' .* has no cells"):
        find(in_dialect(RESIDUAL.build("B", 17), dialect), layer="p")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_whose_layers_all_have_one_cell_is_refused(dialect: str) -> None:
    model = tiny(STEM + "logits = Flatten(f)", image=(3, 1, 1), output="float[B,4] logits", w0=(4, 3, 3, 3))
    with pytest.raises(LayerError, match="no layer can carry a hook: .* single cell"):
        find(in_dialect(model, dialect))


TWO = STEM + "p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w, b) other = Relu(v)"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_of_several_outputs_the_scores_must_be_named(dialect: str) -> None:
    model = in_dialect(tiny(TWO, output="float[B,4] other, float[B,5] logits", **LINEAR), dialect)
    with pytest.raises(ModelError, match=r"2 of the model's outputs can be class scores .*; name one of them") as several:
        find(model)
    assert several.value.options == ("scores",)
    hooked = xai.insert(model, scores="logits")
    assert hooked.record["scores"] == "logits"
    with pytest.raises(ModelError, match="no output 'nothing'; its outputs are 'other'"):
        find(model, scores="nothing")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_outputs_keep_their_order_and_names(dialect: str) -> None:
    model = tiny(TWO, output="float[B,4] other, float[B,5] logits", **LINEAR)
    results = xai.load(xai.insert(in_dialect(model, dialect), scores="logits"))(images(model, 2))
    assert list(results) == ["other", "logits", "saliency_map"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hooked_model_is_not_hooked_again(dialect: str) -> None:
    hooked = xai.insert(in_dialect(RESIDUAL.build("B", 17), dialect)).model
    with pytest.raises(AlreadyHooked, match=r"carries a hook already \(reciprocam at layer 'r'") as caught:
        xai.insert(hooked)
    assert caught.value.record["layer"] == "r"
    with pytest.raises(AlreadyHooked):
        xai.layers(hooked)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_plan_that_is_too_large_names_a_layer_that_fits(dialect: str) -> None:
    case = Case("f", STEM + "m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(f) v = Flatten(m) logits = MatMul(v, w)", {})
    model = in_dialect(tiny(case.body, w0=(4, 3, 3, 3), w=(48, 5)), dialect)
    with pytest.raises(TooLarge, match=r"makes a value of 36.9 kB for every image, more than the limit of 10 kB: layer 'm"):
        find(model, layer="f", max_memory=10_000)
    with pytest.raises(TooLarge, match="no layer fits"):
        find(model, layer="f", max_memory=10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "gradcam"}, "method 'gradcam' is not known: one of reciprocam"),
        ({"score": "probability"}, "score 'probability' is not known: one of softmax, sigmoid, logit"),
        ({"scale": "percent"}, "scale 'percent' is not known"),
        ({"targets": "best"}, "targets 'best' are not understood: all, top:K, asked, vector, ID,ID,... or ID-ID"),
        ({"targets": "1,1"}, "name a class twice"),
        ({"targets": "5"}, "class 5 is not there: the model has 5 classes, 0 to 4"),
        ({"targets": "top:6"}, "top:6 asks for more classes than the 5"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find(RESIDUAL.build("B", 17), **options)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_open_height_and_width_are_refused_by_name_where_cells_must_be_masked(dialect: str) -> None:
    model = in_dialect(with_open_sizes(CASES["3x3 convolution after the layer"].build("B", 17)), dialect)
    with pytest.raises(PlanError, match=r"layer 'f' .* has to be masked cell by cell, and .* depends on the input"):
        find(model, layer="f")
    with pytest.raises(PlanError, match="has to be masked cell by cell"):
        find(model, layer="g", plan="direct")


def test_a_model_without_an_image_is_refused() -> None:
    model = tiny("logits = MatMul(image, w)", image=(7,), w=(7, 5))
    with pytest.raises(ModelError, match="0 inputs that can be an image, 1 is expected"):
        find(model)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_layer_far_from_the_scores_is_taken_only_when_it_is_named(dialect: str) -> None:
    """Products over tokens hide the cells of all later layers: the layer before them is the last one that has cells."""
    mix = "".join(f"u{i} = MatMul(u{i - 1}, wt) " for i in range(1, 4))
    body = f"{STEM} u0 = Reshape(f, t) {mix} p = ReduceMean<axes=[2], keepdims=0>(u3) logits = Gemm<transB=1>(p, w, b)"
    model = tiny(body, **LINEAR, wt=(48, 48), t=np.array([0, 4, 48]))
    with pytest.raises(LayerError, match=r"no layer near the scores .* 'u0' .* times the operations .* name layer 'u0' if"):
        find(in_dialect(model, dialect))
    assert find(in_dialect(model, dialect), layer="u0") == "u0"


def test_the_definition_is_written_at_whatever_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "FAR", 1.0)
    with pytest.raises(LayerError, match="times the operations of the plain model"):
        find(RESIDUAL.build("B", 17))
    assert find(RESIDUAL.build("B", 17), plan="direct") == "r"


TOKENS = (
    STEM + "a = Reshape(f, flat) t = Transpose<perm=[0,2,1]>(a) m = MatMul(mix, t) s = Add(t, m) "
    "u = Transpose<perm=[0,2,1]>(s) g = Reshape(u, back) r = Relu(g) "
    "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
)
BLOCKS = (
    STEM + "a = Reshape(f, split) t = Transpose<perm=[0,1,3,5,2,4]>(a) g = Reshape(t, join) c1 = Conv(g, w1) r = Relu(c1) "
    "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
)

WINDOWS = (
    STEM + "n = Transpose<perm=[0,2,3,1]>(f) a = Reshape(n, windows) t = Transpose<perm=[0,1,3,2,4,5]>(a) q = Reshape(t, rows) "
    "m = MatMul(mix, q) o = Reshape(m, apart) z = Transpose<perm=[0,1,3,2,4,5]>(o) y = Reshape(z, tokens) "
    "x = Reshape(n, tokens) s = Add(x, y) u = Transpose<perm=[0,2,1]>(s) g = Reshape(u, back) r = Relu(g) "
    "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
)
ANEW = (
    STEM
    + "a = Reshape(f, windows) t = Transpose<perm=[0,2,4,3,5,1]>(a) m = MatMul(t, wm) z = Transpose<perm=[0,5,1,3,2,4]>(m) "
    "y = Reshape(z, others) h = Tanh(y) g = Reshape(h, back) r = Relu(g) "
    "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
)
GLOBAL_QUERIES = (
    STEM + "n = Transpose<perm=[0,2,3,1]>(f) a = Reshape(n, windows) t = Transpose<perm=[0,1,3,2,4,5]>(a) k = Reshape(t, rows) "
    "e = AveragePool<kernel_shape=[3,2], strides=[3,2]>(f) h = Transpose<perm=[0,2,3,1]>(e) j = Reshape(h, single) "
    "l = Tile(j, copies) q = Reshape(l, rows) d = Transpose<perm=[0,2,1]>(k) z = MatMul(q, d) "
    "i = Softmax<axis=-1>(z) m = MatMul(i, k) o = Reshape(m, apart) y = Transpose<perm=[0,1,3,2,4,5]>(o) "
    "x = Reshape(y, whole) s = Add(n, x) u = Transpose<perm=[0,3,1,2]>(s) r = Relu(u) "
    "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
)
TAKEN_APART = (  # as exporters write torch's unfold and fold
    STEM
    + "d = Gather<axis=2>(f, down) a = Gather<axis=4>(d, across) t = Transpose<perm=[0,1,2,4,3,5]>(a) q = Reshape(t, apart) "
    "m = MatMul(mix, q) s = Tanh(m) y = Col2Im<strides=[2,2]>(s, sides, window) c1 = Conv(y, w1) r = Relu(c1) "
    "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
)
IN_TURN = {
    "opset": 18,
    "down": np.arange(6).reshape(3, 2).T,
    "across": np.arange(8).reshape(4, 2).T,
    "apart": np.array([-1, 16, 12]),
    "sides": np.array([6, 8]),
    "window": np.array([2, 2]),
    "mix": (16, 16),
    "w1": (4, 4, 1, 1),
}
OF_WINDOWS = {
    "windows": np.array([0, 3, 2, 2, 4, 4]),
    "rows": np.array([-1, 8, 4]),
    "single": np.array([0, 1, 8, 4]),
    "copies": np.array([1, 6, 1, 1]),
    "apart": np.array([-1, 3, 2, 2, 4, 4]),
    "whole": np.array([0, 6, 8, 4]),
}
SPLIT_ANEW = {
    "wm": (4, 4),
    "windows": np.array([0, 4, 3, 2, 4, 2]),
    "others": np.array([0, 4, 2, 3, 2, 4]),
    "back": np.array([0, 4, 6, 8]),
}
IN_WINDOWS = {
    "mix": (4, 4),
    "windows": np.array([0, 3, 2, 4, 2, 4]),
    "rows": np.array([-1, 4, 4]),
    "apart": np.array([-1, 3, 4, 2, 2, 4]),
    "tokens": np.array([0, 48, 4]),
    "back": np.array([0, 4, 6, 8]),
}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("body", "weights", "cells"),
    [
        (TOKENS, {"mix": (48, 48), "flat": np.array([0, 4, 48]), "back": np.array([0, 4, 6, 8])}, (6, 8)),
        (BLOCKS, {"w1": (4, 16, 1, 1), "split": np.array([0, 4, 3, 2, 4, 2]), "join": np.array([0, 16, 3, 4])}, (3, 4)),
        (WINDOWS, IN_WINDOWS, (6, 8)),
        (ANEW, SPLIT_ANEW, (6, 8)),
        (GLOBAL_QUERIES, OF_WINDOWS, (6, 8)),
        (TAKEN_APART, IN_TURN, (6, 8)),
    ],
    ids=[
        "tokens laid out as before",
        "blocks of cells folded into channels",
        "windows put together as tokens",
        "windows split anew",
        "windows that share their queries",
        "windows put together by Col2Im",
    ],
)
def test_cells_are_followed_through_reshapes(
    body: str, weights: dict[str, object], cells: tuple[int, int], dialect: str
) -> None:
    model = tiny(body, **LINEAR, **weights)  # type: ignore[arg-type]
    hooked = xai.insert(in_dialect(model, dialect))
    assert hooked.record["layer"] == "r"
    assert hooked.layer.cells == cells
    batch = images(model, 2)
    oracle = Oracle(tiny(body, batch=1, **LINEAR, **weights), "r")  # type: ignore[arg-type]
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], oracle.unit(batch), atol=2e-4)


@pytest.mark.parametrize(
    ("turned", "changed"),
    [
        ("rows from the last up", {"down": np.arange(6).reshape(3, 2).T[:, ::-1]}),
        ("rows of a window far apart", {"down": np.arange(6).reshape(2, 3)}),
        ("windows in columns", {"perm": "[0,1,2,4,5,3]"}),
        ("windows that overlap", {"fold": "strides=[1,2], pads=[0,0,0,0]", "sides": np.array([4, 8])}),
    ],
)
def test_windows_in_another_order_are_not_those_of_the_image(turned: str, changed: dict[str, Any]) -> None:
    """A map of them would point at the wrong places."""
    body = TAKEN_APART.replace("[0,1,2,4,3,5]", changed.get("perm", "[0,1,2,4,3,5]"))
    body = body.replace("strides=[2,2]", changed.get("fold", "strides=[2,2]"))
    weights = IN_TURN | {key: item for key, item in changed.items() if key in IN_TURN}
    with pytest.raises(LayerError, match="layer 'r' .* has no cells"):
        xai.insert(tiny(body, **LINEAR, **weights), layer="r")


def test_a_layer_that_is_said_to_hold_nothing_is_refused() -> None:
    model = CASES["3x3 convolution after the layer"].build("B", 17)
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, ["B", 0, 6, 8]))
    with pytest.raises(LayerError, match=r"'c' cannot carry a hook: its shape is .*0.*: it holds nothing"):
        xai.insert(model, layer="c", method="fd_cam")


def test_shapes_that_contradict_each_other_are_refused_by_name() -> None:
    model = CASES["max pool, flatten, linear"].build("B", 17)
    for name, shape in (("c", [2, 4, 7, 4]), ("f", ["B", 4, 5, "W"])):
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    assert any("contradict each other" in (layer.reason or "") for layer in xai.layers(model))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_open_sizes_do_not_make_the_last_layers_most_of_a_network(dialect: str) -> None:
    body = (
        "c = Conv<pads=[1,1,1,1], strides=[2,2]>(image, w0) f = Relu(c) d = Conv<pads=[1,1,1,1]>(f, w1) g = Relu(d) "
        "p = GlobalAveragePool(g) v = Flatten(p) h = Gemm(v, w2) e = Relu(h) logits = Gemm(e, w3)"
    )
    weights = {"w0": (4, 3, 3, 3), "w1": (4, 4, 3, 3), "w2": (4, 64), "w3": (64, 5)}
    proto = with_open_sizes(tiny(body, **weights))
    depth = xai.layers(in_dialect(proto, dialect))[0].depth
    closed = xai.layers(in_dialect(tiny(body, image=(3, 224, 224), **weights), dialect))[0].depth
    assert depth == pytest.approx(closed, abs=1e-3)
    assert depth > 0.98


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("pads", [[0, 0, 9, 0, 0, 0, 9, 0], [0, 0, 0, 0, 0, 0, 0, 24], [0, 0, -9, 0, 0, 0, 0, 0]])
def test_an_image_that_the_graph_lays_on_a_canvas_is_refused(pads: list[int], dialect: str) -> None:
    """Cells behind are those of the canvas: their map would lie beside what it is of, on the photo."""
    why = r"behind '\w+' \(Pad\) rows and columns .* or lays them on a canvas"
    with pytest.raises(LayerError, match=why if min(pads) == 0 else "which no map of at most 128 rows shows exactly"):
        xai.insert(in_dialect(_padded(pads), dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_border_of_a_window_is_followed(dialect: str) -> None:
    assert xai.layers(in_dialect(_padded([0, 0, 2, 3, 0, 0, 2, 3]), dialect))[0].cells == (13, 18)


SHIFTED = {  # what puts cells elsewhere than on equal parts of 64 x 64 pixels, and the node behind which they lie there
    "a wide border of a window": ("c = Conv<strides=[4,4], pads=[20,0,20,0]>(image, k) f = Relu(c)", "c"),
    "a canvas of windows that are spread": ("c = ConvTranspose<strides=[1,1]>(image, t) f = Relu(c)", "c"),
}
FOLLOWED = {  # and what leaves them there, with the rows and columns
    "windows without a border, and large cells": ("c = Conv<strides=[8,8]>(image, k) d = Conv(c, m) f = Relu(d)", (6, 6)),
    "an end that a stride leaves out": ("c = Conv<strides=[7,9]>(image, k) f = Relu(c)", (9, 7)),
    "a border that windows take off again": ("q = Pad(image, pads) c = Conv<strides=[4,4]>(q, wide) f = Relu(c)", (16, 16)),
    "a few cells that are laid beside finer ones": (
        "c = Conv<strides=[4,4], pads=[2,2,2,2]>(image, k) s = AveragePool<kernel_shape=[8,8], strides=[8,8]>(c) "
        'r = Resize<mode="linear", coordinate_transformation_mode="align_corners">(s, , , sizes) '
        "e = Relu(c) f = Add(e, r)",
        (16, 16),
    ),
    "branches that are shifted by half a cell each": (
        "c = Conv<strides=[8,8]>(image, k) d = Conv<pads=[1,1,0,0]>(c, even) e = Add(c, d) g = Conv<pads=[1,1,0,0]>(e, even) "
        "h = Add(e, g) i = Conv<pads=[1,1,0,0]>(h, even) j = Add(h, i) n = Conv<pads=[1,1,0,0]>(j, even) f = Add(j, n)",
        (8, 8),
    ),
    "a column that is spread over rows again": (
        "c = Conv<strides=[8,8]>(image, k) d = Conv(c, tall) e = Resize(d, , , eight) f = Add(c, e)",
        (8, 8),
    ),
}
SHIFTING = {
    "pads": np.array([0, 0, 14, 14, 0, 0, 14, 14]),
    "sizes": np.array([1, 4, 16, 16]),
    "eight": np.array([1, 4, 8, 8]),
    "even": (4, 4, 2, 2),
    "tall": (4, 4, 8, 1),
    "k": (4, 3, 5, 5),
    "l": (4, 4, 5, 5),
    "m": (4, 4, 3, 3),
    "t": (3, 4, 35, 35),
    "wide": (4, 3, 29, 29),
    "w": (4, 5),
}


def _shifted(body: str, *, open_sizes: bool = False) -> onnx.ModelProto:
    names = {word.strip("(),") for word in body.replace("(", " ").split()}
    weights = {name: content for name, content in SHIFTING.items() if name in names or name == "w"}
    ending = " p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm(v, w)"
    proto = tiny(body + ending, batch=1, image=(3, 64, 64), **weights)
    return with_open_sizes(proto) if open_sizes else proto


@pytest.mark.parametrize(
    ("body", "open_sizes"),
    [(body, is_open) for body in SHIFTED for is_open in (False, True) if is_open or body != "a wide border of a window"],
)  # of an image of known size, that of the first window is a canvas
def test_cells_that_lie_elsewhere_than_they_are_drawn_are_refused(body: str, open_sizes: bool) -> None:
    text, node = SHIFTED[body]
    with pytest.raises(LayerError, match=rf"behind '{node}' .* rows and columns .* lays them on a canvas"):
        xai.insert(_shifted(text, open_sizes=open_sizes))


@pytest.mark.parametrize("cells", [None, (25, 25)])
def test_a_layer_whose_cells_lie_elsewhere_is_refused_by_its_name(cells: tuple[int, int] | None) -> None:
    """Who names its rows and columns says nothing of where they lie."""
    model = _shifted("d = Conv<pads=[2,2,2,2]>(image, k) c = Conv<strides=[4,4], pads=[20,20,20,20]>(d, l) f = Relu(c)")
    with pytest.raises(LayerError, match="layer 'f' .* lie elsewhere than a map of them is drawn"):
        xai.insert(model, layer="f", cells=cells)
    assert "shifted" not in str(xai.layers(model))


def test_windows_without_a_border_leave_out_what_is_drawn_all_the_same() -> None:
    """Of 64 pixels 8 at either end, which is an eighth, and then 10."""
    body = "d = Conv(image, k) g = Conv(d, l) h = Conv(g, l) i = Conv(h, l) j = Conv(i, l) f = Relu(j)"
    sizes = {layer.cells for layer in xai.layers(_shifted(body))}
    assert (48, 48) in sizes
    assert (44, 44) not in sizes


@pytest.mark.parametrize("body", FOLLOWED)
def test_cells_that_lie_where_they_are_drawn_are_followed(body: str) -> None:
    text, cells = FOLLOWED[body]
    layers = [layer for layer in xai.layers(_shifted(text)) if layer.reason is None]
    assert cells in [layer.cells for layer in layers]


def _padded(pads: list[int]) -> onnx.ModelProto:
    body = (
        "q = Pad(image, pads) c = Conv<strides=[4,4]>(q, k) f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) "
        "logits = Gemm(v, w)"
    )
    return tiny(body, image=(3, 52, 70), pads=np.array(pads), k=(4, 3, 5, 5), w=(4, 5))
