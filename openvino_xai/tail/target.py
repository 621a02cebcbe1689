"""What is explained: which of a model's scores, where they are read, and what squashes them.

A `Target` answers whoever needs to know: the forward way (`scores_of`), reverse mode (`adjoint`), class slicing
(`slice`), the reference in NumPy (`reference`), the record, and the second axis of maps. Which scores are explained is a
`Pick`, one of a few small records. A `Selection` is a pick once a graph says where it comes from.

A task is a target in a file of its own: classes here, others in `tasks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.contract import CLASS, VECTOR_TARGETS, WANTED, Measure
from openvino_xai.errors import InputError
from openvino_xai.graph.model import Value
from openvino_xai.graph.ranking import best
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.graph.vocabulary import Array, Namespace, numpy_namespace
from openvino_xai.locate.scores import Scores
from openvino_xai.operations.families.norms import of_softmax

Score: TypeAlias = Literal["softmax", "sigmoid", "logit"]
Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class All:
    """Every class."""

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True)
class Ids:
    """The classes with these ids, in this order."""

    ids: tuple[int, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.ids))


@dataclass(frozen=True)
class TopK:
    """The `k` most probable classes of each image, the most probable first."""

    k: int

    def __str__(self) -> str:
        return f"top:{self.k}"


@dataclass(frozen=True)
class Contrasts:
    """Differences of two classes each, of the score of the first less that of the second, by their ids."""

    pairs: tuple[Pair, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """The classes that are in any, each once."""
        return tuple(dict.fromkeys(k for pair in self.pairs for k in pair))

    def __str__(self) -> str:
        return ",".join(f"{first}-{second}" for first, second in self.pairs)


@dataclass(frozen=True)
class AtRunTime:
    """One class of each image, which an input tells."""

    def __str__(self) -> str:
        return "asked"


@dataclass(frozen=True)
class Likeness:
    """The likeness of the model's vector to one of each image, which an input tells."""

    measure: Measure = "cosine"

    def __str__(self) -> str:
        return VECTOR_TARGETS


Pick: TypeAlias = "All | Ids | Contrasts | TopK | AtRunTime | Likeness"
Targets: TypeAlias = "str | int | Sequence[int] | Sequence[Pair] | Pick"
CONTRAST = r"\d{1,9}-\d{1,9}"
NAMED: dict[str, Pick] = {str(pick): pick for pick in (All(), AtRunTime(), Likeness())}


