"""What clients see: the names of a hooked model's inputs and outputs, and the record in which it tells of its hook."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, get_args

import numpy as np

from openvino_xai.errors import InputError, ModelError
from openvino_xai.hooks import KERNELS, METHODS, SCALES
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.words import LikenessWord, MaskWord, PlanWord, ScaleWord, ScoreWord

MAP = "saliency_map"  # [B, K, H, W]; Model API reads it by this name
CLASS = "saliency_class"  # [B, K]: which classes the maps of `top:K` are of
CLASS_SCORES = "class_scores"  # [B, K]: the scores of a model whose own outputs only rank them
FEATURES = "feature_vector"  # [B, C]: the mean over the cells of the layer; Model API reads it by this name
INDEX = "saliency_index"  # [B, D], i64: which rows of a detector's own output the maps are of; -1 where there are fewer
BOX = "saliency_box"  # [B, D, 4]: x0 y0 x1 y1 of these rows, in pixels of the model's input
SCORE = "saliency_score"  # [B, D]: their probabilities
CONFIDENCE = "saliency_confidence"  # [B, K, H, W] in [0, 1]: how steady each cell of a map is under small noise
GRADIENT = "gradient"  # [B, K, ...]: what a method tells of each element of the image, in the axes that the input has
GATE = "explain"  # an input [B], boolean: which images are explained
WANTED = "explain_class"  # an input [B], i64: the class that is explained of each image
WANTED_INDEX = "explain_index"  # an input [B, D], i64: the rows of a detector that are explained of each image
VECTOR = "explain_vector"  # an input [B, E], f32: the vector that the model's own is likened to, of each image
MASK = "explain_mask"  # an input [B, H, W], boolean: the pixels whose class is explained of each image
VECTOR_TARGETS = "vector"  # what the targets of a hook are called that explains a likeness
RECORD = "ovxai"  # the section of a model's own data where its hook is described
HEAD_RECORD = "ovxai_head_"  # and where it explains several heads, the sections of these: HEAD_RECORD1 and so on
OF_EACH_HEAD = (MAP, CLASS, CONFIDENCE, GRADIENT, WANTED, VECTOR, MASK)  # what a hook of several heads has for each of them
ADDED = (MAP, CLASS, INDEX, BOX, SCORE, FEATURES, CONFIDENCE, GRADIENT)  # outputs of a hook
READ = (GATE, WANTED, WANTED_INDEX, VECTOR, MASK)  # inputs of a hook

Score: TypeAlias = ScoreWord
Scale: TypeAlias = ScaleWord
PlanKind: TypeAlias = PlanWord
Measure: TypeAlias = LikenessWord
MaskKind: TypeAlias = MaskWord

SCORES = get_args(Score)
MEASURES = get_args(Measure)
PLANS = get_args(PlanKind)
FALLBACKS = {  # what a hook does at more cost, where the runtime did not take the cheaper one, by the word in its record
    "apart": "it computes again what it would have joined to the model's own nodes, as an output changed, or heads differ",
    "one": "it explains one image where none is asked for, since the runtime cannot run it on none",
}

BOXES = "boxes"  # the task of a hook on a detector: it explains rows of the model's output
REGIONS = "regions"  # the task of a hook on a model that tells a class of each pixel
REGISTERED = "registered"  # an entry of the hook of a method that is not this package's
ATTENTION = "attention"  # an entry of a hook that looks at all attention blocks, of which its layer is the first
PORTABLE = "portable"  # an entry of a hook without the operations that small runtimes lack: what it returns is all f32
LAID = "laid"  # an entry of a hook on cells that are parts of a crop, or a canvas: the rows x columns of its maps of the image
PART = "part"  # and the rows and columns that the cells of its grid go over, FIRST:LAST,FIRST:LAST; both may lie off the map
LAID_AS = {LAID: r"[1-9]\d{0,8}x[1-9]\d{0,8}", PART: r"-?\d{1,9}:-?\d{1,9},-?\d{1,9}:-?\d{1,9}"}
OWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
NEEDED = ("method", "layer", "scores", "targets")
NEEDED_OF_BOXES = ("rows", "classes")
WORDS = {
    "task": (BOXES, REGIONS, VECTOR_TARGETS),
    "score": (*SCORES, *MEASURES, "none"),
    "output": SCORES,
    "scale": tuple(SCALES),
    "plan": PLANS,
    "mask": get_args(MaskKind),
    "kernel": tuple(KERNELS),
    "gate": (GATE,),
    "feature_vector": (FEATURES,),
    "confidence": (CONFIDENCE,),
    REGISTERED: ("yes",),
    "written_as": ("QDQ",),
    PORTABLE: ("yes",),
    ATTENTION: ("all blocks",),
}
NUMBERS: dict[str, Callable[[str], float]] = {
    "cost": float,
    "memory": int,
    "joined": int,
    "prefix_tokens": int,
    "channels": int,
    "rows": int,
    "classes": int,
    "converted_from": int,
    "converted_to": int,
    "heads": int,
    "steps": int,
    "spread": float,
}
LARGEST = 2.0**63
T = TypeVar("T")
LONGEST_NAME = 200  # characters of what names a head


@dataclass(frozen=True)
class Names:
    """How a hook's inputs and outputs are called in a file: where it explains several heads, the `head` is behind each."""

    head: str = ""

    def in_file(self, name: str) -> str:
        """What the file calls an input or output of this head."""
        return f"{name}_{self.head}" if self.head and name in OF_EACH_HEAD else name

    def of_file(self, items: Mapping[str, T]) -> dict[str, T]:
        """Items of this head, by the names that the file has for them."""
        return {self.in_file(name): item for name, item in items.items()}

    def of_head(self, items: Mapping[str, T]) -> dict[str, T]:
        """Items of a file, by the names that they have where there is one head alone; those that others have are left out."""
        if not self.head:
            return dict(items)
        theirs = {name: items[self.in_file(name)] for name in OF_EACH_HEAD if self.in_file(name) in items}
        return {name: item for name, item in items.items() if name not in OF_EACH_HEAD} | theirs


