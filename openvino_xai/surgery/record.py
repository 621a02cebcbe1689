"""What a hooked model tells of its hook, believed as far as the model bears it out, and how the hook is taken off again."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

import numpy as np

from openvino_xai.contract import (
    BOX,
    CLASS,
    FEATURES,
    GATE,
    INDEX,
    MAP,
    MASK,
    RECORD,
    SCORE,
    VECTOR,
    WANTED,
    WANTED_INDEX,
    check_entries,
    explains_boxes,
    listed,
    reads,
    untrue,
)
from openvino_xai.dialects.protocol import Conversion, Deployed
from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import readable, text
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.located import Location, task_of
from openvino_xai.locate.scores import find_scores
from openvino_xai.locate.tasks.vector import find_vector
from openvino_xai.surgery.decision import Decision
from openvino_xai.surgery.layer import Layer
from openvino_xai.tail.rows.pick import EveryClass, RowsAtRunTime, TopBoxes, parse_row_pick
from openvino_xai.tail.target import TopK, count_of, parse_pick, refuse_unknown
from openvino_xai.version import __version__

SHAPED = {"classes": r"\d{1,9}", "axes": "(none|[123]),[123],[123]", "pixels": r"\d{1,9}x\d{1,9}"}  # entries of regions


def entries(
    decision: Decision, location: Location, layer: Layer, splices: int, *, conversion: Conversion | None
) -> dict[str, str]:
    """What a hooked model tells of its hook, of which so many `splices` are read by the model's own nodes.

    `conversion` is how the model came to the version of its format that is written, None where its file has it.
    """
    target, candidate = decision.target(location.scores), location.layer
    record = {
        "version": __version__,
        "method": decision.method,
        "layer": candidate.name,
        **target.record(),
        "image": location.image.name,
        "scale": decision.scale,
        "plan": decision.plan,
        "grid": "x".join(map(str, readable(decision.grid))),
        "cost": f"{layer.cost:.2f}",
        "memory": str(layer.memory),
    }
    if decision.traits.score == "none":
        record["score"] = "none"
    if candidate.attends and decision.traits.masks == "tokens":
        record.update(
            residual=layer_name(candidate.cut[-1].value), kernel=decision.kernel, prefix_tokens=str(candidate.place.prefix)
        )
    if decision.channels != "all":
        record["channels"] = str(decision.channels)
    if decision.gate != "off":
        record["gate"] = GATE
    if decision.feature_vector:
        record["feature_vector"] = FEATURES
    if splices:
        record["joined"] = str(splices)
    if decision.fallback:
        record["fallback"] = ",".join(decision.fallback)
    if conversion is not None:
        record.update(conversion.entries)
    record["verified"] = ",".join(decision.runtimes) or "none"
    return record


def record_of(graph: Graph, info: Callable[[str], Mapping[str, str]], *, opaque: bool = False) -> dict[str, str]:
    """The record of a model's hook, {} where there is none: each entry can be read, and is true of the model.

    Of an `opaque` model, known from outside, the layers are not there to look at. Raises ModelError, which names the entry.
    """
    record = dict(info(RECORD))
    if not record:
        return {}
    check_entries(record)
    names = {name for node in graph.nodes for value in node.outputs for name in (node.name, value.name, layer_name(value))}
    if not opaque and not _all_there(record, "layer", names):
        raise untrue(record, "layer", "a layer of the model")
    if "image" in record:
        find_image(graph, record["image"])
    (_refuse_other_rows if explains_boxes(record) else _refuse_other_ends)(graph, record)
    return record


def _all_there(record: Mapping[str, str], key: str, names: Collection[str]) -> bool:
    """Whether an entry is one of these names, or, of a hook on a detector, several with commas between."""
    return record[key] in names or (explains_boxes(record) and all(name in names for name in listed(record[key], names)))


def _refuse_other_ends(graph: Graph, record: Mapping[str, str]) -> None:
    """Raise ModelError where inputs and outputs are not those of the hook of classes or a vector that a record tells of."""
    classes = _classes_of(graph, record)
    try:
        pick = parse_pick(record["targets"])
        refuse_unknown(pick, classes)
    except (InputError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise untrue(record, "targets", f"all, asked, top:K or ids of the {classes} classes") from error
    explained = count_of(pick, classes)
    _refuse_other(graph.outputs.get(MAP), MAP, 4, _kinds_of_maps(record), count=explained)
    if isinstance(pick, TopK):
        _refuse_other(graph.outputs.get(CLASS), CLASS, 2, (np.int64, np.int32), count=explained)
    if "feature_vector" in record:
        _refuse_other(graph.outputs.get(FEATURES), FEATURES, 2, (np.float32,), count=None)
    inputs = {value.name: value for value in graph.inputs}
    for name, (rank, kind, length) in {
        GATE: (1, np.bool_, None),
        WANTED: (1, np.int64, None),
        VECTOR: (2, np.float32, classes),
        MASK: (3, np.bool_, None),
    }.items():
        if reads(record, name):
            _refuse_other(inputs.get(name), name, rank, (kind,), count=length, counted="numbers")


def _classes_of(graph: Graph, record: Mapping[str, str]) -> int:
    """How many classes there are, or numbers of a vector. Raises ModelError where the output with the scores is not there."""
    match task_of(record):
        case "vector":
            return find_vector(graph, record["scores"]).classes
        case "classes":
            return find_scores(graph, record["scores"]).classes
    if record["scores"] not in graph.outputs:
        raise untrue(record, "scores", f"an output of the model, as {', '.join(graph.outputs)}")
    for key, expected in (
        ("classes", "the number of classes"),
        ("axes", "axes of the output"),
        ("pixels", "its height x width"),
    ):
        if key not in record or not re.fullmatch(SHAPED[key], record[key]):
            raise untrue(record, key, expected)
    return int(record["classes"])


def _refuse_other_rows(graph: Graph, record: Mapping[str, str]) -> None:
    """Raise ModelError where inputs and outputs are not those of the hook on a detector that a record tells of."""
    try:
        pick = parse_row_pick(record["targets"])
    except InputError as error:
        raise untrue(record, "targets", "boxes:D, asked:D or all") from error
    if not _all_there(record, "scores", graph.outputs):
        raise untrue(record, "scores", f"outputs of the model, as {', '.join(graph.outputs)}")
    if isinstance(pick, EveryClass):
        _refuse_other(graph.outputs.get(MAP), MAP, 4, _kinds_of_maps(record), count=int(record["classes"]))
        return
    integers, floats = (np.int64, np.int32), (np.float32,)
    expected: dict[str, tuple[int, tuple[type, ...]]] = {MAP: (4, _kinds_of_maps(record))}
    if isinstance(pick, TopBoxes):
        expected |= {CLASS: (2, integers), INDEX: (2, integers), BOX: (3, floats), SCORE: (2, floats)}
    for name, (rank, kinds) in expected.items():
        _refuse_other(graph.outputs.get(name), name, rank, kinds, count=pick.count, counted="boxes")
    if isinstance(pick, RowsAtRunTime):
        inputs = {value.name: value for value in graph.inputs}
        for name in (WANTED_INDEX, WANTED):
            _refuse_other(inputs.get(name), name, 2, (np.int64,), count=pick.count, counted="boxes")


def _kinds_of_maps(record: Mapping[str, str]) -> tuple[type, ...]:
    return (np.uint8,) if record.get("scale") == "u8" else (np.float32,)


def _refuse_other(
    value: Value | None, name: str, rank: int, kinds: tuple[type, ...], *, count: int | None, counted: str = "classes"
) -> None:
    """Raise ModelError where an input or output is not there, or of another kind than a hook's."""
    fits = value is not None and value.rank == rank and value.dtype is not None and value.dtype in map(np.dtype, kinds)
    size = None if value is None or count is None or not fits else (value.shape or ())[1]
    if not fits or (isinstance(size, int) and size != count):
        there = "there is none" if value is None else f"it is {value.dtype} {text(value.shape)}"
        wanted = f"{np.dtype(kinds[0])} of rank {rank}" + ("" if count is None else f" with {count} {counted}")
        raise ModelError(
            f"the record of the model's hook is not true: '{name}', {wanted}, is expected, and {there}: insert anew",
            node=name,
        )


def unhooked(deployed: Deployed) -> Deployed:
    """A twin without the hook, its outputs, its inputs and its record. Raises ModelError."""
    record = record_of(deployed.graph, deployed.info)
    if "joined" in record:
        deployed = _parted(deployed, record["joined"])
    outputs = (MAP, CLASS, INDEX, BOX, SCORE) if explains_boxes(record) else (MAP, CLASS)
    outputs = (*outputs, FEATURES) if "feature_vector" in record else outputs
    inputs = (name for name in (GATE, WANTED, WANTED_INDEX, VECTOR, MASK) if reads(record, name))
    twin = deployed.without((*outputs, *inputs))
    twin.remove_info(RECORD)
    return twin


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
    for consumer, index, value in edges:
        twin.rewire(consumer, index, value.native)
    return twin
