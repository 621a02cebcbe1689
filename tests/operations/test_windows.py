"""Convolutions and pools with random windows: a runtime's logits move along a direction as its gradient says.

The head is linear, and so are convolutions and average pools: there a step of any length gives the slope. A max pool is linear
only between points where the maximum changes, and gets a short step and a wide tolerance.
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
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan
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
    window = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}
    assume(min(outputs(window)) > 0)
    return window


def outputs(window: dict[str, list[int]]) -> list[int]:
    """The height and width that a window leaves of `SHAPE`."""
    sizes = []
    for axis, size in enumerate(SHAPE[1:]):
        reach = (window["kernel_shape"][axis] - 1) * window["dilations"][axis] + 1
        sizes.append((size + window["pads"][axis] + window["pads"][axis + 2] - reach) // window["strides"][axis] + 1)
    return sizes


def attributes(window: dict[str, list[int]]) -> str:
    """A window as attributes in ONNX's text format."""
    return ", ".join(f"{name}={numbers}" for name, numbers in window.items())


def holds(case: Case, dialect: str, step: float, tolerance: float) -> None:
    """Asserts that logits move along a random direction as the gradient says."""
    model = case.model(2)
    deployed, trace = open_model(in_dialect(model, dialect)).twin(), Trace()
    jacobian = gradient(deployed, Columns(CLASSES), trace)
    emit(Plan(deployed.graph, tuple(trace.nodes), {"gradient": jacobian}), deployed)
    rng = np.random.default_rng(8)
    image = rng.normal(0, 1, (2, *SHAPE)).astype(np.float32)
    slopes = deployed.compile()({"image": image})["gradient"].astype(np.float64)
    gain = next(
        np.frombuffer(tensor.raw_data, np.float32) for tensor in model.graph.initializer if tensor.name == "gain"
    ).reshape(4, 4)
    direction = rng.normal(0, 1, image.shape)
    run = open_model(model).compile()
    ends = [run({"image": (image + sign * step * direction).astype(np.float32)})["logits"].astype(float) for sign in (1, -1)]
    moved = (ends[0] - ends[1]) / (2 * step)
    promised = np.einsum("bkchw,bchw->bk", slopes, np.einsum("oi,bihw->bohw", gain, direction))
    np.testing.assert_allclose(promised, moved, atol=tolerance * np.abs(moved).max() + tolerance)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=25, deadline=None)
@given(window=windows(), groups=st.sampled_from([1, 2, 4]), each=st.integers(1, 3))
def test_convolutions(dialect: str, window: dict[str, list[int]], groups: int, each: int) -> None:
    weights = np.random.default_rng(1).normal(0, 0.5, (groups * each, 4 // groups, *window["kernel_shape"])).astype(np.float32)
    size = groups * each * int(np.prod(outputs(window)))
    holds(Case(f"y = Conv<group={groups}, {attributes(window)}>(x, w)", size, {"w": weights}, head=LINEAR), dialect, 1.0, 1e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=25, deadline=None)
@given(window=windows(), counts=st.sampled_from([0, 1]))
def test_average_pools(dialect: str, window: dict[str, list[int]], counts: int) -> None:
    window = {**window, "dilations": [1, 1]}
    size = 4 * int(np.prod(outputs(window)))
    holds(Case(f"y = AveragePool<count_include_pad={counts}, {attributes(window)}>(x)", size, head=LINEAR), dialect, 1.0, 1e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=25, deadline=None)
@given(window=windows())
def test_max_pools(dialect: str, window: dict[str, list[int]]) -> None:
    size = 4 * int(np.prod(outputs(window)))
    holds(Case(f"y = MaxPool<{attributes(window)}>(x)", size, head=LINEAR), dialect, 1e-3, 0.05)
