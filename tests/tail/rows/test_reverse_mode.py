"""Derivatives of rows by layers, window by window, in f64: they are the slopes of finite differences, whatever lies between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from detectors import Slow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from row_mutations import MUTATIONS
from tails import doubled
from tiny_detectors import Net, Tiny, backbone, one_convolution, priors, separate_heads, two_outputs
from tracing import computed

import openvino_xai as xai
from openvino_xai.contract import GRADIENT, WANTED, WANTED_INDEX
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError
from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Where
from openvino_xai.plan.rows.decision import RowDecision
from openvino_xai.plan.rows.hook import plan_gradients
from openvino_xai.tail.rows import reverse_mode
from openvino_xai.tail.rows.level_rows import LevelRows
from openvino_xai.tail.rows.reverse_mode import RowStream
from openvino_xai.tail.rows.windows import Cells, Patch, Window

pytestmark = pytest.mark.slow

IMAGE = (3, 16, 32)
CUT = ("c3", "c4")


def _conv(net: Net, x: str, kernel: int = 3, **attributes: object) -> str:
    return net.conv(x, 6, kernel, **attributes)  # type: ignore[arg-type]


def _shrunk(net: Net, x: str) -> str:
    """Half as large and back: a stride, and an enlargement."""
    return net.doubled(net.conv(x, 6, 3, 2))


def _split(net: Net, x: str) -> str:
    first, second = net.halves(net.conv(x, 6))
    return net.join(net.silu(second), first)


def _residual(net: Net, x: str) -> str:
    return net.add(x, net.conv(x, net.shapes[x][0], 3))


LAYERS: dict[str, Callable[[Net, str], str]] = {
    "3x3": _conv,
    "5x5": partial(_conv, kernel=5),
    "1x1": partial(_conv, kernel=1),
    "2x2, padded behind": partial(_conv, kernel=2, pads=[0, 0, 1, 1]),
    "3x3, padded ahead": partial(_conv, pads=[2, 2, 0, 0]),
    "3x3, padded ahead, then behind": lambda net, x: _conv(net, _conv(net, x, pads=[2, 2, 0, 0]), pads=[0, 0, 2, 2]),
    "dilated": partial(_conv, dilations=[2, 2]),
    "grouped": lambda net, x: net.conv(net.conv(x, 6), 6, 3, groups=3),
    "depthwise": lambda net, x: net.conv(x, net.shapes[x][0], 3, groups=net.shapes[x][0]),
    "same, by name": partial(_conv, kernel=4, auto_pad="SAME_UPPER"),
    "shrunk and back": _shrunk,
    "split": _split,
    "residual": _residual,
    "concatenated": lambda net, x: net.join(x, net.conv(x, 2, 3)),
    "gate": lambda net, x: net.gate(x),
    "silu": lambda net, x: net.silu(x),
    "hard swish": lambda net, x: net.hard_swish(x),
    "leaky": lambda net, x: net.leaky(x),
    "max pool": lambda net, x: net.pool(x, 3),
    "mean pool": lambda net, x: net.pool(x, 3, kind="AveragePool"),
}
HEADS = {
    "two outputs": two_outputs,
    "one convolution": one_convolution,
    "priors": priors,
    "separate heads": separate_heads,
}


def built(fine: list[str], coarse: list[str], heads: str) -> Tiny:
    """A detector of two levels, where layers lie between the cut and the heads; the coarse one comes to the fine one."""
    net = Net(2, image=IMAGE)
    c3, c4 = backbone(net, (4, 6))
    for name in coarse:
        c4 = LAYERS[name](net, c4)
    p3 = net.join(c3, net.doubled(net.conv(c4, 3)))
    for name in fine:
        p3 = LAYERS[name](net, p3)
    p4 = net.join(c4, net.conv(p3, 3, 3, 2))
    return HEADS[heads](net, [p3, p4])


def by_windows(tiny: Tiny, images: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """The gradients [B, D, C, H, W] that a plan computes, in f64, from the values of the forward pass."""
    deployed = open_model(tiny.model)
    location = Detector.of(deployed, Where(layer=",".join(CUT))).at("backbone")
    decision = RowDecision.parse(method="hires_cam", targets="asked:1", scale="none", cut=None)
    plan = plan_gradients(location, decision, rows.shape[1])
    model = doubled(tiny.model)
    names = [name for node in model.graph.node for name in node.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_value_info(name, onnx.TypeProto()) for name in names)
    results = ReferenceEvaluator(model).run(None, {"image": images.astype(np.float64)})
    forward = dict(zip(names, results, strict=True))
    read = {value: forward.get(value.name) for node in location.graph.nodes for value in node.outputs}
    for node in plan.nodes:
        for _, value in node.operands:
            if value.native is not None and read.get(value) is None:
                read[value] = location.graph.constant(value)
    arrays = {
        v: np.asarray(a, np.float64 if np.asarray(a).dtype.kind == "f" else None) for v, a in read.items() if a is not None
    }
    arrays |= {plan.inputs[WANTED_INDEX]: rows, plan.inputs[WANTED]: labels}
    values = computed(plan.nodes, arrays, {})
    return [values[plan.outputs[f"{GRADIENT} {i}"]] for i in range(len(CUT))]


def hold(tiny: Tiny, count: int = 6, levels: tuple[int, ...] = (0, 1)) -> None:
    """Rows of both levels, or of one, first and last cells among them, against finite differences."""
    rng = np.random.default_rng(4)
    images = rng.normal(0, 1, (2, *IMAGE))
    level = np.array([where[0] for where in tiny.truth.rows()])
    ends = [edge for index in levels for edge in np.flatnonzero(level == index)[[0, -1]]]
    others = np.flatnonzero(np.isin(level, levels))
    rows = np.array([[*ends, *rng.choice(others, count - len(ends))] for _ in range(2)])
    labels = rng.integers(0, tiny.truth.classes, rows.shape)
    expected = Slow(tiny, CUT).gradients(images, rows, labels)
    for mine, true in zip(by_windows(tiny, images, rows, labels), expected, strict=True):
        np.testing.assert_allclose(mine, true, atol=1e-5 * max(1.0, float(np.abs(true).max())))


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_is_passed(name: str) -> None:
    hold(built([name, "3x3"], [name], "two outputs"))


@pytest.mark.parametrize("heads", HEADS)
def test_each_sort_of_head_is_a_start(heads: str) -> None:
    hold(built(["3x3"], ["silu"], heads))


@given(
    st.lists(st.sampled_from(list(LAYERS)), max_size=4),
    st.lists(st.sampled_from(list(LAYERS)), max_size=2),
    st.sampled_from(list(HEADS)),
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_lies_between(fine: list[str], coarse: list[str], heads: str) -> None:
    hold(built(fine, coarse, heads))


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_without_rows_adds_nothing(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row that stands in for those that it has not is 0; and one that is not is seen."""
    tiny = built(["3x3"], ["silu"], "two outputs")
    hold(tiny, levels=(level,))
    counting_all(monkeypatch)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hold(tiny, levels=(level,))


