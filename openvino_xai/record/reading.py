"""What a hooked model tells of its hook, believed as far as the model bears it out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from openvino_xai.contract import (
    ADDED,
    BOX,
    CLASS,
    CONFIDENCE,
    FEATURES,
    GATE,
    GRADIENT,
    HEAD_RECORD,
    INDEX,
    LAID,
    LAID_AS,
    MAP,
    MASK,
    PART,
    PORTABLE,
    READ,
    RECORD,
    SCORE,
    VECTOR,
    WANTED,
    WANTED_INDEX,
    check_entries,
    check_numbers,
    explains_boxes,
    listed,
    names_of,
    reads,
    untrue,
)
from openvino_xai.errors import InputError, ModelError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import text
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import layer_name
from openvino_xai.locate.located import task_of
from openvino_xai.locate.scores import recorded_scores
from openvino_xai.locate.tasks.vector import find_vector
from openvino_xai.tail.rows.pick import EveryClass, RowsAtRunTime, TopBoxes, parse_row_pick
from openvino_xai.tail.target import Contrasts, TopK, count_of, parse_pick, refuse_unknown

SHAPED = {"classes": r"\d{1,9}", "axes": "(none|[123]),[123],[123]", "pixels": r"\d{1,9}x\d{1,9}"}  # entries of regions


def record_of(graph: Graph, info: Callable[[str], Mapping[str, str]], *, opaque: bool = False) -> dict[str, str]:
    """The record of a model's hook, {} where there is none; of several heads, what is the same for all. Raises ModelError."""
    return what_all_share(records_of(graph, info, opaque=opaque))


