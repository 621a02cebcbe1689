"""Plans of several heads as one: what two of them compute in the same way is computed once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from openvino_xai.contract import Names
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.surgery.plan.hook import Plan


def shared(plans: Sequence[tuple[Names, Plan]]) -> Plan | None:
    """One plan for several heads of a model; None where they would splice different values into its nodes.

    Two nodes are one where they do the same to the same values. What an output is made by stays, as it carries the name.
    """
    if len(plans) == 1:
        return plans[0][1]
    union = _Union()
    outputs: dict[str, Value] = {}
    inputs: dict[str, Value] = {}
    splices: list[dict[tuple[Node, int], Value]] = []
    for number, (names, plan) in enumerate(plans, start=1):
        values = union.add(plan, number)
        outputs.update(names.of_file({name: values.get(value, value) for name, value in plan.outputs.items()}))
        inputs.update(names.of_file(dict(plan.inputs)))
        splices.append({edge: values.get(value, value) for edge, value in plan.splices.items()})
    # a spliced node of the model computes something else where nothing but its own head knows of it
    if any(other != splices[0] for other in splices):
        return None
    return Plan(plans[0][1].graph, tuple(union.nodes), outputs, inputs, splices=splices[0])


class _Union:
    """Nodes of several plans, each once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._nodes: dict[Hashable, Node] = {}

    def add(self, plan: Plan, number: int) -> Mapping[Value, Value]:
        """What stands for each value that the plan computes."""
        values: dict[Value, Value] = {}
        ends = set(plan.outputs.values())
        for node in plan.nodes:
            operands = tuple(None if value is None else values.get(value, value) for value in node.inputs)
            key = None if ends.intersection(node.outputs) else _key(node, operands)
            same = None if key is None else self._nodes.get(key)
            if same is None:
                same = _copy(node, operands, number)
                self.nodes.append(same)
            if key is not None:
                self._nodes[key] = same
            values.update(zip(node.outputs, same.outputs, strict=True))
        return values


def _copy(node: Node, operands: tuple[Value | None, ...], number: int) -> Node:
    """The node for other operands, under a name that says which plan it is of."""
    copy = replace(node, name=_named(node.name, number), inputs=operands)
    copy.outputs = tuple(replace(value, name=_named(value.name, number), producer=copy) for value in node.outputs)
    return copy


def _named(name: str, number: int) -> str:
    return name.replace("ovxai/", f"ovxai/{number}.", 1) if name.startswith("ovxai/") else name


def _key(node: Node, operands: tuple[Value | None, ...]) -> Hashable | None:
    """What two nodes have in common that compute the same; None for one of which that cannot be said."""
    if any(isinstance(item, np.ndarray) for item in node.attributes.values()):
        return None
    # a copy of a model's node does what that does; `unhooked` knows a joint by its name
    does = (id(node.native),) if node.native is not None else (node.kind, repr(sorted(node.attributes.items())))
    results = tuple((value.shape, str(value.dtype)) for value in node.outputs)
    return (
        does,
        node.name.endswith(f"/{JOIN}"),
        results,
        tuple(None if value is None else _identity(value) for value in operands),
    )


def _identity(value: Value) -> Hashable:
    """The value itself, or what a plan's own constant holds."""
    if value.data is None or value.native is not None or value.producer is not None:
        return value
    return str(value.data.dtype), value.data.shape, value.data.tobytes()
