"""The plan of a hook in a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from openvino_xai.boxes.gathering import rows_at
from openvino_xai.boxes.suppression import CANDIDATES, Detections, Threshold, suppressed
from openvino_xai.contract import BOX, CLASS, GRADIENT, INDEX, MAP, SCORE, WANTED, WANTED_INDEX
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.locate.detector import RowLocation
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.nodes import needed
from openvino_xai.plan.rows.decision import RowDecision
from openvino_xai.plan.rows.levels import ClassLevels, scaled
from openvino_xai.plan.rows.queries import PlannedQuerySite
from openvino_xai.plan.rows.returned import ListedRows
from openvino_xai.plan.rows.site import Masks, PlannedRowSite
from openvino_xai.plan.sharing import once
from openvino_xai.tail.masked import tapped
from openvino_xai.tail.rows.level_rows import Picked
from openvino_xai.tail.rows.masked import PROFILES, MaskGrid
from openvino_xai.tail.rows.pick import (
    EveryClass,
    RowsAtRunTime,
    TopBoxes,
    batch_of,
    best_of,
    probabilities,
    probabilities_of,
    wanted_rows,
)
from openvino_xai.tail.rows.queries import best_queries
from openvino_xai.tail.target import within


def plan_rows(location: RowLocation, decision: RowDecision) -> Plan:
    """The plan that explains a location as it was decided. Raises PlanError, naming the node in the way."""
    trace = Trace()
    if isinstance(decision.pick, EveryClass):
        _refuse_queries(location, decision)
        site_of_classes = ClassLevels(trace, location.table, lambda head: tapped(trace, head))
        maps = scaled(trace, decision.traits.hook(trace, site_of_classes), decision.scale)
        if maps.native is not None:  # the model's own value, which keeps its name
            maps = trace.multiply(maps, np.ones((), maps.dtype))
        return Plan(location.graph, needed(trace.nodes, [maps]), {MAP: maps})
    picked, there, outputs, inputs = _picked(trace, location, decision)
    site = _site_of(trace, location, decision, picked)
    maps = scaled(trace, decision.traits.hook(trace, site), decision.scale)
    if there is not None:
        maps = trace.where(trace.reshape(there, (*shape_of(there), 1, 1)), maps, np.zeros((), maps.dtype))
    return _plan(trace, site, {MAP: maps, **outputs}, inputs)


def _site_of(trace: Trace, location: RowLocation, decision: RowDecision, picked: Picked) -> PlannedRowSite | PlannedQuerySite:
    """The site of rows with cells, or of queries."""
    isolated = decision.isolated or decision.gate != "off"
    if location.rows.of_queries:
        return PlannedQuerySite(trace, location, picked, isolated=isolated)
    return PlannedRowSite(trace, location, picked, isolated=isolated, masks=masks_of(location, decision))


def _plan(
    trace: Trace, site: PlannedRowSite | PlannedQuerySite, outputs: Mapping[str, Value], inputs: Mapping[str, Value]
) -> Plan:
    """The plan of what a site was asked."""
    nodes, values = once(needed(trace.nodes, outputs.values()), outputs.values())
    origins = {name: (values[value], axis) for name, (value, axis) in site.origins.items() if value in values}
    last = {name: values[value] for name, value in outputs.items()}
    return Plan(site.graph, tuple(nodes), last, inputs, origins, counted=site.counted)


def _refuse_queries(location: RowLocation, decision: RowDecision) -> None:
    """Raise PlanError for maps of classes where rows have no cells to draw them in."""
    if location.rows.of_queries:
        raise PlanError(
            f"{decision.method} draws what is sure of a class cell by cell, and the rows of '{location.rows.name}' are "
            "queries, which have no cells: layer_cam and hires_cam explain their boxes",
            node=location.rows.name,
            options=("method", "targets"),
        )


def masks_of(location: RowLocation, decision: RowDecision) -> Masks | None:
    """The masks of a method that masks: over the image at the backbone, over each level's own cells at the heads."""
    if not decision.traits.masks:
        return None
    by_image = decision.cut == "backbone" or decision.grid is not None or len(location.cut) != len(location.table.levels)
    rows, columns = decision.grid or concrete(shape_of(location.cut[-1])[2:], f"layer '{location.cut[-1].name}'")
    grid = MaskGrid(rows, columns, PROFILES[decision.kernel]) if by_image else None
    return Masks(grid, decision.mask == "drop", decision.chunks)


def plan_gradients(location: RowLocation, decision: RowDecision, count: int) -> Plan:
    """The plan that returns the gradients of `count` of all rows, which inputs tell, by each layer: `gradient 0` and so on."""
    trace = Trace()
    index, label = wanted_rows(batch_of(location.rows), count, (WANTED_INDEX, WANTED))
    picked = _flat(trace, index, label)
    site = _site_of(trace, location, decision, picked)
    outputs = {f"{GRADIENT} {i}": value for i, value in enumerate(site.gradients())}
    inputs = {WANTED_INDEX: index, WANTED: label}
    return _plan(trace, site, outputs, inputs)


