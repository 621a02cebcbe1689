"""A hook taken off again: the model as it was before."""

from __future__ import annotations

from openvino_xai.contract import HEAD_RECORD, RECORD
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.record.reading import names_in_file, records_of


def unhooked(deployed: Deployed) -> Deployed:
    """A twin without the hook, its outputs, its inputs and its record. Raises ModelError."""
    records, shared = records_of(deployed.graph, deployed.info), deployed.info(RECORD)
    if "joined" in shared:
        deployed = _parted(deployed, shared["joined"])
    twin = deployed.without([name for record in records for name in names_in_file(record)])
    for number in range(1, len(records) + 1):
        twin.remove_info(f"{HEAD_RECORD}{number}")
    twin.remove_info(RECORD)
    return twin


def _parted(deployed: Deployed, count: str) -> Deployed:
    """A twin of which no node reads copies that a hook has put in the places of tokens. Raises ModelError."""
    twin = deployed.twin()
    graph = twin.graph
    joins = [node for node in graph.nodes if node.name.startswith("ovxai/") and node.name.endswith(f"/{JOIN}")]
    taken = [(node, part) for node in joins if (part := node.operand(0).producer) is not None and part.kind == "gather"]
    edges = [(*edge, _of_model(part.operand(0))) for node, part in taken for edge in graph.consumers.get(node.outputs[0], [])]
    if str(len(edges)) != count:
        raise ModelError(
            f"a hook is taken out of a model that nobody changed: {len(edges)} of its {count} joins are found by their "
            "names; insert into the original again"
        )
    for consumer, index, value in edges:
        twin.rewire(consumer, index, value.native)
    return twin


def _of_model(value: Value) -> Value:
    """The value of the model that a hook reads, perhaps behind products of its own."""
    while value.producer is not None and value.producer.name.startswith("ovxai/"):
        value = value.producer.operand(0)
    return value
