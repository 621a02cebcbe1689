"""Every rule for a derivative agrees with finite differences: computed by NumPy in f64, and by both runtimes."""

from __future__ import annotations

import numpy as np
import onnx
import openvino as ov
import openvino.opset13 as opset
import pytest
from tails import CASES, SHAPE, Case, by_numpy, gradient, slopes
from tiny import CLASSES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import PlanError
from openvino_xai.graph.trace import Trace
from openvino_xai.operations.families import indexing
from openvino_xai.operations.table import OPERATIONS
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan
from openvino_xai.tail.target import Columns, Score

DERIVATIVES = {name for name, operation in OPERATIONS.items() if operation.adjoint}
OF_LOOPS = {  # what NumPy computes by loops, for every place that an element is moved at
    "max pools, one behind the other",
    "turned convolution",
    "turned convolution of groups",
    "turned convolution side by side",
    "average pool, padding counts",
    "average pool, padded",
    "windows put together",
}
CLASS_IDS = {"all": None, "ids": np.array([3, 1])}


@pytest.mark.parametrize("classes", CLASS_IDS)
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in OF_LOOPS else name for name in CASES])
def test_a_rule_is_the_slope(name: str, classes: str) -> None:
    """Computed by NumPy in f64, for all classes and for some."""
    ids = slice(None) if CLASS_IDS[classes] is None else CLASS_IDS[classes]
    np.testing.assert_allclose(by_numpy(name, CLASS_IDS[classes]), slopes(name).jacobian[:, ids], rtol=1e-5, atol=2e-7)


def run(name: str, dialect: str, batch: int | str, classes: str, score: Score = "logit") -> tuple[np.ndarray, np.ndarray]:
    """The gradient [B, K, C, H, W] that a runtime computes, and the ids of its classes [B, K]."""
    deployed = open_model(in_dialect(CASES[name].model(batch), dialect)).twin()
    trace, image = Trace(), slopes(name).image
    ids, each = CLASS_IDS.get(classes), classes == "top"
    if each:
        ids = trace.top_k(deployed.graph.outputs["logits"], 2, axis=1)
    jacobian = gradient(deployed, Columns(CLASSES, ids), trace, score)
    outputs = {"gradient": jacobian, "ids": ids} if each else {"gradient": jacobian}
    emit(Plan(deployed.graph, tuple(trace.nodes), outputs), deployed)
    results = deployed.compile()({"image": image})
    class_ids = np.arange(CLASSES) if ids is None else ids
    return results["gradient"], results["ids"] if each else np.tile(class_ids, (2, 1))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", CASES)
def test_runtimes_compute_it(name: str, dialect: str) -> None:
    jacobian, ids = run(name, dialect, "B", "top")
    true = np.take_along_axis(slopes(name).jacobian, ids[:, :, None, None, None], axis=1)
    np.testing.assert_allclose(jacobian, true, atol=2e-5 * np.abs(true).max(), rtol=1e-4)


def swish(x: ov.Output, weights: dict[str, np.ndarray]) -> ov.Node:
    return opset.swish(x)


def differences(x: ov.Output, weights: dict[str, np.ndarray]) -> ov.Node:
    return opset.squared_difference(opset.reduce_mean(x, np.array([2, 3]), keep_dims=True), x)


def rolled(x: ov.Output, weights: dict[str, np.ndarray]) -> ov.Node:
    return opset.roll(x, np.array([-3]), np.array([3]))


def shuffled(x: ov.Output, weights: dict[str, np.ndarray]) -> ov.Node:
    return opset.shuffle_channels(x, 1, 2)


def attended(x: ov.Output, weights: dict[str, np.ndarray]) -> ov.Node:
    turned = opset.transpose(x, np.array([0, 1, 3, 2]))
    q, k, v = (opset.matmul(turned, weights[name], False, False) for name in ("wq", "wk", "wv"))
    return opset.scaled_dot_product_attention(q, k, v, np.zeros((8, 8), np.float32), weights["half"], causal=False)


NATIVE = {  # bodies of some cases, as the single operation that OpenVINO has for them
    "silu, as exported": swish,
    "squared difference": differences,
    "roll, as exported": rolled,
    "shuffle, as exported": shuffled,
    "attention, as exported": attended,
}