def plan_chosen(location: RowLocation, decision: RowDecision) -> Plan:
    """The plan that returns which rows are explained, and no maps."""
    trace = Trace()
    _, _, outputs, inputs = _picked(trace, location, decision)
    return Plan(location.graph, needed(trace.nodes, outputs.values()), outputs, inputs)


def plan_raw(location: RowLocation, decision: RowDecision, count: int) -> Plan:
    """The plan that returns the maps of `count` of all rows, which inputs tell, as the method makes them."""
    location = replace(location, rows=replace(location.rows, returned=None))
    return plan_rows(location, replace(decision, pick=RowsAtRunTime(count), scale="none"))


def selected(
    xp: Namespace, location: RowLocation, read: Mapping[str, Array], numbers: Mapping[str, Array], count: int
) -> Detections:
    """The `count` best detections of each image, of what was read for scores and for boxes. Raises PlanError without boxes."""
    rows, boxes = location.rows, location.boxes
    if boxes is None:
        raise PlanError(f"the boxes of '{rows.name}' are not known")
    decoded = boxes.decoded(xp, [numbers[name] for name in boxes.read])
    p = probabilities(xp, rows, read)
    if rows.of_queries:
        return best_queries(xp, rows, decoded, p, count)
    return suppressed(xp, decoded, p, count=count, threshold=Threshold(), background=rows.background)


def _selected_among_best(trace: Trace, location: RowLocation, count: int) -> Detections:
    """As `selected`: the rows that suppression looks at are told by the heads first, and the others are not read at all."""
    rows, boxes = location.rows, location.boxes
    best = None if rows.of_queries else best_of(trace, location.graph, rows, location.table)
    if best is None or boxes is None or rows.background is not None or rows.count <= CANDIDATES:
        return selected(trace, location, rows.read, {} if boxes is None else boxes.read, count)
    order = trace.top_k(best, CANDIDATES, axis=1)
    near = rows_at(trace, boxes.decoded(trace, list(boxes.read.values())), order)
    p = probabilities_of(trace, rows, rows.read, order)
    chosen = suppressed(trace, near, p, count=count, threshold=Threshold())
    there = trace.greater(chosen.index, np.int64(-1))
    index = trace.take_along_axis(order, trace.maximum(chosen.index, np.int64(0)), axis=1)
    return replace(chosen, index=trace.where(there, index, np.int64(-1)))


def _picked(
    trace: Trace, location: RowLocation, decision: RowDecision
) -> tuple[Picked, Value | None, dict[str, Value], Mapping[str, Value]]:
    """The rows that are explained, which of them are there, and what is returned and read of them."""
    match decision.pick:
        case RowsAtRunTime(count):
            index, label = wanted_rows(batch_of(location.rows), count, (WANTED_INDEX, WANTED))
            inputs = {WANTED_INDEX: index, WANTED: label}
            nearest, is_class = within(trace, label, location.rows.classes)
            if location.rows.returned is None or location.boxes is None:
                anchors, is_row = within(trace, index, location.rows.count)
            else:
                listed = ListedRows(trace, location.rows, location.boxes, partial(tapped, trace)).at(index)
                anchors, is_row = listed.anchors, listed.there
            is_both = trace.where(is_row, trace.astype(is_class, np.float32), np.float32(0))
            return _flat(trace, anchors, nearest), trace.greater(is_both, np.float32(0)), {}, inputs
        case TopBoxes(count) if location.boxes is not None:
            if location.rows.returned is None:
                best = _selected_among_best(trace, location, count)
                there, anchors = trace.greater(best.index, np.int64(-1)), best.index
            else:
                listed = ListedRows(trace, location.rows, location.boxes, partial(tapped, trace)).best(count)
                best, there, anchors = listed.detections, listed.there, listed.anchors
            index, label = (trace.maximum(ids, np.int64(0)) for ids in (anchors, best.classes))
            outputs = {CLASS: best.classes, INDEX: best.index, BOX: best.boxes, SCORE: best.scores}
            return _flat(trace, index, label), there, outputs, {}
        case TopBoxes():
            raise PlanError(
                f"which boxes there are is not known: the boxes of '{location.rows.name}' are not found, or have no known "
                "format; asked:D explains rows that a client names",
                node=location.rows.name,
            )
    raise PlanError(f"{decision.method} explains no rows")


def _flat(trace: Trace, index: Value, label: Value) -> Picked:
    batch, each = shape_of(index)
    assert isinstance(each, int)
    rows = (batch * each,)
    return Picked(trace.reshape(index, rows), trace.reshape(label, rows), batch, each)
