"""The plan of a hook: neutral nodes that a dialect can emit. Planning touches no tensor of the model and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from openvino_xai.contract import GRADIENT, MAP, WANTED
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.hooks import SCALES
from openvino_xai.locate.located import Location
from openvino_xai.surgery.decision import Decision
from openvino_xai.surgery.plan.linearity import refuse_nonlinear
from openvino_xai.surgery.plan.site import PlannedSite


@dataclass(frozen=True, eq=False)
class Plan:
    """Nodes in the order in which they can be emitted, and the values that become outputs and inputs, by name.

    `origins` tells an axis of a value for each size that the plan names itself, and `joined` what operands of the model's own
    nodes are to be.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    inputs: Mapping[str, Value] = field(default_factory=dict)
    origins: Mapping[str, tuple[Value, int]] = field(default_factory=dict)
    joined: Mapping[tuple[Node, int], Value] = field(default_factory=dict)

    @cached_property
    def constants(self) -> frozenset[Node]:
        """The nodes that depend on no input: computed when the hook is inserted, or when a runtime compiles the model."""
        made = {value for node in self.nodes for value in node.outputs}
        made.update(self.inputs.values())
        settled: set[Value] = set()
        found = set()
        for node in self.nodes:
            operands = [value for _, value in node.operands]
            if node.kind != "size" and all(v in settled or (v not in made and self.graph.is_constant(v)) for v in operands):
                found.add(node)
                settled.update(node.outputs)
        return frozenset(found)


def plan(location: Location, decision: Decision) -> Plan:
    """The plan that explains a location as it was decided. Raises PlanError, naming the node in the way."""
    try:
        return _plan(location, decision)
    except RecursionError as error:  # masked tokens are followed backwards, node by node
        name = location.layer.name
        raise PlanError(
            f"the way from layer '{name}' to the scores is longer than any that can be followed; choose a later layer",
            node=name,
        ) from error


def _plan(location: Location, decision: Decision) -> Plan:
    trace, graph, target = Trace(), location.graph, decision.target(location.scores)
    if decision.traits.linear:
        refuse_nonlinear(graph, location.layer.value, target.read, decision.method)
    site = PlannedSite(trace, location, decision)
    saliency = SCALES[decision.scale](trace, decision.traits.hook(trace, site))
    if shape_of(saliency)[2] != site.classes:  # one map for all
        saliency = trace.broadcast_to(saliency, (site.batch, product(site.grid), site.classes))
    by_cell = trace.reshape(saliency, (site.batch, *site.grid, site.classes))
    outputs = {MAP: trace.permute_dims(by_cell, (0, 3, 1, 2)), **target.outputs(site.columns)}
    needed = _needed(trace.nodes, [*outputs.values(), *trace.joined.values()])
    question = site.columns.question
    inputs = {} if question is None else {WANTED: question}
    nodes = tuple(node for node in trace.nodes if node in needed)
    return Plan(graph, nodes, outputs, inputs, joined=trace.joined)


def plan_parts(location: Location, decision: Decision) -> Plan:
    """The plan that returns what a method asks for: `gradient` [B, K, ...], in the layer's own axes, where it reads gradients.

    And, of `channel_scores` and the like, what it gave and what it was told. Raises PlanError.
    """
    trace = Trace()
    site = PlannedSite(trace, location, decision)
    outputs = {GRADIENT: site.gradient()} if decision.traits.gradients else {}
    decision.traits.hook(trace, site)
    for what, given, told in site.answers:
        outputs.update({f"{what} given": trace.astype(given, np.float32), f"{what} told": told})
    needed = _needed(trace.nodes, list(outputs.values()))
    return Plan(location.graph, tuple(node for node in trace.nodes if node in needed), outputs)


def _needed(nodes: list[Node], outputs: list[Value]) -> set[Node]:
    """The nodes that the outputs depend on."""
    wanted, needed = set(outputs), set()
    for node in reversed(nodes):
        if any(value in wanted for value in node.outputs):
            needed.add(node)
            wanted.update(value for _, value in node.operands)
    return needed