def what_all_share(records: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The entries that are the same in all records; {} where there are none."""
    first, *others = records or [{}]
    return {key: text for key, text in first.items() if all(other.get(key) == text for other in others)}


def record_with(records: Sequence[dict[str, str]], scores: str | None) -> dict[str, str]:
    """The record of the head with these `scores`; None is for the only one. Raises ModelError, which lists the heads."""
    for record in records:
        if scores == record["scores"] or (scores is None and len(records) == 1):
            return record
    heads = ", ".join(f"'{record['scores']}'" for record in records)
    raise ModelError(
        f"the model's hook explains {heads}: " + ("name one of them" if scores is None else f"'{scores}' is not among them"),
        node=scores,
        options=("scores",),
    )


def records_of(graph: Graph, info: Callable[[str], Mapping[str, str]], *, opaque: bool = False) -> list[dict[str, str]]:
    """The records of a model's hook, one of each head: each entry can be read, and is true of the model.

    Of an `opaque` model, known from outside, the layers are not there to look at. Raises ModelError, which names the entry.
    """
    record = dict(info(RECORD))
    if not record:
        return []
    if "heads" not in record:
        _check_record(graph, record, opaque=opaque)
        return [record]
    return _records_of_heads(graph, info, record, opaque=opaque)


def _records_of_heads(
    graph: Graph, info: Callable[[str], Mapping[str, str]], shared: Mapping[str, str], *, opaque: bool
) -> list[dict[str, str]]:
    check_numbers(shared)
    if not 2 <= int(shared["heads"]) <= len(graph.outputs):
        raise untrue(shared, "heads", "a number of outputs of the model, 2 or more")
    records = [dict(info(f"{HEAD_RECORD}{number}")) for number in range(1, int(shared["heads"]) + 1)]
    for record in records:
        if "map" not in record:
            raise untrue(record, "map", f"{MAP}_HEAD, of each of {shared['heads']} heads")
        _check_record(graph, record, opaque=opaque)
        if explains_boxes(record):
            raise untrue(record, "task", "no boxes, where there are several heads")
    for key in ("scores", "map"):
        if len({record[key] for record in records}) < len(records):
            raise untrue(records[-1], key, "another one for each head")
    return records


def _check_record(graph: Graph, record: Mapping[str, str], *, opaque: bool) -> None:
    check_entries(record)
    names = {name for node in graph.nodes for value in node.outputs for name in (node.name, value.name, layer_name(value))}
    names |= {name for value in graph.inputs for name in (value.name, *value.aliases)} if GRADIENT in record else set()
    if not opaque and not _all_there(record, "layer", names):
        raise untrue(record, "layer", "a layer of the model")
    if "image" in record:
        find_image(graph, record["image"], planar=False)
    (_refuse_other_rows if explains_boxes(record) else _refuse_other_ends)(graph, record)


def _all_there(record: Mapping[str, str], key: str, names: Collection[str]) -> bool:
    """Whether an entry is one of these names, or, of a hook on several branches or levels, several with commas between."""
    return record[key] in names or all(name in names for name in listed(record[key], names))


def _refuse_other_ends(graph: Graph, record: Mapping[str, str]) -> None:
    """Raise ModelError where inputs and outputs are not those of the hook of classes or a vector that a record tells of."""
    classes = _classes_of(graph, record)
    try:
        pick = parse_pick(record["targets"])
        refuse_unknown(pick, classes)
        if isinstance(pick, Contrasts) and task_of(record) != "classes":
            raise InputError(f"'{pick}' contrast classes of images")
    except (InputError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise untrue(record, "targets", f"all, asked, top:K, ids of the {classes} classes, or pairs of them") from error
    explained, names = count_of(pick, classes), names_of(record)
    rank = next((value.rank for value in graph.inputs if value.name == record.get("image")), None) or 4  # as of its image
    expected: dict[str, tuple[int, tuple[type, ...], int | None]] = {MAP: (rank, _kinds_of_maps(record), explained)}
    if isinstance(pick, TopK):
        expected[CLASS] = 2, (np.float32,) if PORTABLE in record else (np.int64, np.int32), explained
    if "feature_vector" in record:
        expected[FEATURES] = 2, (np.float32,), None
    if "confidence" in record:
        expected[CONFIDENCE] = rank, (np.float32,), explained
    if GRADIENT in record:
        expected[GRADIENT] = 5, (np.float32,), explained
    _refuse_other_layout(graph.outputs.get(names.in_file(MAP)), record)
    for name, (rank, kinds, count) in names.of_file(expected).items():
        _refuse_other(graph.outputs.get(name), name, rank, kinds, count=count)
    inputs = {value.name: value for value in graph.inputs}
    for name, (rank, kind, length) in {
        GATE: (1, np.bool_, None),
        WANTED: (1, np.int64, None),
        VECTOR: (2, np.float32, classes),
        MASK: (3, np.bool_, None),
    }.items():
        if reads(record, name):
            there = names.in_file(name)
            _refuse_other(inputs.get(there), there, rank, (kind,), count=length, counted="numbers")


def _refuse_other_layout(maps: Value | None, record: Mapping[str, str]) -> None:
    """Raise ModelError where maps have other rows and columns than those that a record lays them out on."""
    for key, pattern in LAID_AS.items():
        if (LAID in record or PART in record) and not re.fullmatch(pattern, record.get(key, "")):
            raise untrue(record, key, "rows x columns of maps" if key == LAID else "FIRST:LAST,FIRST:LAST of rows and columns")
    if LAID in record and maps is not None and maps.rank == 4:
        pairs = zip((maps.shape or ())[2:], record[LAID].split("x"), strict=True)
        if any(isinstance(size, int) and str(size) != number for size, number in pairs):
            raise untrue(record, LAID, f"the rows x columns of '{maps.name}' {text(maps.shape)}")


def _classes_of(graph: Graph, record: Mapping[str, str]) -> int:
    """How many classes there are, or numbers of a vector. Raises ModelError where the output with the scores is not there."""
    match task_of(record):
        case "vector":
            return find_vector(graph, record["scores"]).classes
        case "classes":
            try:
                return recorded_scores(graph, record).classes
            except ValueError as error:
                raise untrue(record, "levels", "STEP,ZERO of an output of so many classes") from error
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


def names_in_file(record: Mapping[str, str]) -> list[str]:
    """The names of the outputs and inputs that a hook may have for a head, by its record, as they are in the file."""
    beside = {INDEX, BOX, SCORE} if not explains_boxes(record) else set()
    beside |= {FEATURES} if "feature_vector" not in record else set()
    beside |= {CONFIDENCE} if "confidence" not in record else set()
    beside |= {GRADIENT} if GRADIENT not in record else set()
    ours = [*(name for name in ADDED if name not in beside), *(name for name in READ if reads(record, name))]
    return [names_of(record).in_file(name) for name in ours]
