"""Each form that an operation has had: read as its runtime computes it and held to the laws, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest
from dialects import onnx_forms
from dialects.meanings import MEANINGS, UNREAD, meant
from dialects.openvino_forms import FORMS, NEWEST, Form, shape
from dialects.test_conformance import PHOTO, hold_to_nodes
from openvino.utils.node_factory import NodeFactory
from operations.laws import LAWS
from tails import SHAPE

import openvino_xai as xai
from openvino_xai.dialects.onnx.kinds import KINDS as ONNX_KINDS
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.openvino.kinds import KINDS
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node
from openvino_xai.operations.table import operation_of


def versions(op: str) -> set[int]:
    """The opsets that gave an operation another version."""
    tried = set()
    for version in range(1, NEWEST + 1):
        try:
            info = NodeFactory(f"opset{version}").create(op).get_type_info()
        except RuntimeError:  # not yet there
            continue
        tried.add(int(info.version_id.removeprefix("opset")))
    return tried


def test_every_version_has_a_form() -> None:
    there = {(op, version) for op in KINDS for version in versions(op)}
    several = {(op, version) for op, version in there if len(versions(op)) > 1}
    assert several <= {(form.op, form.version) for form in FORMS} <= there


@pytest.mark.slow
def test_every_version_of_onnx_has_a_form() -> None:
    there = {(op, version) for op in ONNX_KINDS for version in onnx_forms.versions(op)}
    tried = {(form.op, opset) for form in onnx_forms.FORMS for opset in form.opsets()}
    assert there - tried == set()


@dataclass(frozen=True)
class AsRead:
    """A node as a dialect reads it, computed by what its kind means: what laws are held to."""

    node: Node
    graph: Graph

    @property
    def variables(self) -> list[int]:
        return [index for index, value in self.node.operands if not self.graph.is_constant(value)]

    def arrays(self, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        arrays = [rng.normal(0, 1, self.node.operand(index).shape) for index in self.variables]  # type: ignore[arg-type]
        return [np.abs(array) + 0.1 for array in arrays] if self.node.kind in ("log", "sqrt", "power") else arrays

    def run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        varying = dict(zip(self.variables, arrays, strict=True))
        operands = [varying.get(i, self.graph.constant(value)) for i, value in enumerate(self.node.inputs)]
        shapes: Any = [value.shape for value in self.node.outputs]
        return meant(MEANINGS[self.node.kind], self.node, shapes, operands)


def hold_to_laws(node: Node, graph: Graph) -> None:
    """Asserts that the records of operations hold for a node as it is read."""
    shaped = not operation_of(node).takes_shape or len(node.inputs) < 2 or graph.is_constant(node.operand(1))
    if node.kind in MEANINGS and node.kind not in UNREAD and shaped:
        beside = {"costs_are_counted"}  # which leaves out what lies in the padding
        if node.op in ("CastLike", "Dropout"):  # of which an operand has no importance, or none but its type
            beside.add("operands_are_what_they_are_called")
        untold = node.kind == "max_pool" and len(node.outputs) > 1  # of the second no meaning is written
        if node.kind == "gather_nd":  # its rules say nothing of batches, which one version leaves apart, and another merges
            untold = bool(node.attributes["batch_dims"])
        if untold or (operation_of(node).takes_shape and len(node.inputs) < 2):  # Flatten has its shape from no operand
            beside.add("shapes_are_told")
        for name in LAWS.keys() - beside:
            LAWS[name](operation_of(node), AsRead(node, graph))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_form_of_openvino_is_read_as_it_runs(form: Form) -> None:
    deployed = open_model(form.model())
    node = next(node for node in deployed.graph.nodes if node.name == "form")
    assert bool(node.kind) == form.read
    hold_to_nodes(deployed, PHOTO)
    hold_to_laws(node, deployed.graph)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "opset"),
    [pytest.param(form, opset, id=f"{form.body}, {opset}") for form in onnx_forms.FORMS for opset in form.opsets()],
)
def test_a_form_of_onnx_is_read_as_it_runs(form: onnx_forms.Form, opset: int) -> None:
    deployed = open_model(form.model(opset))
    node = next(node for node in deployed.graph.nodes if node.outputs[0].name == "y")
    assert bool(node.kind) == form.read
    hold_to_nodes(deployed, PHOTO)
    hold_to_laws(node, deployed.graph)


@pytest.mark.parametrize("form", [form for form in FORMS if not form.read], ids=str)
def test_a_form_that_is_not_read_is_refused_by_name(form: Form) -> None:
    model = form.model()
    x, y = model.input(0), opset.convert(model.output(0).get_node().input_value(0), "f32")
    rows = opset.reshape(y, np.array([2, -1]), False)
    logits = opset.matmul(rows, np.ones((rows.output(0).get_shape()[1], 5), np.float32), False, False)
    features = opset.relu(x)
    for target in x.get_target_inputs():
        target.replace_source_output(features.output(0))
    features.input(0).replace_source_output(x)
    features.set_friendly_name("features")
    with pytest.raises(PlanError, match=rf"'form' \({form.op}\)"):
        xai.insert(ov.Model([logits], model.get_parameters()), layer="features", method="reciprocam")


def test_sizes_are_read_behind_a_slice_that_drops_an_axis() -> None:
    """As Keras writes a reshape of an open batch."""
    x = opset.parameter([-1, *SHAPE], np.float32, "image")
    masks: Any = {"begin_mask": [0], "end_mask": [0], "new_axis_mask": [0], "shrink_axis_mask": [1], "ellipsis_mask": [0]}
    batch = opset.strided_slice(shape(x.output(0)), *(np.array([i]) for i in (0, 1, 1)), *masks.values())
    target = opset.concat([opset.unsqueeze(batch, np.array(0)), opset.constant(np.array([4, 48]))], 0)
    flat = opset.reshape(opset.relu(x), target, False)
    y = opset.matmul(opset.reduce_mean(flat, np.array([2])), np.ones((4, 5), np.float32), False, False)
    deployed = open_model(ov.Model([y], [x]))
    logits = next(iter(deployed.graph.outputs.values()))
    assert logits.shape == (deployed.graph.inputs[0].shape[0], 5)  # type: ignore[index]
