"""Insert a hook into a detector: the whole way from its location to a hooked model."""

from __future__ import annotations

from dataclasses import replace

from openvino_xai.contract import BOXES, CLASS, GATE, MAP, PORTABLE, RECORD
from openvino_xai.errors import ModelError, NoneRefused, OutputsChanged, TooLarge
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.detector import Detector, RowLocation
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.rows import WAY_OUT
from openvino_xai.operations.cost import human
from openvino_xai.plan.decision import Refusal, in_turn
from openvino_xai.plan.emit import emit
from openvino_xai.plan.gate import gated
from openvino_xai.plan.portable import as_decided
from openvino_xai.plan.rows.decision import RowDecision
from openvino_xai.plan.rows.hook import masks_of, plan_rows
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.layer import Layer
from openvino_xai.surgery.record import write_spreads
from openvino_xai.surgery.rows.layers import priced_set
from openvino_xai.tail.rows.pick import EveryClass, TopBoxes
from openvino_xai.verify.rows import verify_rows
from openvino_xai.version import __version__

CHUNKS = 64  # of masks, at most: each is a copy of the nodes behind the layers
AT_ONCE = 2**26  # bytes of a value under masks, of which there are many at a time


def insert_rows(detector: Detector, decision: RowDecision, max_memory: int) -> Hooked:
    """The detector with a hook. Raises an OvxaiError that names what is in the way."""
    if detector.rows.unlisted is not None and not isinstance(decision.pick, EveryClass):
        raise ModelError(f"{detector.rows.unlisted}; {WAY_OUT}", node=detector.rows.name)
    # boxes on a list tell rows apart of which the scores are the same
    by_box = isinstance(decision.pick, TopBoxes) or (
        detector.rows.returned is not None and not isinstance(decision.pick, EveryClass)
    )
    boxes = detector.boxes(decision.boxes) if by_box else None
    location = detector.at(decision.cut, boxes)
    refusals: list[Refusal] = []
    for attempt in in_turn(decision):
        if all(attempt.avoids(refusal) for refusal in refusals):
            try:
                return _hooked(detector, location, attempt, max_memory)
            except (NoneRefused, OutputsChanged) as refusal:
                refusals.append(refusal)
    raise refusals[-1]


def _hooked(detector: Detector, location: RowLocation, decision: RowDecision, max_memory: int) -> Hooked:
    twin = detector.deployed.twin()
    here = location.within(twin.graph)
    plan = as_decided(plan_rows(here, decision), decision)
    while decision.traits.masks and decision.chunks < CHUNKS and plan.largest > min(max_memory, AT_ONCE):
        decision = replace(decision, chunks=2 * decision.chunks)
        plan = as_decided(plan_rows(here, decision), decision)
    layer = priced_set(here, plan)
    if layer.memory is not None and layer.memory > max_memory:
        raise TooLarge(
            f"a hook at layers '{location.layer.name}' makes a value of {human(layer.memory)} for every image, more than the "
            f"limit of {human(max_memory)}: fewer rows take less; a higher limit of memory allows it",
            needed=layer.memory,
            fits=None,
        )
    if decision.gate != "off":
        plan = gated(plan, shape_of(here.cut[0])[0], one_at_least=decision.gate == "one")
    emit(plan, twin, (MAP, CLASS))
    record = _entries(decision, here, layer)
    if (conversion := detector.deployed.conversion) is not None:
        record.update(conversion.entries)
    twin.set_info(RECORD, record)
    verified = None
    if decision.runtimes:
        verified = verify_rows(detector.deployed, twin, location, decision, cost=layer.cost or 1.0)
        write_spreads(twin, [record], verified)
    return Hooked(twin.reread(), [record], [layer], verified)


def _entries(decision: RowDecision, location: RowLocation, layer: Layer) -> dict[str, str]:
    """What a hooked detector tells of its hook."""
    rows = location.rows
    record = {
        "version": __version__,
        "task": BOXES,
        "method": decision.method,
        "layer": ",".join(map(layer_name, location.cut)),
        "score": rows.score if rows.of_logits else "logit",
        "scores": rows.name,
        "rows": str(rows.count if rows.returned is None else rows.returned.count or rows.count),
        "classes": str(rows.classes),
        "targets": str(decision.pick),
        "image": location.image.name,
        "scale": decision.scale,
        "grid": "x".join(map(str, layer.cells)),
        "cost": f"{layer.cost:.2f}",
        "memory": str(layer.memory),
    }
    if location.boxes is not None:
        record["boxes"] = location.boxes.format.name
    if (masks := masks_of(location, decision)) is not None:
        record["mask"] = decision.mask
        if masks.grid is not None:
            record["kernel"] = decision.kernel
    if decision.gate != "off":
        record["gate"] = GATE
    if decision.portable:
        record[PORTABLE] = "yes"
    if decision.fallback:
        record["fallback"] = ",".join(decision.fallback)
    record["verified"] = ",".join(decision.runtimes) or "none"
    return record
