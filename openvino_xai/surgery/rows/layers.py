"""The sets of layers where the rows of a detector can be explained."""

from __future__ import annotations

from openvino_xai.contract import MAP
from openvino_xai.errors import PlanError
from openvino_xai.graph.sizes import readable
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.detector import Detector, RowLocation
from openvino_xai.operations.cost import depth, operations
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.rows.decision import DEFAULT, RowDecision
from openvino_xai.plan.rows.hook import plan_rows
from openvino_xai.surgery.layer import Layer

ROWS = "asked:8"  # of which the cost is told


def layers_of_rows(detector: Detector) -> list[Layer]:
    """The sets of a detector, that of the backbone first; one where levels do not mix. Raises LayerError for none."""
    listed: list[Layer] = []
    names: set[str] = set()
    for cut, candidate in detector.sets.items():
        if candidate.name in names:
            continue
        names.add(candidate.name)
        location = detector.located_at(candidate)
        decision = RowDecision.parse(method=None, targets=ROWS, scale="unit", cut=cut)
        try:
            plan = None if candidate.reason is not None else plan_rows(location, decision)
            listed.append(priced_set(location, plan, candidate.reason))
        except PlanError as error:
            listed.append(priced_set(location, None, str(error)))
    return listed


def priced_set(location: RowLocation, plan: Plan | None, reason: str | None = None) -> Layer:
    """A set of layers with what a plan costs there, None for none."""
    plain = max(operations(location.graph.nodes), 1)
    return Layer(
        location.layer.name,
        readable(shape_of(location.cut[0])),
        readable(location.layer.cut[0].place.grid if plan is None else shape_of(plan.outputs[MAP])[2:]),
        None if plan is None else 1 + plan.operations / plain,
        None if plan is None else plan.largest,
        reason,
        DEFAULT,
        max(depth(location.graph.nodes, [value], plain) for value in location.cut),
    )