def test_all_levels_are_run_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of another level add nothing, in sizes that are known; and are seen where they do."""
    tiny = built(["3x3"], ["silu"], "two outputs")
    for share, has_apart in ((0, True), (np.inf, False)):
        monkeypatch.setattr("openvino_xai.plan.rows.site.LITTLE", share)
        hooked = xai.insert(tiny.model, targets="asked:2", verify=False).deployed.graph
        assert ("NonZero" in {node.op for node in hooked.nodes}) == has_apart
    hold(tiny)
    counting_all(monkeypatch)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hold(tiny, levels=(1,))


@pytest.mark.parametrize("layer", ["2x2, padded behind", "depthwise", "1x1"])
def test_what_a_runtime_fuses_is_computed_again(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values between a convolution and its activation are not read, and the slopes are the same."""
    monkeypatch.setattr(reverse_mode, "ALMOST_NOTHING", np.inf)
    tiny = built([layer, "silu"], [], "two outputs")
    of_images, real = list[str](), Cells.gathered

    def gathered(cells: Cells, x: Value, patch: Patch) -> Value:
        of_images.append(x.producer.kind if x.producer is not None else "")
        return real(cells, x, patch)

    monkeypatch.setattr(Cells, "gathered", gathered)
    hold(tiny, 4)
    assert of_images
    assert "conv" not in of_images
    if layer != "1x1":
        monkeypatch.setattr(RowStream, "reading", lambda stream, node, patch: _farther(REAL_READING(stream, node, patch)))
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            hold(tiny, 4)


REAL_READING = RowStream.reading


def _farther(patch: Patch) -> Patch:
    rows = patch.rows
    return Patch(Window(rows.size, rows.length, rows.start + 1), patch.columns)


def counting_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take rows of other levels for rows of each."""
    real = LevelRows.of.__func__  # type: ignore[attr-defined]

    def of(cls: type, xp: Trace, *operands: Any) -> LevelRows:
        rows = real(cls, xp, *operands)
        return replace(rows, here=xp.maximum(rows.here, np.float32(1)))  # type: ignore[no-any-return]

    monkeypatch.setattr(LevelRows, "of", classmethod(of))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_fault_is_seen(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = built(["3x3", "silu", "3x3"], [], "two outputs")
    MUTATIONS[mutation](monkeypatch)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hold(tiny)


def test_levels_whose_cells_lie_elsewhere_are_refused() -> None:
    """Four windows that each see a cell ahead: what the fine level shows of an image lies four cells off."""
    tiny = built(["3x3, padded ahead"] * 4, ["silu"], "two outputs")
    with pytest.raises(LayerError, match="has cells that lie elsewhere than a map of them is drawn"):
        xai.insert(tiny.model, targets="asked:2", cut="heads")
    assert [layer.reason is None for layer in xai.layers(tiny.model)] == [True, False]