@pytest.mark.parametrize("name", NATIVE)
def test_operations_that_openvino_alone_has(name: str) -> None:
    case, deployed = CASES[name], open_model(in_dialect(CASES[name].model(), "openvino")).twin()
    reader = next(op for op in deployed.native.get_ops() if op.get_friendly_name() == "flat")
    first = next(op for op in deployed.native.get_ops() if op.get_friendly_name() == "x").output(0)
    replacement = NATIVE[name](first, case.weights)
    reader.input(0).replace_source_output(replacement.output(0))
    model = ov.Model(deployed.native.outputs, deployed.native.get_parameters())
    trace, deployed = Trace(), open_model(model).twin()
    outputs = {"gradient": gradient(deployed, Columns(CLASSES), trace)}
    assert DERIVATIVES & {node.kind for node in deployed.graph.nodes} & ONE_OPERATION
    emit(Plan(deployed.graph, tuple(trace.nodes), outputs), deployed)
    true = slopes(name)
    result = deployed.compile()({"image": true.image})["gradient"]
    np.testing.assert_allclose(result, true.jacobian, atol=2e-5 * np.abs(true.jacobian).max(), rtol=1e-4)


ONE_OPERATION = {"attention", "roll", "shuffle", "silu", "squared_difference"}
STEP = np.float32(0.01)
STRAIGHT = {
    "as f16 and back": ("h = Cast<to=10>(x) y = Cast<to=1>(h)", np.ones_like),
    "as a byte and back": (
        "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)",
        lambda x: (np.rint(x / STEP) + 30 > 0) & (np.rint(x / STEP) + 30 < 255),
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", STRAIGHT)
def test_what_rounds_is_passed_straight_through(name: str, dialect: str) -> None:
    """The slope is that of the identity, and 0 where values are clipped; the linear head behind it multiplies by its weight."""
    body, mask = STRAIGHT[name]
    model = Case(
        body,
        weights={"s": np.array(STEP), "z": np.array(30, np.uint8)},
        head="flat = Reshape(y, laid) logits = MatMul(flat, head)",
    ).model()
    head = onnx.numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == "head"))
    gain = onnx.numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == "gain"))
    deployed, trace = open_model(in_dialect(model, dialect)).twin(), Trace()
    jacobian = gradient(deployed, Columns(CLASSES), trace)
    emit(Plan(deployed.graph, tuple(trace.nodes), {"gradient": jacobian}), deployed)
    image = np.random.default_rng(3).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    result = deployed.compile()({"image": image})["gradient"]
    inside = mask(np.einsum("oi,bihw->bohw", gain[:, :, 0, 0], image))[:, None]
    assert inside.all() == (name == "as f16 and back")
    np.testing.assert_allclose(result, inside * head.T.reshape(1, CLASSES, *SHAPE), atol=1e-5)


@pytest.mark.slow
def test_every_rule_is_tried() -> None:
    """By the cases of `tails`, in both runtimes.

    Pointwise operations may lack a case: their adjoints are made of the vocabulary's words, which the tests of the dialects
    run, and the law of adjoints covers the rule itself. The four that are named have tests of their own.
    """
    tried = {node.kind for case in CASES.values() for node in open_model(case.model()).graph.nodes}
    missing = {kind for kind in DERIVATIVES - tried if not OPERATIONS[kind].pointwise}
    assert missing == {"attention", "roll", "shuffle", "quantize", "dequantize"}


@pytest.mark.parametrize(("order", "is_refused"), [(1, True), (2, False)])
def test_a_norm_of_absolute_values_has_no_derivative_here(order: int, is_refused: bool) -> None:
    """ONNX has both under one name; what masks do to them is the same."""
    model = Case(f"y = LpNormalization<axis=1, p={order}>(x)").model("B")
    assert xai.insert(model, layer="x").verified
    if is_refused:
        with pytest.raises(PlanError, match=r"'y' \(LpNormalization\) cannot be differentiated: it divides by"):
            xai.insert(model, method="layer_cam", layer="x")
    else:
        assert xai.insert(model, method="layer_cam", layer="x").verified


def test_a_turned_convolution_whose_padding_follows_from_its_size_has_no_derivative_here() -> None:
    weights = CASES["turned convolution"].weights
    model = Case('y = ConvTranspose<strides=[2, 2], auto_pad="SAME_UPPER">(x, w)', 3 * 12 * 16, weights)
    with pytest.raises(PlanError, match=r"'y' \(ConvTranspose\) cannot be differentiated: its padding"):
        gradient(open_model(model.model()).twin(), Columns(CLASSES), Trace())


def test_a_running_sum_over_very_many_items_has_no_derivative_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its derivative is a table of all pairs of items, which a file may ask to be of any size."""
    monkeypatch.setattr(indexing, "MOST_SUMS", SHAPE[-1] - 1)
    with pytest.raises(PlanError, match=rf"'y' \(CumSum\) cannot be differentiated: it adds up {SHAPE[-1]} items on the way"):
        gradient(open_model(CASES["running sums"].model()).twin(), Columns(CLASSES), Trace())