ALONE = Names()  # of a hook of one head


def names_of_heads(scores: Sequence[str]) -> list[Names]:
    """The names of heads, by those of their scores; of a single head, those that there are without any.

    Letters, digits, `_`, `-` and `.` stay, anything else becomes `_`: names go into configurations of servers and to terminals.
    Raises InputError where nothing is left of a name, and where two become the same.
    """
    if len(scores) == 1:
        return [ALONE]
    names: list[Names] = []
    outputs: dict[str, str] = {}  # by names, as a file system without capitals tells them apart
    for output in scores:
        name = re.sub(r"[^\w.-]+", "_", output).strip("_")
        key = unicodedata.normalize("NFC", name).casefold()
        if not name or len(name) > LONGEST_NAME:
            raise InputError(
                f"output {output[:80]!a} cannot name maps: 1 to {LONGEST_NAME} letters and digits are expected; rename it, or "
                "explain it in a file of its own",
                options=("scores",),
            )
        if outputs.get(key) == output:
            raise InputError(f"output {output!a} is named twice: once is enough", options=("scores",))
        if key in outputs:
            raise InputError(
                f"outputs {outputs[key]!a} and {output!a} would both name maps '{MAP}_{name}': rename one of them, or explain "
                "them in two files",
                options=("scores",),
            )
        outputs[key] = output
        names.append(Names(name))
    return names


def nothing(name: str) -> int:
    """What an output of a hook, as a file calls it, holds where nothing is explained: -1 for rows and classes, else 0."""
    return -1 if name in (INDEX, CLASS) or name.startswith(f"{CLASS}_") else 0


def names_of(record: Mapping[str, str]) -> Names:
    """The names of the head that a record is of."""
    return Names(record.get("map", MAP)[len(MAP) + 1 :])


def refuse_names(names: Iterable[str], there: Collection[str]) -> None:
    """Raise ModelError where a model has one of the names that a hook adds."""
    for name in names:
        if name in there:
            raise ModelError(
                f"the model has '{name}' already, and a hook adds an input or output of that name: rename it in the model, or "
                "export it without",
                node=name,
            )


def listed(text: str, among: Collection[str]) -> list[str]:
    """The names that a text lists with commas between. A name may hold commas, too: the longest that is `among` others counts.

    What is not among them is returned as it stands between two commas.
    """
    parts, names = text.split(","), []
    most = 1 + max((name.count(",") for name in among), default=0)
    while parts:
        for length in range(min(most, len(parts)), 0, -1):
            joined = ",".join(parts[:length])
            name = joined if joined in among else joined.strip()
            if name in among or length == 1:
                names.append(name)
                parts = parts[length:]
                break
    return names


