"""Hooks of sums, products and maxima alone: the same maps, and none of the operations that small runtimes lack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CASES, DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.contract import RECORD
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, ModelError, PlanError
from openvino_xai.graph.trace import Trace
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.operations import portable as module
from openvino_xai.operations.portable import FORMS, PLAIN
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.portable import portable
from openvino_xai.record.reading import record_of

SAMPLES = Path(__file__).parents[2] / "samples"
LACKED = {"top_k", "gather", "gather_elements", "cast", "where", "equal", "greater", "max", "min", "non_zero", "scatter_rows"}
BY_NAME = set("TopK Gather GatherElements Cast Convert Where Select Equal Greater ReduceMax ReduceMin".split())
MODEL = "pool and linear"


def portably(call: Callable[..., Any], *arrays: np.ndarray, dialect: str = "onnx") -> np.ndarray:
    """What a runtime computes of words in their portable form, in f32."""
    sizes = [",".join(map(str, array.shape)) for array in arrays]
    text = ", ".join(f"float[{size}] x{i}" for i, size in enumerate(sizes))
    body = " ".join(f"y{i} = Identity(x{i})" for i in range(len(arrays)))
    results = ", ".join(f"float[{size}] y{i}" for i, size in enumerate(sizes))
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> m ({text}) => ({results}) {{ {body} }}')
    deployed, trace = open_model(in_dialect(model, dialect)).twin(), Trace()
    output = call(trace, *deployed.graph.inputs)
    plan = portable(Plan(deployed.graph, tuple(trace.nodes), {"output": output}))
    assert LACKED.isdisjoint(node.kind for node in plan.nodes)
    emit(plan, deployed)
    return deployed.compile()({f"x{i}": array for i, array in enumerate(arrays)})["output"]


FEW = st.sampled_from([-3e30, -2.0, -1e-30, 0.0, 1e-30, 1.0, 1.0000001, 2.0, 3e30])  # so that many are the same, or nearly


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(FEW, min_size=6, max_size=6), st.integers(1, 3))
def test_the_largest_are_those_of_top_k_the_first_of_equals(values: list[float], k: int) -> None:
    x = np.array(values, np.float32).reshape(2, 3)
    np.testing.assert_array_equal(
        portably(lambda xp, x: xp.top_k(x, k, axis=1), x), numpy_namespace().top_k(x, k, axis=1).astype(np.float32)
    )


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(FEW, min_size=3, max_size=3), st.lists(FEW, min_size=3, max_size=3))
def test_comparisons_are_1_and_0(left: list[float], right: list[float]) -> None:
    a, b = np.array(left, np.float32), np.array(right, np.float32)
    a, b = np.clip(a, -1e3, 1e3), np.clip(b, -1e3, 1e3)  # differences beyond f32 are none
    for word in ("equal", "greater"):
        result = portably(lambda xp, a, b, word=word: xp.astype(getattr(xp, word)(a, b), np.float32), a, b)
        np.testing.assert_array_equal(result, getattr(np, word)(a, b).astype(np.float32))


X = np.random.default_rng(1).normal(0, 1, (2, 4, 5)).astype(np.float32)
CALLS: dict[str, Callable[..., Any]] = {
    "take of numbers": lambda xp, x: xp.take(x, np.array([3, 0, 3]), axis=1),
    "take along the first axis": lambda xp, x: xp.take(x, np.array([1, 0]), axis=0),
    "take of one": lambda xp, x: xp.take(x, np.array(2), axis=2),
    "take of what is computed": lambda xp, x: xp.take(x, xp.reshape(xp.top_k(xp.max(x, axis=(0, 1)), 2, axis=0), (2,)), axis=2),
    "along an axis": lambda xp, x: xp.take_along_axis(x, xp.top_k(x, 2, axis=1), axis=1),
    "along an axis, the same for many rows": lambda xp, x: xp.take_along_axis(
        x, xp.broadcast_to(xp.top_k(xp.max(x, axis=1, keepdims=True), 2, axis=2), (2, 4, 2)), axis=2
    ),
    "where": lambda xp, x: xp.where(xp.greater(x, np.float32(0.1)), x, np.float32(-7)),
    "max and min": lambda xp, x: xp.subtract(xp.max(x, axis=(0, 2)), xp.min(x, axis=(0, 2))),
    "of all": lambda xp, x: xp.min(x, axis=(0, 1, 2), keepdims=True),
    "sum of five axes": lambda xp, x: xp.sum(xp.reshape(x, (1, 2, 2, 2, 5)), axis=(2, 4)),
    "mean of five axes": lambda xp, x: xp.mean(xp.reshape(x, (1, 2, 2, 2, 5)), axis=4, keepdims=True),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", CALLS)
def test_a_form_is_its_word(name: str, dialect: str) -> None:
    true = np.asarray(CALLS[name](numpy_namespace(), X)).astype(np.float32)
    result = portably(CALLS[name], X, dialect=dialect)
    np.testing.assert_allclose(result, true, rtol=2e-6 if "axes" in name else 0)  # a sum rounds
    assert result.shape == true.shape


def test_a_form_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMS, "min", FORMS["max"])  # type: ignore[index]
    with pytest.raises(AssertionError):
        test_a_form_is_its_word("of all", "onnx")


def test_every_word_has_a_form_or_is_refused_by_name() -> None:
    assert not FORMS.keys() & PLAIN
    trace = Trace()
    deployed = open_model(CASES[MODEL].build(1, 17))
    image = deployed.graph.inputs[0]
    zeros = np.zeros((1,), np.int64)
    scattered = trace.scatter_add(trace.reshape(image, (-1,)), zeros, np.zeros(1, np.float32), axis=0)
    with pytest.raises(PlanError, match="'scatter_add'.*leave portable out"):
        portable(Plan(deployed.graph, tuple(trace.nodes), {"output": scattered}))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 1])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"targets": "top:2"},
        {"targets": "3,1"},
        {"method": "grad_cam"},
        {"method": "cam", "targets": "top:1"},
        {"scale": "none"},
    ],
)
def test_the_maps_are_the_same(dialect: str, batch: int | str, options: dict[str, str]) -> None:
    model = CASES[MODEL].build(batch, 18)
    image = images(model, 1 if batch == 1 else 3)
    plain = xai.load(xai.insert(in_dialect(model, dialect), **options))(image)  # type: ignore[arg-type]
    hooked = xai.insert(in_dialect(model, dialect), portable=True, **options)  # type: ignore[arg-type]
    assert hooked.record["portable"] == "yes"
    network = xai.load(hooked)
    results = network(image)
    np.testing.assert_array_equal(results["logits"], plain["logits"])
    np.testing.assert_allclose(results["saliency_map"], plain["saliency_map"], atol=2e-6)
    if "saliency_class" in plain:
        assert results["saliency_class"].dtype == np.float32
        np.testing.assert_array_equal(results["saliency_class"], plain["saliency_class"])
    operations = {node.op for node in open_model(hooked.model).graph.nodes}
    assert operations.isdisjoint(BY_NAME - ({"Gather"} if batch == "B" else set()))  # a size of the batch is read by a Gather


@pytest.mark.slow
def test_a_detectors_map_of_each_class_is_the_same() -> None:
    model = SAMPLES / "models" / "ultraface_rfb320.onnx"
    image = images(onnx.load(model), 1)
    plain, hooked = (xai.insert(model, method="class_map", portable=flag) for flag in (False, True))
    expected, maps = (hook.deployed.compile()({hook.record["image"]: image})["saliency_map"] for hook in (plain, hooked))
    np.testing.assert_allclose(maps, expected, atol=2e-6)
    with pytest.raises(PlanError, match="leave portable out"):
        xai.insert(model, targets="boxes:4", portable=True)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"gate": True}, InputError, "leave one of both out"),
        ({"scale": "u8"}, InputError, "made by a cast"),
        ({"targets": "asked"}, PlanError, "no 'explain_class', which is int64"),
    ],
)
def test_what_has_no_portable_form_is_refused_by_name(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        xai.insert(CASES[MODEL].build("B", 17), portable=True, **options)
    assert "portable" in caught.value.options  # type: ignore[attr-defined]


def test_many_that_are_picked_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PICKED", 2)
    with pytest.raises(PlanError, match="the 3 largest, more than 2"):
        xai.insert(CASES[MODEL].build("B", 17), targets="top:3", portable=True, verify=False)


def test_a_record_that_claims_it_is_held_to_the_file() -> None:
    deployed = xai.insert(CASES[MODEL].build("B", 17), targets="top:1", verify=False).deployed
    deployed.set_info(RECORD, {**deployed.info(RECORD), "portable": "yes"})
    with pytest.raises(ModelError, match="'saliency_class', float32 of rank 2"):
        record_of(deployed.graph, deployed.info)
