"""What a hooked model tells of its hook, and how the hook is taken off again."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_xai.errors import AlreadyHooked, ModelError
from openvino_xai.graph.protocol import Deployed
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.surgery.gate import GATE
from openvino_xai.surgery.plan import CLASS, MAP
from openvino_xai.surgery.site import WANTED

RECORD = "ovxai"


def unhooked(deployed: Deployed) -> Deployed:
    """A twin without the hook, its outputs and its inputs. Raises ModelError."""
    record = deployed.info(RECORD)
    if "joined" in record:
        deployed = _parted(deployed, record["joined"])
    return deployed.without((MAP, CLASS, *(name for name in (GATE, WANTED) if reads(record, name))))


def _parted(deployed: Deployed, count: str) -> Deployed:
    """A twin of which no node reads copies that a hook has put in the places of tokens. Raises ModelError."""
    twin = deployed.twin()
    graph = twin.graph
    joins = [node for node in graph.nodes if node.name.startswith("ovxai/") and node.name.endswith(f"/{JOIN}")]
    taken = [(node, part) for node in joins if (part := node.operand(0).producer) is not None and part.kind == "gather"]
    edges = [(*edge, part.operand(0)) for node, part in taken for edge in graph.consumers.get(node.outputs[0], [])]
    if str(len(edges)) != count:
        raise ModelError(
            f"a hook is taken out of a model that nobody changed: {len(edges)} of its {count} joins are found by their "
            "names; insert into the original again"
        )
    for consumer, index, own in edges:
        twin.rewire(consumer, index, own.native)
    return twin


def reads(record: Mapping[str, str], name: str) -> bool:
    """Whether a hook, by its record, has an input of that name."""
    return record.get("gate") == name or (name == WANTED and record.get("targets") == "asked")


def refuse_hooked(deployed: Deployed) -> None:
    """Raise AlreadyHooked where the model carries a hook."""
    record = deployed.info(RECORD)
    if record:
        made = f"{record.get('method')} at layer '{record.get('layer')}', score {record.get('score')}"
        raise AlreadyHooked(
            f"the model carries a hook already ({made}, by ovxai {record.get('version')}): insert into the original",
            record=record,
        )
