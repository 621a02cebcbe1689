"""The plan of a hook: neutral nodes that a dialect can emit. Planning touches no tensor of the model and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from openvino_xai.contract import CONFIDENCE, FEATURES, GRADIENT, MAP, WANTED
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import product
from openvino_xai.graph.trace import Trace, as_value, shape_of
from openvino_xai.hooks import SCALES
from openvino_xai.hooks.noise.confidence import confidence
from openvino_xai.locate.framing.layout import Layout
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Location
from openvino_xai.operations.cost import bytes_of, operations
from openvino_xai.plan.decision import Decision
from openvino_xai.plan.linearity import refuse_nonlinear, refuse_rounding
from openvino_xai.plan.nodes import constant_nodes, needed
from openvino_xai.plan.resized import at, resized
from openvino_xai.plan.site import PlannedSite, of_photos_alone
from openvino_xai.tail.target import within
from openvino_xai.tail.tasks.regions import RegionTarget


@dataclass(frozen=True, eq=False)
class Plan:
    """Nodes in the order in which they can be emitted, and the values that become outputs and inputs, by name.

    `origins` tells an axis of a value for each size that the plan names itself, and `splices` what operands of the model's own
    nodes are to be. `counted` tells for sizes that the plan names what is counted of an image, and how much it is at most.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    inputs: Mapping[str, Value] = field(default_factory=dict)
    origins: Mapping[str, tuple[Value, int]] = field(default_factory=dict)
    splices: Mapping[tuple[Node, int], Value] = field(default_factory=dict)
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def constants(self) -> frozenset[Node]:
        """The nodes that depend on no input: computed when the hook is inserted, or when a runtime compiles the model."""
        return constant_nodes(self.graph, self.nodes, self.inputs.values())

    @property
    def operations(self) -> int:
        """The operations that it adds to every inference."""
        return operations(self._computed({name: count for name, (count, _) in self.counted.items()}))

    @property
    def largest(self) -> int:
        """The bytes of the largest value that it makes, for one image; what is not stored (a reshaped view) counts, too."""
        nodes = self._computed({name: most for name, (_, most) in self.counted.items()})
        return max((bytes_of(value) for node in nodes for value in node.outputs), default=0)

    def _computed(self, sizes: Mapping[str, int]) -> list[Node]:
        """The nodes that are computed when the model runs, with numbers for sizes that the plan names."""
        nodes = [node for node in self.nodes if node not in self.constants]
        return resized(nodes, at(sizes))[0] if sizes else nodes


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
    is_joint = location.layer.joint and decision.traits.masks != "cells"
    if is_joint or (len(location.layer.cut) > 1 and not location.layer.attends and decision.feature_vector):
        what = "a feature vector" if decision.feature_vector else decision.method
        raise PlanError(f"{what} is of one layer, and '{location.layer.name}' are several", node=location.layer.name)
    if location.layer.place.sizes is not None and (unfit := _of_photos(location.layer, decision)) is not None:
        raise of_photos_alone(unfit, location.image)
    if decision.traits.linear:
        refuse_nonlinear(graph, [part.value for part in location.layer.cut], target.read, decision.method)
    if decision.confidence and isinstance(target, RegionTarget):
        raise PlanError(
            f"a confidence is of classes of images, and '{location.scores.name}' tells those of pixels: leave it out",
            node=location.scores.name,
            options=("confidence",),
        )
    site, elements = PlannedSite(trace, location, decision), decision.traits.of_elements
    values = None
    if elements is None:
        raw = decision.hook(location.layer)(trace, site)
    else:
        if location.layer.name != location.image.name:
            raise PlanError(f"{decision.method} is of image '{location.image.name}', and not of layer '{location.layer.name}'")
        refuse_rounding(graph, [location.layer.value], target.read, decision.method)
        values = elements.values(trace, site)
        raw = elements.saliency(trace, values)
    layout = location.layout(decision.grid)
    shown = raw if layout is None else trace.take(raw, layout.visible, axis=1)
    saliency = SCALES[decision.scale](trace, shown)
    # raw scores of masks have no zero that says that nothing is there
    least = trace.min(saliency, axis=1, keepdims=True) if layout and decision.raw_scores else 0
    outputs = {MAP: _by_class(trace, site, location.layer, saliency, layout, beside=least)}
    outputs |= target.outputs(trace, site.selection)
    if decision.confidence:
        steady = confidence(trace, site, decision.hook(location.layer), decision.method)
        steady = steady if layout is None else trace.take(steady, layout.visible, axis=1)
        outputs[CONFIDENCE] = _by_class(trace, site, location.layer, steady, layout, beside=1)
    if (wanted := site.selection.inputs.get(WANTED)) is not None:
        _, there = within(trace, wanted, location.scores.classes)
        there = trace.reshape(there, (site.batch, *[1] * (len(shape_of(outputs[MAP])) - 1)))
        for name in {MAP, CONFIDENCE} & set(outputs):
            outputs[name] = trace.where(there, outputs[name], np.zeros((), outputs[name].dtype))
        if values is not None:
            values = trace.where(there, values, np.zeros((), values.dtype))
    if values is not None:
        outputs[GRADIENT] = site.laid_as_layer(values)
    if decision.feature_vector:
        if FEATURES in graph.outputs:
            raise PlanError(f"the model has an output '{FEATURES}' already: leave it out", options=("feature_vector",))
        outputs[FEATURES] = site.feature_vector()
    ends = [*outputs.values(), *site.splices.values()]
    return Plan(graph, needed(trace.nodes, ends), outputs, site.selection.inputs, splices=site.splices)


def _of_photos(layer: Candidate, decision: Decision) -> str | None:
    """What a decision asks for that signals and videos do not have, in words."""
    if decision.traits.of_elements is not None:
        return decision.method
    return "a confidence" if decision.confidence else "a map of several layers" if layer.in_turn else None


def _by_class(
    trace: Trace, site: PlannedSite, layer: Candidate, saliency: Value, layout: Layout | None = None, *, beside: Value | int = 0
) -> Value:
    """[B, K, H, W], as the cells of the layer lie, of saliency [B, N, K], or [B, N, 1] for all classes.

    Of a layer that holds a part of the image they lie on a map of the image, by a layout, with `beside` where there are none.
    """
    lengths = site.grid if layer.place.sizes is None else layer.lengths
    if layout is not None:
        lengths, saliency = layout.grid, _laid(trace, saliency, layout, beside)
    if shape_of(saliency)[2] != site.classes:
        saliency = trace.broadcast_to(saliency, (site.batch, product(lengths), site.classes))
    by_cell = trace.reshape(saliency, (site.batch, *lengths, site.classes))
    last = len(lengths) + 1
    return trace.permute_dims(by_cell, (0, last, *range(1, last)))


def _laid(trace: Trace, saliency: Value, layout: Layout, beside: Value | int) -> Value:
    """[B, H * W, K]: what visible cells have, [B, M, K], at each place of a map."""
    sources = layout.sources
    laid = trace.take(saliency, np.maximum(sources, 0), axis=1)
    if (sources >= 0).all():
        return laid
    is_there = as_value((sources >= 0)[None, :, None], [])
    return trace.where(is_there, laid, np.array(beside, laid.dtype) if isinstance(beside, int) else beside)
