"""What a hooked model tells of its hook, believed as far as the model bears it out, and how the hook is taken off again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from openvino_xai.contract import BOX, CLASS, GATE, INDEX, MAP, RECORD, SCORE, WANTED, WANTED_INDEX
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import readable, text
from openvino_xai.graph.vocabulary import JOIN
from openvino_xai.hooks import KERNELS, METHODS, SCALES
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.located import Location
from openvino_xai.locate.scores import find_scores
from openvino_xai.surgery.decision import Decision
from openvino_xai.surgery.layers import Layer
from openvino_xai.surgery.request import PLANS, SCORES
from openvino_xai.tail.target import TopK, count_of, parse_pick, refuse_unknown
from openvino_xai.version import __version__

NEEDED = ("method", "layer", "scores", "targets")
NEEDED_OF_BOXES = ("rows", "classes")
BOXES = "boxes"  # the task of a hook on a detector: it explains rows of the model's output
WORDS = {
    "task": (BOXES,),
    "method": tuple(METHODS),
    "score": (*SCORES, "none"),
    "output": SCORES,
    "scale": tuple(SCALES),
    "plan": PLANS,
    "kernel": tuple(KERNELS),
    "gate": (GATE,),
}
FALLBACKS = {  # what a hook does at more cost, where the runtime did not take the cheaper one, by the word in its record
    "apart": "it computes again what it would have joined to the model's own nodes, of which an output changed by that",
    "one": "it explains one image where none is asked for, since the runtime cannot run it on none",
}
NUMBERS: dict[str, Callable[[str], float]] = {
    "cost": float,
    "memory": int,
    "joined": int,
    "prefix_tokens": int,
    "channels": int,
    "rows": int,
    "classes": int,
}
LARGEST = 2.0**63


def entries(decision: Decision, location: Location, layer: Layer, splices: int) -> dict[str, str]:
    """What a hooked model tells of its hook, of which so many `splices` are read by the model's own nodes."""
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
    if splices:
        record["joined"] = str(splices)
    if decision.fallback:
        record["fallback"] = ",".join(decision.fallback)
    record["verified"] = ",".join(decision.runtimes) or "none"
    return record


def record_of(graph: Graph, info: Callable[[str], Mapping[str, str]], *, opaque: bool = False) -> dict[str, str]:
    """The record of a model's hook, {} where there is none: each entry can be read, and is true of the model.

    Of an `opaque` model, known from outside, the layers are not there to look at. Raises ModelError, which names the entry.
    """
    record = dict(info(RECORD))
    if not record:
        return {}
    for key in (*NEEDED, *(NEEDED_OF_BOXES if explains_boxes(record) else ())):
        if key not in record:
            raise _untrue(record, key, "one that inserting a hook has written")
    for key, words in WORDS.items():
        if key in record and record[key] not in words:
            raise _untrue(record, key, f"one of {', '.join(words)}")
    unknown = [word for word in record.get("fallback", "").split(",") if word and word not in FALLBACKS]
    if unknown:
        raise _untrue(record, "fallback", f"any of {', '.join(FALLBACKS)}")
    for key, number in NUMBERS.items():
        if key in record and not _is_number(record[key], number):
            raise _untrue(record, key, "a number that is not negative")
    names = {name for node in graph.nodes for value in node.outputs for name in (node.name, value.name, layer_name(value))}
    layers = record["layer"].split(",") if explains_boxes(record) else [record["layer"]]
    if not opaque and not names.issuperset(layers):
        raise _untrue(record, "layer", "a layer of the model")
    if "image" in record:
        find_image(graph, record["image"])
    (_refuse_other_rows if explains_boxes(record) else _refuse_other_ends)(graph, record)
    return record


def explains_boxes(record: Mapping[str, str]) -> bool:
    """Whether a hook, by its record, is on a detector."""
    return record.get("task") == BOXES


def _is_number(word: str, number: Callable[[str], float]) -> bool:
    try:
        value = number(word)
    except (ValueError, OverflowError):
        return False
    return math.isfinite(value) and 0 <= value <= LARGEST


def _refuse_other_ends(graph: Graph, record: Mapping[str, str]) -> None:
    """Raise ModelError where inputs and outputs are not those of the hook of class scores that a record tells of."""
    classes = find_scores(graph, record["scores"]).classes
    try:
        pick = parse_pick(record["targets"])
        refuse_unknown(pick, classes)
    except (InputError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise _untrue(record, "targets", f"all, asked, top:K or ids of the {classes} classes") from error
    explained = count_of(pick, classes)
    _refuse_other(graph.outputs.get(MAP), MAP, 4, _kinds_of_maps(record), count=explained)
    if isinstance(pick, TopK):
        _refuse_other(graph.outputs.get(CLASS), CLASS, 2, (np.int64, np.int32), count=explained)
    inputs = {value.name: value for value in graph.inputs}
    for name, kind in ((GATE, np.bool_), (WANTED, np.int64)):
        if reads(record, name):
            _refuse_other(inputs.get(name), name, 1, (kind,), count=None)


def _refuse_other_rows(graph: Graph, record: Mapping[str, str]) -> None:
    """Raise ModelError where inputs and outputs are not those of the hook on a detector that a record tells of."""
    targets = re.fullmatch(r"all|asked|boxes:(?P<count>[1-9]\d{0,5})", record["targets"], re.ASCII)
    if targets is None:
        raise _untrue(record, "targets", "all, asked or boxes:D")
    if record["scores"] not in graph.outputs:
        raise _untrue(record, "scores", f"one of the outputs {', '.join(graph.outputs)}")
    if record["targets"] == "all":
        _refuse_other(graph.outputs.get(MAP), MAP, 4, _kinds_of_maps(record), count=int(record["classes"]))
        return
    count = None if targets["count"] is None else int(targets["count"])
    integers, floats = (np.int64, np.int32), (np.float32,)
    expected = {
        MAP: (4, _kinds_of_maps(record)),
        CLASS: (2, integers),
        INDEX: (2, integers),
        BOX: (3, floats),
        SCORE: (2, floats),
    }
    for name, (rank, kinds) in expected.items():
        _refuse_other(graph.outputs.get(name), name, rank, kinds, count=count, counted="boxes")
    if record["targets"] == "asked":
        inputs = {value.name: value for value in graph.inputs}
        for name in (WANTED_INDEX, WANTED):
            _refuse_other(inputs.get(name), name, 2, (np.int64,), count=None)


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


def _untrue(record: Mapping[str, str], key: str, expected: str) -> ModelError:
    there = f"is '{record[key][:80]}'" if key in record else "is not there"
    return ModelError(
        f"the record of the model's hook is not true: its entry '{key}' {there}; {expected} is expected: insert anew"
    )


def unhooked(deployed: Deployed) -> Deployed:
    """A twin without the hook, its outputs and its inputs. Raises ModelError."""
    record = record_of(deployed.graph, deployed.info)
    if "joined" in record:
        deployed = _parted(deployed, record["joined"])
    outputs = (MAP, CLASS, INDEX, BOX, SCORE) if explains_boxes(record) else (MAP, CLASS)
    return deployed.without((*outputs, *(name for name in (GATE, WANTED, WANTED_INDEX) if reads(record, name))))


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


def reads(record: Mapping[str, str], name: str) -> bool:
    """Whether a hook, by its record, has an input of that name."""
    choices = (WANTED, WANTED_INDEX) if explains_boxes(record) else (WANTED,)
    return record.get("gate") == name or (name in choices and record.get("targets") == "asked")
