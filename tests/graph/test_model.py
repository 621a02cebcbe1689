"""A graph that is read does not change, and tells who reads what."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import DIALECTS, in_dialect, tiny

from openvino_xai.dialects.open import open_model

# a gather that takes every element in turn is a reshape; what reads the indices then is nobody
GATHERED = (
    "f = Conv(image, k) v = Reshape(f, flat) g = Gather(v, order) p = GlobalAveragePool(g) r = Flatten(p) logits = Gemm(r, w)"
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nodes_that_are_read_do_not_change(dialect: str) -> None:
    body = "f = Conv(image, k) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w)"
    model = tiny(body, k=np.ones((4, 3, 1, 1), np.float32), w=np.ones((5, 4), np.float32))
    graph = open_model(in_dialect(model, dialect)).graph
    for node in graph.nodes:
        with pytest.raises(AttributeError, match="does not change any more"):
            node.kind = "relu"


def test_who_reads_is_told_after_a_node_became_another() -> None:
    model = tiny(
        GATHERED,
        batch=1,
        image=(3, 2, 4),
        k=np.ones((4, 3, 1, 1), np.float32),
        flat=np.array([32]),
        order=np.arange(32).reshape(1, 4, 2, 4),
        w=np.ones((4, 5), np.float32),
    )
    graph = open_model(model).graph
    reshape = next(node for node in graph.nodes if node.op == "Gather")
    assert reshape.kind == "reshape"
    read = {value.name for value, readers in graph.consumers.items() if any(node is reshape for node, _ in readers)}
    assert read == {"v"}
