"""Sizes that a model computes for what depends on no pixel: they are known before it runs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from openvino_xai.dialects.open import open_model
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Dim
from openvino_xai.operations.integers import is_fixed, symbolic_content
from openvino_xai.operations.table import OPERATIONS
from tests.tiny import tiny


def test_what_is_filled_has_the_sizes_that_are_computed_of_the_image() -> None:
    """As tables of relative positions are laid out for the size of the photo: onnx infers no shape of them."""
    text = (
        "s = Shape<start=2>(image) n = Div(s, half) f = ConstantOfShape(n) t = ScatterND(f, places, values) "
        "r = Gather(t, last) p = GlobalAveragePool(image) v = Flatten(p) m = MatMul(v, w) "
        "c = ReduceSum<keepdims=0>(r) logits = Add(m, c)"
    )
    model = tiny(
        text,
        image=(3, 6, 8),
        half=np.array([2, 2]),
        places=np.array([[0], [2]]),
        values=(2, 4),
        last=np.array([1, 0]),
        w=(3, 5),
    )
    graph = open_model(model).graph
    shapes = {node.op: node.outputs[0] for node in graph.nodes}
    assert shapes["ConstantOfShape"].shape == shapes["ScatterND"].shape == (3, 4)
    assert shapes["Gather"].shape == (2, 4)
    assert is_fixed(graph, shapes["Gather"])


COUNTED = (
    "n = Size({}) c = Greater(n, few) f = If (c) <then_branch = one () => (float[B,3,6,8] d) {{ d = Neg(image) }}, "
    "else_branch = two () => (float[B,3,6,8] e) {{ e = Identity(image) }}> p = GlobalAveragePool(f) v = Flatten(p) "
    "logits = MatMul(v, w)"
)


def counted(value: str, few: int) -> onnx.ModelProto:
    return tiny(COUNTED.format(value), few=np.array(few), w=(3, 5))


@pytest.mark.parametrize(("few", "branch"), [(14, "Neg"), (15, "Identity"), (16, "Identity")])
def test_a_branch_that_a_number_of_elements_decides_is_taken(few: int, branch: str) -> None:
    assert [node.op for node in open_model(counted("w", few)).graph.nodes if node.op in ("If", "Neg", "Identity")] == [branch]


def test_how_many_elements_a_batch_has_is_told_by_a_run_alone() -> None:
    graph = open_model(counted("image", 100)).graph
    (size,) = (node.outputs[0] for node in graph.nodes if node.op == "Size")
    assert symbolic_content(graph, size) == (Dim(144, ("B",)),)
    assert not is_fixed(graph, size)
    assert any(node.op == "If" for node in graph.nodes)


@pytest.mark.parametrize(
    ("numbers", "length"), [((0.5, 8.0, 1.0), 8), ((0.1, 0.9, 0.2), 4), ((0.0, 0.3, 0.1), None), ((5.0, 1.0, 1.0), 0)]
)
def test_a_range_of_fractions_has_a_length_where_rounding_does_not_decide(
    numbers: tuple[float, ...], length: int | None
) -> None:
    """As rotary positions are laid out: from the middle of the first patch on."""
    operands = tuple(Value(name, (), np.dtype(np.float32)) for name in ("start", "limit", "delta"))
    node = Node("r", "range", "Range", operands, (Value("y", (Dim(1, ("open",)),), np.dtype(np.float32)),))
    singles = [float(np.float32(number)) for number in numbers]
    counted = OPERATIONS["range"].shape
    assert counted is not None
    assert counted(node, lambda index: (singles[index],)) == (None if length is None else [(length,)])  # type: ignore[arg-type]