def parse_pick(targets: Targets) -> Pick:
    """A pick from `all`, `top:K`, `asked`, `vector`, `ID,ID,...`, `ID-ID,...`, or the ids or pairs. Raises InputError."""
    if isinstance(targets, (All, Ids, Contrasts, TopK, AtRunTime, Likeness)):
        return targets
    if isinstance(targets, str):
        if targets in NAMED:
            return NAMED[targets]
        if match := re.fullmatch(r"top:([1-9]\d{0,8})", targets, re.ASCII):
            return TopK(int(match[1]))
        if re.fullmatch(rf"{CONTRAST}(,{CONTRAST})*", targets, re.ASCII):
            return contrasts_of([tuple(map(int, pair.split("-"))) for pair in targets.split(",")])
        if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", targets, re.ASCII):
            is_mixed = re.fullmatch(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", targets, re.ASCII)
            mixed = ": contrasts and single classes are explained in turn" if is_mixed else ""
            raise InputError(
                f"targets {quoted(targets)} are not understood: all, top:K, asked, vector, ID,ID,... or ID-ID,ID-ID,... is "
                f"expected{mixed}"
            )
        targets = [int(item) for item in targets.split(",")]
    elements: object = (targets,) if isinstance(targets, Integral) else targets
    is_list = isinstance(elements, (list, tuple, range)) or (isinstance(elements, np.ndarray) and elements.ndim == 1)
    if isinstance(elements, (list, tuple)) and elements and all(isinstance(pair, tuple) for pair in elements):
        return contrasts_of(elements)
    if not is_list or not all(map(_is_id, elements)):  # type: ignore[call-overload]
        raise InputError(f"targets are {quoted(targets)}: ids, all, top:K, asked or vector are expected", options=("targets",))
    ids = tuple(int(k) for k in elements)  # type: ignore[attr-defined]
    if len(set(ids)) != len(ids) or not ids:
        raise InputError(f"targets {quoted(list(ids))} name a class twice or none at all")
    return Ids(ids)


def contrasts_of(pairs: Sequence[Sequence[object]]) -> Contrasts:
    """Contrasts of pairs of ids. Raises InputError for what is no pair of two classes, and for one that is there twice."""
    for pair in pairs:
        if len(pair) != 2 or not all(map(_is_id, pair)):
            raise InputError(f"{quoted(pair)} is no contrast: a pair (ID, ID) of two classes is expected", options=("targets",))
        if pair[0] == pair[1]:
            raise InputError(
                f"targets '{pair[0]}-{pair[1]}' take a class from itself, which leaves nothing: two classes are expected",
                options=("targets",),
            )
    contrasts = Contrasts(tuple((int(cast(int, first)), int(cast(int, second))) for first, second in pairs))
    if len(set(contrasts.pairs)) < len(pairs):
        raise InputError(f"targets '{contrasts}' name a contrast twice", options=("targets",))
    return contrasts


def _is_id(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def refuse_unknown(pick: Pick, classes: int, whose: str = "the model") -> None:
    """Raise InputError where a pick names a class that is not among the `classes` of a model or head, or more of them."""
    unknown = [index for index in pick.ids if not 0 <= index < classes] if isinstance(pick, (Ids, Contrasts)) else []
    if unknown:
        there = f"{classes} classes, 0 to {classes - 1}" if classes > 1 else "a single class, 0"
        raise InputError(f"class {unknown[0]} is not there: {whose} has {there}")
    if isinstance(pick, TopK) and pick.k > classes:
        raise InputError(f"top:{pick.k} asks for more classes than the {classes} that {whose} has")


def count_of(pick: Pick, classes: int) -> int:
    """T, the number of classes that are explained of each image."""
    match pick:
        case All():
            return classes
        case Ids(ids):
            return len(ids)
        case Contrasts(pairs):
            return len(pairs)
        case TopK(k):
            return k
        case AtRunTime() | Likeness():
            return 1


def ids_of(pick: Pick) -> tuple[int, ...] | None:
    """The classes of maps, in their order; None where all have one, or only a run tells. Raises InputError for contrasts."""
    if isinstance(pick, Contrasts):
        raise InputError(
            f"the hook explains contrasts of classes, {pick}, and this is for maps of single classes: take a model whose hook "
            "explains classes",
            options=("targets",),
        )
    return pick.ids if isinstance(pick, Ids) else None


class Selection(Protocol):
    """What a pick comes to in a graph, for each image of a batch."""

    @property
    def count(self) -> int:
        """K, of each image."""

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The inputs that tell it, where a run does, by name."""

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Selection:
        """The same for a number of copies of each image."""

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[B * K, ...]: the derivative of each score by the end's value, before anything squashes it."""


class Target(Protocol):
    """Which scores of a model are explained, and what each of those who compute with them needs to know."""

    @property
    def scores(self) -> Scores:
        """What is read of the model."""

    @property
    def read(self) -> Value:
        """The value that holds what is explained: the end of the tail."""

    @property
    def scale(self) -> str:
        """What a score is at last, as `logit` or `cosine`."""

    @property
    def count(self) -> int:
        """K, the length of the second axis of maps."""

    def as_probability(self) -> Target:
        """The same, on a scale that images which cover each other share."""

    def record(self) -> dict[str, str]:
        """What a hook's record tells of it."""

    def selection(self, xp: Trace, batch: Size) -> Selection:
        """Where what it picks comes from, for `batch` images."""

    def outputs(self, xp: Trace, selection: Any) -> dict[str, Value]:
        """The outputs that tell what maps are of, where no client knows it."""

    def slice(self, selection: Any) -> Columns | None:
        """The columns that a tail may compute alone; None where it needs all, or all are explained."""

    def scores_of(self, xp: Trace, y: Value, selection: Any, sizes: tuple[Size, Size], *, is_slice: bool = False) -> Value:
        """[B, N, K], f32: the scores of the end's value [B * N, ...], or of a slice; `sizes` are (B, N)."""

    @property
    def squash(self) -> str:
        """What has yet to squash the value that is read, which `adjoint` differentiates: `logit` for nothing."""

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """[R, ...]: the derivative by the end's value `y`, where `g` is the derivative ahead of what squashes it."""

    def reference(self, y: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, J], f64: the scores of all J that could be picked, of what a run returned as the end's value [B, ...].

        `beside` has what the hook reads beside the image, as `examples` gives it, and what the plain model returns.
        """

    def examples(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What a hook may be given beside images to verify it, by the names of inputs, for the `outputs` of the plain model."""

    def explained(
        self, outputs: Mapping[str, np.ndarray], hooked: Mapping[str, np.ndarray], beside: Mapping[str, np.ndarray]
    ) -> list[list[tuple[int, int]]]:
        """For each image the maps as (index, column of the reference), those ahead that matter most.

        `outputs` are the plain model's, `hooked` those with the maps, and `beside` what the hook reads beside the image.
        """

    def alone(self, columns: Sequence[int]) -> Pick:
        """A pick of some columns of the reference, in this order."""

    def terms(self, column: int) -> Sequence[int]:
        """The columns of the reference that a column is the sum or difference of: rounding and steps are as large as they."""


def within(xp: Namespace, ids: Array, count: int) -> tuple[Array, Array]:
    """Ids as the nearest of 0 to `count` - 1, and whether they are those: what is not there has a map of zeros."""
    nearest = xp.minimum(xp.maximum(ids, np.int64(0)), np.int64(count - 1))
    return nearest, xp.equal(nearest, ids)


@dataclass(frozen=True, eq=False)
class Columns:
    """T of `total` columns of scores: `ids` [T], the same for all images; [B, T], for each image its own; None is all.

    `input` is that which tells them, where a run does.
    """

    total: int
    ids: Array = None
    input: Value | None = None

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The input, by its name."""
        return {} if self.input is None else {WANTED: self.input}

    @property
    def count(self) -> int:
        """T."""
        if self.ids is None:
            return self.total
        count = self.ids.shape[-1]
        assert isinstance(count, int)
        return count

    @property
    def of_each_image(self) -> bool:
        """Whether each image has its own."""
        return self.ids is not None and len(self.ids.shape) == 2

    @property
    def shared(self) -> np.ndarray:
        """[T], or [total] where each image has its own: the columns that matter as long as no image does."""
        return np.arange(self.total) if self.ids is None or self.of_each_image else np.asarray(self.ids)

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Columns:
        """These columns for a number of copies of each image, [B * copies, T] where each image has its own."""
        if not self.of_each_image or copies == 1:
            return self
        spread = xp.broadcast_to(xp.reshape(self.ids, (batch, 1, self.count)), (batch, copies, self.count))
        return replace(self, ids=xp.reshape(spread, (batch * copies, self.count)))

    def taken(self, xp: Trace, scores: Value) -> Value:
        """[B, N, T], of `scores` [B, N, total]."""
        if self.ids is None:
            return scores
        if not self.of_each_image:
            return xp.take(scores, self.ids, axis=2)
        batch, copies, _ = shape_of(scores)
        spread = xp.reshape(self.ids, (batch, 1, self.count))
        return xp.take_along_axis(scores, xp.broadcast_to(spread, (batch, copies, self.count)), axis=2)

    def seed(self, xp: Trace, dtype: Any) -> Value:
        """[T, total], or [total, total] where each image has its own: 1 at the column itself, computed and not stored."""
        # stored, the identity of 1000 classes would add 4 MB to the file
        return xp.astype(xp.equal(self.shared.reshape(-1, 1), np.arange(self.total)), dtype)

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[B * T, total]: 1 at each row's own column, where each image has its own."""
        return xp.astype(xp.equal(xp.reshape(self.ids, (rows, 1)), np.arange(self.total)), dtype)


@dataclass(frozen=True, eq=False)
class Sums:
    """K sums of scores of each image, weighed by `seeds` [B, K, total]."""

    seeds: Value
    inputs: Mapping[str, Value]

    @property
    def count(self) -> int:
        """K."""
        count = shape_of(self.seeds)[1]
        assert isinstance(count, int)
        return count

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Sums:
        """These sums; nobody asks for them at copies of an image."""
        assert copies == 1
        return self

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[B * K, total]"""
        return xp.astype(xp.reshape(self.seeds, (rows, shape_of(self.seeds)[2])), dtype)


@dataclass(frozen=True, eq=False)
class ClassTarget:
    """`pick` of the `scores` of a model, each read as `score` says."""

    scores: Scores
    pick: Pick
    score: Score

    @classmethod
    def of(cls, scores: Scores, pick: Pick, score: Score) -> ClassTarget:
        """The target; of a single class, a softmax would always be 1, and it is read through a sigmoid."""
        return cls(scores, pick, "sigmoid" if scores.classes == 1 and score == "softmax" else score)

    @property
    def read(self) -> Value:
        """The value that holds what is explained: the end of the tail."""
        return self.scores.read_at(self.score)

    @property
    def squash(self) -> Score:
        """What has yet to squash the value that is read: `logit` for nothing, as where the model does it."""
        return cast(Score, self.scores.squash_of(self.score))

    @property
    def scale(self) -> str:
        """What a score is at last, by whatever squashed it."""
        if self.scores.scale == "logit" or (self.score == "logit" and self.scores.activation is not None):
            return self.score
        return self.scores.scale

    @property
    def count(self) -> int:
        """T, the length of the second axis of maps."""
        return count_of(self.pick, self.scores.classes)

    def as_probability(self) -> ClassTarget:
        """The same classes, read as probabilities."""
        return ClassTarget.of(self.scores, self.pick, "sigmoid" if self.score == "sigmoid" else "softmax")

    def record(self) -> dict[str, str]:
        """What a hook's record tells of it."""
        scores = {"score": self.scale, "scores": self.scores.name, "output": self.scores.scale}
        return {**scores, **self.scores.form, "targets": str(self.pick)}

    def selection(self, xp: Trace, batch: Size) -> Columns:
        """Where the ids of its classes come from, for `batch` images."""
        classes = self.scores.classes
        match self.pick:
            case All():
                return Columns(classes)
            case Ids(ids):
                return Columns(classes, np.array(ids, np.int64))
            case TopK(k):
                value = self.scores.value  # as the model returns them: a softmax or a sigmoid keeps the order of logits
                return Columns(classes, best(xp, xp.reshape(value, (shape_of(value)[0], classes)), k))
            case AtRunTime():
                column = Value(WANTED, (batch,), np.dtype(np.int64))
                return Columns(classes, xp.reshape(within(xp, column, classes)[0], (batch, 1)), column)
            case Likeness() | Contrasts():
                raise InputError(
                    f"'{self.scores.name}' is read as class scores, and targets are '{self.pick}': classes are expected"
                )

    def outputs(self, xp: Trace, columns: Columns) -> dict[str, Value]:
        """The output that tells the classes of maps, where no client knows them."""
        return {CLASS: columns.ids} if isinstance(self.pick, TopK) else {}

    def slice(self, columns: Columns) -> Columns | None:
        """The columns that a tail may compute alone; None where it needs all, or all are asked for."""
        # a softmax divides by the sum over all classes, so it needs the logits of all
        return None if self.squash == "softmax" or columns.ids is None else columns

    def scores_of(self, xp: Trace, y: Value, columns: Columns, sizes: tuple[Size, Size], *, is_slice: bool = False) -> Value:
        """[B, N, T], f32: the scores of the end's value [B * N, total, ...], or of a slice [B * N, T, ...].

        `sizes` are (B, N).
        """
        total = columns.count if is_slice else columns.total
        # in f32 whatever the model has: near 1, f16 steps by 5e-4, and two masks often differ by less
        scores = _squashed(xp, xp.reshape(xp.astype(y, np.float32), (*sizes, total)), self.squash, axis=2)
        return scores if is_slice else columns.taken(xp, scores)

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """[R, total, ...]: the derivative by the end's value `y`, of scores s of which the derivative is `g`.

        That is s (g - sum(g s)) for a softmax, g s (1 - s) for a sigmoid, and g for logits.
        """
        match self.squash:
            case "softmax":
                return of_softmax(xp, xp.softmax(y, axis=1), g, (1,))
            case "sigmoid":
                # ds/dy = s (1 - s)
                s = xp.sigmoid(y)
                return xp.multiply(g, xp.multiply(s, xp.subtract(np.ones((), g.dtype), s)))
            case "logit":
                return g

    def reference(self, y: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, K], f64: the scores of all classes of what a run returned as the end's value [B, K, ...]."""
        flat = y.astype(np.float64).reshape(-1, self.scores.classes)
        return np.asarray(_squashed(numpy_namespace(), flat, self.squash, axis=1))

    def examples(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The class that a hook may be asked for: the most probable of every other image, the least of those between."""
        if not isinstance(self.pick, AtRunTime):
            return {}
        order = np.argsort(-self._flat(outputs), axis=1)
        return {WANTED: np.where(np.arange(len(order)) % 2, order[:, -1], order[:, 0]).astype(np.int64)}

    def explained(
        self, outputs: Mapping[str, np.ndarray], hooked: Mapping[str, np.ndarray], beside: Mapping[str, np.ndarray]
    ) -> list[list[tuple[int, int]]]:
        """For each image the maps as (index, class), the most probable ahead."""
        flat = self._flat(outputs)
        ids: Iterable[Iterable[int]]
        match self.pick:
            case TopK():
                ids = hooked[CLASS]
            case AtRunTime():
                ids = beside[WANTED][:, None]
            case Ids(some):
                ids = [some] * len(flat)
            case _:
                ids = [range(flat.shape[1])] * len(flat)
        pairs = [[(index, int(k)) for index, k in enumerate(row)] for row in ids]
        return [sorted(row, key=lambda pair: -flat[image, pair[1]]) for image, row in enumerate(pairs)]

    def alone(self, columns: Sequence[int]) -> Pick:
        """Some classes."""
        return Ids(tuple(columns))

    def terms(self, column: int) -> Sequence[int]:
        """The class itself."""
        return [column]

    def _flat(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, K], f64: the scores that the model returned."""
        return self.scores.by_class(outputs[self.scores.name]).astype(np.float64)


def _squashed(xp: Any, y: Array, squash: Score, *, axis: int) -> Any:
    if squash == "softmax":
        return xp.softmax(y, axis=axis)
    return xp.sigmoid(y) if squash == "sigmoid" else y
