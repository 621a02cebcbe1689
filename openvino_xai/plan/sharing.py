"""What a plan computes twice in the same way is computed once, and what the plans of several heads have in common."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from openvino_xai.contract import Names
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.plan.hook import Plan


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
        values = union.add(plan.nodes, frozenset(plan.outputs.values()), number)
        outputs.update(names.of_file({name: values.get(value, value) for name, value in plan.outputs.items()}))
        inputs.update(names.of_file(dict(plan.inputs)))
        splices.append({edge: values.get(value, value) for edge, value in plan.splices.items()})
    # a spliced node of the model computes something else where nothing but its own head knows of it
    if any(other != splices[0] for other in splices):
        return None
    return Plan(plans[0][1].graph, tuple(union.nodes), outputs, inputs, splices=splices[0])


def once(nodes: Iterable[Node], ends: Iterable[Value]) -> tuple[list[Node], Mapping[Value, Value]]:
    """Copies of nodes without repetitions, and what stands for each of their values; what makes one of the `ends` stays."""
    union = _Union()
    values = union.add(nodes, frozenset(ends))
    return union.nodes, values


class _Union:
    """Nodes of plans, each once: of those that compute the same of the same values, the first stands for all."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._nodes: dict[Hashable, Node] = {}
        self._constants: dict[Hashable, Value] = {}

    def add(self, nodes: Iterable[Node], ends: Collection[Value], number: int | None = None) -> Mapping[Value, Value]:
        """What stands for each value that the nodes compute; the names of those of a plan with a `number` tell it."""
        values: dict[Value, Value] = {}
        for node in nodes:
            operands = tuple(None if value is None else values.get(value, self._constant(value)) for value in node.inputs)
            key = None if any(value in ends for value in node.outputs) else _key(node, operands)
            same = None if key is None else self._nodes.get(key)
            if same is None:
                same = _copy(node, operands, number)
                self.nodes.append(same)
            if key is not None:
                self._nodes[key] = same
            values.update(zip(node.outputs, same.outputs, strict=True))
        return values

    def _constant(self, value: Value) -> Value:
        """The first of a plan's own constants that hold the same; any other value as it is."""
        if value.data is None or value.native is not None or value.producer is not None:
            return value
        return self._constants.setdefault((str(value.data.dtype), value.data.shape, value.data.tobytes()), value)


def _copy(node: Node, operands: tuple[Value | None, ...], number: int | None) -> Node:
    """The node for other operands, under a name that says which plan it is of where there are several."""
    copy = replace(node, name=_named(node.name, number), inputs=operands)
    copy.outputs = tuple(replace(value, name=_named(value.name, number), producer=copy) for value in node.outputs)
    return copy


def _named(name: str, number: int | None) -> str:
    return name.replace("ovxai/", f"ovxai/{number}.", 1) if number is not None and name.startswith("ovxai/") else name


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
        operands,
    )
