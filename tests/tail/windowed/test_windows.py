"""Inner layers: windows give the maps of the definition, for less than all cells of every mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CLASSES, DIALECTS, HEAD, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.tail.windowed import rules
from openvino_xai.tail.windowed.convolution import SideBySide, TapByTap
from openvino_xai.tail.windowed.reach import Reach

# f32 sums in another order, of scores near 1
TOLERANCE = 1e-5
STEM = "c = Conv<pads=[1,1,1,1]>(image, w0) f = Tanh(c) "
WEIGHTS: dict[str, Any] = {
    "w0": (4, 3, 3, 3),
    "w": (CLASSES, 4),
    "b": (CLASSES,),
    "k": (4, 4, 3, 3),
    "a": (4,),
    "k1": (4, 4, 1, 1),
}
TAILS = {
    "without an addend": "x = Conv<pads=[1,1,1,1]>(f, k) y = Relu(x) ",
    "with an addend": "x = Conv<pads=[1,1,1,1]>(f, k, a) y = Relu(x) ",
    "a rest that is not 0": "s = Add(f, shift) x = Conv<pads=[1,1,1,1]>(s, k, a) y = Tanh(x) ",
    "a batch norm": "x = Conv<pads=[1,1,1,1]>(f, k) n = BatchNormalization(x, a, a, a, variance) y = Clip(n, zero, six) ",
    "two of them": "x = Conv<pads=[1,1,1,1]>(f, k, a) r = Relu(x) z = Conv<pads=[1,1,1,1]>(r, k) y = Tanh(z) ",
    "padded less": "x = Conv<pads=[0,1,1,0]>(f, k, a) z = Conv(x, k) y = Relu(z) ",
    "strided": "x = Conv<pads=[1,1,1,1], strides=[2,2]>(f, k, a) r = Relu(x) z = Conv<pads=[1,1,1,1]>(r, k, a) y = Relu(z) ",
    "strided and padded at one end": 'x = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(f, k, a) y = Relu(x) ',
    "strided cells": "x = Conv<strides=[2,2]>(f, k1, a) z = Conv<pads=[1,1,1,1], strides=[2,2]>(f, k) y = Add(x, z) ",
    "dilated": "x = Conv<pads=[2,2,2,2], dilations=[2,2]>(f, k, a) y = Relu(x) ",
    "depthwise": "x = Conv<pads=[1,1,1,1], group=4>(f, d, a) s = Sigmoid(x) m = Mul(x, s) y = Conv(m, k1, a) ",
    "in groups": "x = Conv<pads=[1,1,1,1], group=2>(f, g, a) y = Relu(x) ",
    "residual": "x = Conv<pads=[1,1,1,1]>(f, k, a) r = Relu(x) z = Conv(r, k1, a) s = Add(z, f) y = Relu(s) ",
    "of two reaches": "x = Conv<pads=[1,1,1,1]>(f, k, a) z = Conv<pads=[0,2,0,2]>(f, wide) s = Mul(x, z) y = Add(s, x) ",
    "concatenated": "x = Conv<pads=[1,1,1,1]>(f, k, a) z = Conv(f, k1, a) j = Concat<axis=1>(z, x) y = Conv(j, c8) ",
    "squeeze and excite": "x = Conv<pads=[1,1,1,1]>(f, k, a) q = GlobalAveragePool(x) t = Sigmoid(q) y = Mul(x, t) ",
    "a gate of a cell": "x = Conv<pads=[1,1,1,1]>(f, k, a) q = ReduceMean<axes=[1]>(x) t = Sigmoid(q) y = Mul(x, t) ",
    "a mean pool": "s = Add(f, shift) y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(s) ",
    "a mean pool that counts padding": "s = Add(f, shift) x = AveragePool<kernel_shape=[3,2], strides=[2,1], pads=[1,1,1,0], "
    "count_include_pad=1>(s) y = Relu(x) ",
    "a max pool": "x = Conv<pads=[1,1,1,1]>(f, k, a) y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x) ",
    "a max pool of cells": "s = Sub(f, shift) x = MaxPool<kernel_shape=[2,3], strides=[2,2]>(s) y = Tanh(x) ",
    "a max pool with a last row of its own": "y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(f) ",
    "pools side by side": "m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(f) "
    "q = AveragePool<kernel_shape=[1,3], pads=[0,1,0,1]>(f) x = Conv(q, k1, a) y = Mul(x, m) ",
    "an addend for each cell": "x = Conv<pads=[1,1,1,1]>(f, k, a) s = Add(x, places) y = Relu(s) ",
}
MORE: dict[str, Any] = {
    "shift": (4, 1, 1),
    "variance": np.array([0.5, 1, 2, 3], np.float32),
    "zero": np.array(0, np.float32),
    "six": np.array(6, np.float32),
    "d": (4, 1, 3, 3),
    "g": (4, 2, 3, 3),
    "wide": (4, 4, 1, 5),
    "c8": (4, 8, 1, 1),
    "places": (1, 4, 6, 8),
    "wider": (16, 4, 1, 1),
    "a16": (16,),
    "d5": (16, 1, 5, 5),
    "thinner": (4, 16, 1, 1),
}
INVERTED = (
    "c1 = Conv<pads=[1,1,1,1]>(f, k, a) r = Relu(c1) x = Conv(r, wider, a16) s = Relu(x) "
    "z = Conv<pads=[2,2,2,2], group=16>(s, d5, a16) t = Tanh(z) q = Conv(t, thinner, a) y = Add(q, r) "
)


@pytest.fixture(autouse=True)
def windows_that_are_moved_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny networks compute so little that moving windows takes more: here operations alone decide."""
    monkeypatch.setattr(rules, "LAID", 0)
    monkeypatch.setattr(rules, "PICKED", 0)


