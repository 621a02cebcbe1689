"""Convolutions and pools of whatever shape: the score moves along the gradient as a runtime computes it says.

Behind a linear head convolutions and means are linear, so that a step of any length keeps what the gradient promises; of a
maximum a small one does, but for corners.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tails import SHAPE, Case, gradient
from tiny import CLASSES, DIALECTS, in_dialect

from openvino_xai.dialects.open import open_model
from openvino_xai.graph.trace import Trace
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.plan.hook import Plan
from openvino_xai.tail.target import Columns

pytestmark = pytest.mark.slow

LINEAR = "flat = Reshape(y, laid) logits = MatMul(flat, head)"


@st.composite
def windows(draw: Any) -> dict[str, list[int]]:
    """Kernel, strides, dilations and pads that leave at least one output of 6 x 8 elements."""
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    dilations = [draw(st.integers(1, 2)) if k > 1 else 1 for k in kernel]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    most = [min(k - 1, (r - 1) // 2 + 1) for k, r in zip(kernel, reach, strict=True)]  # a pool must see more than padding
    pads = [draw(st.integers(0, m)) for m in most * 2]
    strides = [draw(st.integers(1, 3)) for _ in range(2)]
    told = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}
    assume(min(outputs(told)) > 0)
    return told


def outputs(told: dict[str, list[int]]) -> list[int]:
    found = []
    for axis, size in enumerate(SHAPE[1:]):
        reach = (told["kernel_shape"][axis] - 1) * told["dilations"][axis] + 1
        found.append((size + told["pads"][axis] + told["pads"][axis + 2] - reach) // told["strides"][axis] + 1)
    return found


def attributes(told: dict[str, list[int]]) -> str:
    return ", ".join(f"{name}={numbers}" for name, numbers in told.items())


def holds(case: Case, dialect: str, step: float, tolerance: float) -> None:
    """Whether logits move along a random direction as the gradient says."""
    model = case.model(2)
    deployed, trace = open_model(in_dialect(model, dialect)).twin(), Trace()
    made = gradient(deployed, Columns(CLASSES), trace)
    emit(Plan(deployed.graph, tuple(trace.nodes), {"gradient": made}), deployed)
    rng = np.random.default_rng(8)
    image = rng.normal(0, 1, (2, *SHAPE)).astype(np.float32)
    slopes = deployed.compile()({"image": image})["gradient"].astype(np.float64)
    gain = next(np.frombuffer(held.raw_data, np.float32) for held in model.graph.initializer if held.name == "gain").reshape(
        4, 4
    )
    direction = rng.normal(0, 1, image.shape)
    run = open_model(model).compile()
    ends = [run({"image": (image + sign * step * direction).astype(np.float32)})["logits"].astype(float) for sign in (1, -1)]
    moved = (ends[0] - ends[1]) / (2 * step)
    promised = np.einsum("bkchw,bchw->bk", slopes, np.einsum("oi,bihw->bohw", gain, direction))
    np.testing.assert_allclose(promised, moved, atol=tolerance * np.abs(moved).max() + tolerance)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=25, deadline=None)
@given(told=windows(), groups=st.sampled_from([1, 2, 4]), each=st.integers(1, 3))
def test_convolutions(dialect: str, told: dict[str, list[int]], groups: int, each: int) -> None:
    weights = np.random.default_rng(1).normal(0, 0.5, (groups * each, 4 // groups, *told["kernel_shape"])).astype(np.float32)
    size = groups * each * int(np.prod(outputs(told)))
    holds(Case(f"y = Conv<group={groups}, {attributes(told)}>(x, w)", size, {"w": weights}, head=LINEAR), dialect, 1.0, 1e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=25, deadline=None)
@given(told=windows(), counts=st.sampled_from([0, 1]))
def test_average_pools(dialect: str, told: dict[str, list[int]], counts: int) -> None:
    told = {**told, "dilations": [1, 1]}
    size = 4 * int(np.prod(outputs(told)))
    holds(Case(f"y = AveragePool<count_include_pad={counts}, {attributes(told)}>(x)", size, head=LINEAR), dialect, 1.0, 1e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=25, deadline=None)
@given(told=windows())
def test_max_pools(dialect: str, told: dict[str, list[int]]) -> None:
    size = 4 * int(np.prod(outputs(told)))
    holds(Case(f"y = MaxPool<{attributes(told)}>(x)", size, head=LINEAR), dialect, 1e-3, 0.05)
