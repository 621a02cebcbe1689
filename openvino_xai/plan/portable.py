"""A plan in sums, products and maxima alone, for runtimes without TopK, GatherElements, Gather, Cast, comparisons or Where."""

from __future__ import annotations

from dataclasses import replace

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.operations.portable import as_float, portable_form, refused
from openvino_xai.plan.decision import Attempt
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.nodes import needed


def as_decided(plan: Plan, decision: Attempt) -> Plan:
    """The plan, in its portable form where that was decided."""
    return portable(plan) if decision.portable else plan


def portable(plan: Plan) -> Plan:
    """The same maps, and classes as f32. Raises PlanError, which names what has no such form."""
    for name, value in plan.inputs.items():
        if value.dtype is None or value.dtype.kind != "f":
            raise PlanError(
                f"a portable hook reads no '{name}', which is {value.dtype}: name classes in the targets, or leave portable "
                "out",
                node=name,
                options=("portable", "targets"),
            )
    trace, values = Trace(), dict[Value, Value]()
    for node in plan.nodes:
        if node.native is None:
            operands = [values.get(value) or as_float(node, value) for _, value in node.operands]
            values[node.outputs[0]] = portable_form(trace, node, operands)
        else:
            values.update(zip(node.outputs, _repeated(trace, node, values), strict=True))
    outputs = {name: values.get(value, value) for name, value in plan.outputs.items()}
    splices = {edge: values.get(value, value) for edge, value in plan.splices.items()}
    nodes = needed(trace.nodes, [*outputs.values(), *splices.values()])
    return replace(plan, nodes=nodes, outputs=outputs, splices=splices)


def _repeated(trace: Trace, node: Node, values: dict[Value, Value]) -> tuple[Value, ...]:
    """A copy of a model's node stays one: a runtime that reads the model reads it, too."""
    assert node.native is not None
    operands = [None if value is None else values.get(value, value) for value in node.inputs]
    for old, new in zip(node.inputs, operands, strict=True):
        if old is not None and new is not None and old.dtype != new.dtype:
            raise refused(node, f"'{old.name}' as {old.dtype}")
    return trace.repeat(node.native, operands, [shape_of(value) for value in node.outputs])