def network(tail: str, batch: int | str = "B", head: str = HEAD) -> Any:
    body = STEM + tail + head.format("y")
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return tiny(body, batch=batch, **{name: content for name, content in {**WEIGHTS, **MORE}.items() if name in words})


@pytest.mark.parametrize(("name", "dialect"), [*zip(TAILS, [*DIALECTS] * len(TAILS), strict=False), ("strided", "onnx")])
@pytest.mark.slow
def test_windows_give_the_maps_of_the_definition(name: str, dialect: str) -> None:
    batch = images(network(TAILS[name]), 2)
    hooked = xai.insert(in_dialect(network(TAILS[name]), dialect), layer="f", scale="none", verify=False)
    maps = xai.load(hooked)(batch)["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(network(TAILS[name], 1), "f").raw(batch), atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("form", [SideBySide, TapByTap])
@pytest.mark.parametrize("name", ["two of them", "strided", "in groups", "dilated"])
@pytest.mark.slow
def test_both_forms_of_a_convolution_give_the_same(
    name: str, form: type, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "operations", property(lambda self: 0))
    model = network(TAILS[name], 1)
    hooked = xai.insert(in_dialect(model, dialect), layer="f", scale="none", verify=False)
    maps = xai.load(hooked)(images(model, 1))["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(model, "f").raw(images(model, 1)), atol=TOLERANCE)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_a_portable_hook_has_no_windows(dialect: str) -> None:
    """OpenVINO 2026.4 computed another map where the constants of windows were made portable, for this very tail."""
    model = network(TAILS["two of them"], 1)
    hooked = xai.insert(in_dialect(model, dialect), layer="f", scale="none", portable=True)
    maps = xai.load(hooked)(images(model, 1))["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(model, "f").raw(images(model, 1)), atol=TOLERANCE)


@pytest.mark.parametrize(
    "choices", [{"grid": "3x2"}, {"targets": "top:2"}, {"targets": "asked"}, {"targets": [3, 0]}, {"gate": True}]
)
@pytest.mark.slow
def test_windows_serve_all_that_a_hook_can_be_asked(choices: dict[str, Any]) -> None:
    model = network(TAILS["two of them"])
    classes = np.array([3, 1]) if choices.get("targets") == "asked" else None
    gate = np.array([False, True]) if "gate" in choices else None
    windows, direct = (
        xai.load(xai.insert(model, layer="f", scale="none", plan=plan, verify=False, **choices))(
            images(model, 2), gate, classes
        )
        for plan in ("lazy", "direct")
    )
    np.testing.assert_allclose(windows["saliency_map"], direct["saliency_map"], atol=TOLERANCE)


def test_what_a_window_costs() -> None:
    """The windows of a 3x3 convolution over 6x8 cells have 16 x 22 items, where all rows have 48 x 48 cells."""
    model = network("x = Conv<pads=[1,1,1,1]>(f, k) y = Relu(x) ", 1)
    windows, direct = (xai.insert(model, layer="f", plan=plan, verify=False) for plan in ("lazy", "direct"))
    convolutions = [node for node in windows.model.graph.node if node.op_type == "Conv" and node.output[0].startswith("ovxai")]
    assert len(convolutions) == 1
    assert (windows.layer.cost - 1) / (direct.layer.cost - 1) < 0.25
    assert windows.layer.memory < direct.layer.memory


def test_windows_that_take_more_than_all_cells_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = "x = Conv<pads=[5,5,5,5]>(f, k11) r = Relu(x) y = Conv<pads=[5,5,5,5]>(r, k11) "
    model = tiny(STEM + tail + HEAD.format("y"), batch=1, k11=(4, 4, 11, 11), **{n: WEIGHTS[n] for n in ("w0", "w", "b")})
    convolutions = [node for node in xai.insert(model, layer="f", verify=False).model.graph.node if "Conv" in node.op_type]
    assert [node.output[0].endswith(("/conv", "/y")) for node in convolutions[-2:]] == [True, True]  # a window, then all rows
    monkeypatch.setattr(TapByTap, "operations", property(lambda self: 0))
    monkeypatch.setattr(rules.WindowRules, "alternatives", ())
    convolutions = [node for node in xai.insert(model, layer="f", verify=False).model.graph.node if "Conv" in node.op_type]
    assert [node.output[0].endswith("/conv") for node in convolutions[-2:]] == [True, True]


@pytest.mark.parametrize("broken", ["rest", "reach", "sums", "shares", "largest"])
def test_a_broken_rule_is_seen(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tails = {"shares": "a mean pool", "largest": "a max pool"}
    model = network(TAILS[tails.get(broken, "a rest that is not 0")], 1)
    batch = images(model, 1)
    expected = Oracle(model, "f").raw(batch)
    sums = Reach.sums
    if broken == "rest":  # as if nothing were added
        monkeypatch.setattr(rules.WindowRules, "_rest_of_windows", lambda self, node, windows: None)
    elif broken == "reach":  # windows that are as small as before
        monkeypatch.setattr(Reach, "through", lambda self, windows: self)
    elif broken == "shares":  # padding counts
        means_in = Reach.means_in
        monkeypatch.setattr(Reach, "means_in", lambda *items, inside: means_in(*items, inside=False))
    elif broken == "largest":  # of other cells
        maxima = rules.maxima
        monkeypatch.setattr(rules, "maxima", lambda xp, x, *reach: maxima(xp, xp.multiply(x, -1.0), *reach))
    else:  # a sum without its last item
        monkeypatch.setattr(Reach, "sums", lambda self: sums(self) * (np.arange(self.count) < self.count - 1)[:, None])
    maps = xai.load(xai.insert(model, layer="f", scale="none", verify=False))(batch)["saliency_map"]
    assert np.abs(maps - expected).max() > 100 * TOLERANCE


def test_windows_that_make_what_is_behind_them_dearer_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of a resize: all rows are made of windows there, which costs more than to have none."""
    tail = 'x = Conv<strides=[2,2], group=4>(f, d1) y = Resize<mode="linear">(x, , factors) '
    more = {"d1": (4, 1, 1, 1), "factors": np.array([1, 1, 2, 2], np.float32)}
    model = tiny(STEM + tail + HEAD.format("y"), batch=1, **{n: WEIGHTS[n] for n in ("w0", "w", "b")}, **more)
    cost = xai.insert(model, layer="f", verify=False).layer.cost
    monkeypatch.setattr(rules.WindowRules, "alternatives", ())
    assert cost < xai.insert(model, layer="f", verify=False).layer.cost
    monkeypatch.setattr(rules, "MOST", 0)
    assert cost == xai.insert(model, layer="f", verify=False).layer.cost


def rows_of_items(hooked: Any) -> list[int]:
    """The channels of each value that becomes rows of windows."""
    graph = onnx.shape_inference.infer_shapes(hooked.model).graph
    sizes = {item.name: [d.dim_value for d in item.type.tensor_type.shape.dim] for item in graph.value_info}
    moved = [node for node in graph.node if node.op_type == "Transpose" and len(sizes.get(node.output[0], ())) == 6]
    return [sizes[node.output[0]][3] for node in moved]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("picked", "channels"), [(40, [4]), (0, [16, 4])])
@pytest.mark.slow
def test_rows_are_made_where_a_value_is_thin(
    picked: int, channels: list[int], dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inverted residual block widens four channels to sixteen for a depthwise convolution that reaches nearly all cells."""
    monkeypatch.setattr(rules, "PICKED", picked)
    monkeypatch.setattr(rules.WindowRules, "alternatives", ())
    model = network(INVERTED, 1)
    hooked = xai.insert(in_dialect(model, dialect), layer="f", scale="none", verify=False)
    if dialect == "onnx":
        assert rows_of_items(hooked) == channels
    maps = xai.load(hooked)(images(model, 1))["saliency_map"]
    np.testing.assert_allclose(maps, Oracle(model, "f").raw(images(model, 1)), atol=TOLERANCE)


@pytest.mark.slow
def test_windows_whose_elements_take_long_to_move_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """More operations, and fewer passes over memory."""
    model = network(TAILS["two of them"], 1)
    cost = xai.insert(model, layer="f", verify=False).layer.cost
    monkeypatch.setattr(rules, "PICKED", 10**6)
    moved = xai.insert(model, layer="f", verify=False).layer.cost
    monkeypatch.setattr(rules, "MOST", 0)
    assert cost < moved == xai.insert(model, layer="f", verify=False).layer.cost


@pytest.mark.slow
def test_rows_of_other_rows_are_seen_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle tells rows of what a node reads from rows of what it gives."""
    monkeypatch.setattr(rules, "PICKED", 40)
    monkeypatch.setattr(rules.WindowRules, "alternatives", ())
    repeated = rules.repeat_over_rows
    monkeypatch.setattr(
        rules, "repeat_over_rows", lambda *a: [replace(rows, value=a[1].add(rows.value, 0.01)) for rows in repeated(*a)]
    )
    model = network(INVERTED, 1)
    maps = xai.load(xai.insert(model, layer="f", scale="none", verify=False))(images(model, 1))["saliency_map"]
    assert np.abs(maps - Oracle(model, "f").raw(images(model, 1))).max() > 100 * TOLERANCE
