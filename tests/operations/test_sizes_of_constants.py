"""Sizes that a model computes for what depends on no pixel: they are known before it runs."""

from __future__ import annotations

import numpy as np

from openvino_xai.dialects.open import open_model
from openvino_xai.operations.integers import is_fixed
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
