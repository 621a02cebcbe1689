"""The record that a hooked model carries, written when its hook is inserted."""

from __future__ import annotations

from collections.abc import Sequence

from openvino_xai.contract import (
    ATTENTION,
    CONFIDENCE,
    FEATURES,
    GATE,
    GRADIENT,
    HEAD_RECORD,
    LAID,
    MAP,
    PART,
    PORTABLE,
    RECORD,
    REGISTERED,
)
from openvino_xai.dialects.protocol import Conversion, Deployed
from openvino_xai.graph.sizes import readable, text
from openvino_xai.hooks import METHODS
from openvino_xai.locate.layers import layer_name
from openvino_xai.plan.decision import Head
from openvino_xai.surgery.layer import Layer
from openvino_xai.verify.hook import Verified
from openvino_xai.version import __version__


def write_record(
    model: Deployed, heads: Sequence[Head], layers: Sequence[Layer], splices: int, conversion: Conversion | None
) -> list[dict[str, str]]:
    """Let a hooked model tell of its hook; what it tells of each head.

    So many `splices` are read by the model's own nodes. `conversion` is how the model came to the version of its format that is
    written, None where its file has it.
    """
    records = [entries(head, layer, conversion) for head, layer in zip(heads, layers, strict=True)]
    of_all = {"joined": str(splices)} if splices else {}
    if len(records) == 1:
        records[0].update(of_all)
        model.set_info(RECORD, records[0])
        return records
    for section, head, record in zip(_sections(len(records)), heads, records, strict=True):
        record["map"] = head.names.in_file(MAP)
        model.set_info(section, record)
    model.set_info(RECORD, {"version": __version__, "heads": str(len(records)), **of_all})
    return records


def write_spreads(model: Deployed, records: Sequence[dict[str, str]], verified: Verified) -> None:
    """Let a hooked model tell, of each head in turn, how far the cells of its maps lay apart where these were verified."""
    for section, record, sight in zip(_sections(len(records)), records, verified.sights, strict=True):
        record["spread"] = f"{sight.spread:.2g}"
        model.set_info(section, {"spread": record["spread"]})


def _sections(count: int) -> list[str]:
    """Where a model tells of each of so many heads."""
    return [RECORD] if count == 1 else [f"{HEAD_RECORD}{number}" for number in range(1, count + 1)]


def entries(head: Head, layer: Layer, conversion: Conversion | None) -> dict[str, str]:
    """What a hooked model tells of a head."""
    decision, location = head.decision, head.location
    target, candidate = decision.target(location.scores), location.layer
    record = {
        "version": __version__,
        "method": decision.method,
        "layer": candidate.name,
        **target.record(),
        "image": location.image.name,
        "scale": decision.scale,
        "plan": decision.plan,
        "grid": "x".join(map(str, readable(candidate.place.sizes or decision.grid))),
        "cost": f"{layer.cost:.2f}",
        "memory": str(layer.memory),
    }
    if (layout := location.layout(decision.grid)) is not None:
        record.update({LAID: "x".join(map(str, layout.grid)), PART: layout.text})
    if decision.traits.score == "none":
        record["score"] = "none"
    if decision.method in METHODS.added:
        record[REGISTERED] = "yes"
    if candidate.attends and decision.traits.masks == "tokens":
        record.update(
            residual=layer_name(candidate.cut[-1].value), kernel=decision.kernel, prefix_tokens=str(candidate.place.prefix)
        )
    if decision.traits.attention:
        record.update({ATTENTION: "all blocks", "prefix_tokens": str(candidate.place.prefix)})
    if decision.channels != "all":
        record["channels"] = str(decision.channels)
    if decision.gate != "off":
        record["gate"] = GATE
    if decision.feature_vector:
        record["feature_vector"] = FEATURES
    if decision.confidence:
        record["confidence"] = CONFIDENCE
    if decision.traits.of_elements is not None:
        shape = candidate.value.shape or ()
        record[GRADIENT] = text((*shape[:1], target.count, *shape[1:]))
        if decision.traits.of_elements.steps:
            record.update(steps=str(decision.steps), baseline=",".join(map(str, decision.baseline)))
    if decision.portable:
        record[PORTABLE] = "yes"
    if decision.fallback:
        record["fallback"] = ",".join(decision.fallback)
    if conversion is not None:
        record.update(conversion.entries)
    record["verified"] = ",".join(decision.runtimes) or "none"
    return record