def check_entries(record: Mapping[str, str]) -> None:
    """Raise ModelError, which names the entry, where a record is none that inserting a hook has written."""
    of_boxes = explains_boxes(record)
    for key in (*NEEDED, *(NEEDED_OF_BOXES if of_boxes else ())):
        if key not in record:
            raise untrue(record, key, "one that inserting a hook has written")
    methods: Collection[str] = ROW_METHODS if of_boxes else METHODS
    vocabulary: dict[str, Collection[str]] = {"method": methods, **WORDS}
    if not of_boxes and REGISTERED in record and OWN_NAME.fullmatch(record["method"]):
        del vocabulary["method"]  # who reads the file need not have it: its maps are nodes of the file
    for key, words in vocabulary.items():
        if key in record and record[key] not in words:
            raise untrue(record, key, f"one of {', '.join(words)}")
    if "map" in record and not record["map"].startswith(f"{MAP}_"):
        raise untrue(record, "map", f"{MAP}_HEAD")
    unknown = [word for word in record.get("fallback", "").split(",") if word and word not in FALLBACKS]
    if unknown:
        raise untrue(record, "fallback", f"any of {', '.join(FALLBACKS)}")
    check_numbers(record)


def check_numbers(record: Mapping[str, str]) -> None:
    """Raise ModelError, which names the entry, where a number of a record is none."""
    for key, number in NUMBERS.items():
        if key in record and not _is_number(record[key], number):
            raise untrue(record, key, "a number that is not negative")


def _is_number(word: str, number: Callable[[str], float]) -> bool:
    try:
        value = number(word)
    except (ValueError, OverflowError):
        return False
    return math.isfinite(value) and 0 <= value <= LARGEST


def untrue(record: Mapping[str, str], key: str, expected: str) -> ModelError:
    """What is said of an entry that is not what is expected of it."""
    there = f"is '{record[key][:80]}'" if key in record else "is not there"
    return ModelError(
        f"the record of the model's hook is not true: its entry '{key}' {there}; {expected} is expected: insert anew"
    )


def _cells_along(record: Mapping[str, str], shape: Sequence[int]) -> list[np.ndarray] | None:
    """Of rows and of columns, where on a map of this shape the cells of the hook begin, and the last ends, in order.

    None where each place of the map is a cell, or the record tells of other maps.
    """
    laid, parts = (re.fullmatch(pattern, str(record.get(key, ""))) for key, pattern in LAID_AS.items())
    grid = re.fullmatch(r"(\d{1,6})x(\d{1,6})", str(record.get("grid", "")))
    if laid is None or parts is None or grid is None or laid[0] != "x".join(map(str, shape)):
        return None
    edges = []
    for length, part, cells in zip(shape, parts[0].split(","), map(int, grid.groups()), strict=True):
        first, last = map(int, part.split(":"))
        if not cells or last <= max(first, 0) or first >= length or (last - first) % cells:
            return None
        edges.append(first + (last - first) // cells * np.arange(cells + 1))
    return edges


def cells_shown(record: Mapping[str, str], saliency: np.ndarray) -> np.ndarray:
    """[h, w]: of a map [H, W], a value of each cell of the layer that it shows, by the record of its hook.

    The map itself where each of its places is a cell.
    """
    edges = _cells_along(record, saliency.shape)
    if edges is None:
        return saliency
    begins = [np.maximum(ends[:-1], 0)[_shown(ends, size)] for ends, size in zip(edges, saliency.shape, strict=True)]
    return saliency[np.ix_(*begins)]


def cells_at(record: Mapping[str, str], shape: Sequence[int], size: Sequence[int]) -> list[np.ndarray] | None:
    """Which of the cells that a map of this shape shows each row, and each column, of an image of a `size` has; -1 for none.

    None where each place of the map is a cell.
    """
    edges = _cells_along(record, shape)
    if edges is None:
        return None
    sides = []
    for ends, length, pixels in zip(edges, shape, size, strict=True):
        places = (np.arange(pixels) + 0.5) * length / pixels
        cells = np.searchsorted(ends, places, side="right") - 1
        first = np.flatnonzero(_shown(ends, length))[0]
        sides.append(np.where((cells >= 0) & (cells < len(ends) - 1), cells - first, -1))
    return sides


def _shown(ends: np.ndarray, length: int) -> np.ndarray:
    """[cells], bool: which of the cells between such ends a map of so many places shows."""
    return np.asarray((ends[1:] > 0) & (ends[:-1] < length))


def explains_boxes(record: Mapping[str, str]) -> bool:
    """Whether a hook, by its record, is on a detector."""
    return record.get("task") == BOXES


def reads(record: Mapping[str, str], name: str) -> bool:
    """Whether a hook, by its record, has an input of that name."""
    targets = record.get("targets", "").partition(":")[0]
    beside_classes = {BOXES: (WANTED, WANTED_INDEX), REGIONS: (WANTED, MASK)}
    by_targets = {"asked": beside_classes.get(record.get("task", ""), (WANTED,)), VECTOR_TARGETS: (VECTOR,)}
    return record.get("gate") == name or name in by_targets.get(targets, ())
