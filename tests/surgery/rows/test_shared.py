"""Nodes that compute the same of the same values stand once in a plan; others stay apart."""

from __future__ import annotations

import numpy as np
from tracing import computed

from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace
from openvino_xai.plan.sharing import once


def test_what_is_the_same_is_computed_once_and_what_differs_is_not() -> None:
    xp, x = Trace(), Value("x", (2, 3), np.dtype(np.float64))
    twice = [xp.multiply(xp.exp(x), np.arange(3.0)) for _ in range(2)]
    others = [xp.multiply(xp.exp(x), np.arange(1.0, 4.0)), xp.sum(twice[0], axis=0), xp.sum(twice[1], axis=1)]
    nodes, values = once(xp.nodes, ())
    assert [node.kind for node in nodes] == ["exp", "multiply", "multiply", "sum", "sum"]
    assert values[twice[0]] is values[twice[1]]
    array = np.random.default_rng(0).normal(size=(2, 3))
    before, after = computed(xp.nodes, {x: array}, {}), computed(nodes, {x: array}, {})
    for value in (*twice, *others):
        np.testing.assert_array_equal(after[values[value]], before[value])
