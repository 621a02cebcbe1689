"""Contrasts of classes, explained: what speaks for one class and not for another.

The score of a contrast is that of its first class less that of its second, each read as it is of a class alone. What is linear
in scores, as maps of masked cells, comes to the difference of two maps; what is not, as a ReLU of gradients, to a map that none
of both tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace
from openvino_xai.locate.scores import Scores
from openvino_xai.tail.target import ClassTarget, Columns, Contrasts, Ids, Pick, Score


@dataclass(frozen=True, eq=False)
class Differences:
    """P differences of two scores of each of `batch` images; `columns` are those of all classes in any, in the pick's order."""

    pick: Contrasts
    columns: Columns
    batch: Size
    inputs: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def count(self) -> int:
        """P."""
        return len(self.pick.pairs)

    def repeated(self, xp: Trace, batch: Size, copies: int) -> Differences:
        """These differences for a number of copies of each image."""
        return replace(self, batch=batch * copies)

    def taken(self, xp: Trace, scores: Value) -> Value:
        """[B, N, P], of `scores` [B, N, U] of the classes that are in any."""
        place = {k: index for index, k in enumerate(self.pick.ids)}
        first, second = (xp.take(scores, np.array([place[k] for k in side]), axis=2) for side in self._sides)
        return xp.subtract(first, second)

    def seed_of_rows(self, xp: Trace, rows: Size, dtype: Any) -> Value:
        """[B * P, total]: 1 at the first class of each row's contrast, -1 at the second."""
        total = self.columns.total
        first, second = (Columns(total, np.array(side, np.int64)).seed(xp, dtype) for side in self._sides)
        seed = xp.reshape(xp.subtract(first, second), (1, self.count, total))
        return xp.reshape(xp.broadcast_to(seed, (self.batch, self.count, total)), (rows, total))

    @property
    def _sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first class of each contrast, and the second of each."""
        first, second = zip(*self.pick.pairs, strict=True)
        return first, second


@dataclass(frozen=True, eq=False)
class ContrastTarget:
    """Differences of the scores of `classes`, which are those that are in any; `pick` says of which."""

    classes: ClassTarget
    pick: Contrasts

    @classmethod
    def of(cls, scores: Scores, pick: Contrasts, score: Score) -> ContrastTarget:
        """The target of a model's scores."""
        return cls(ClassTarget.of(scores, Ids(pick.ids), score), pick)

    @property
    def scores(self) -> Scores:
        """The class output."""
        return self.classes.scores

    @property
    def read(self) -> Value:
        """The value that holds the scores of classes."""
        return self.classes.read

    @property
    def squash(self) -> str:
        """What has yet to squash the scores of classes, ahead of the difference."""
        return self.classes.squash

    @property
    def scale(self) -> str:
        """What the two scores are that are subtracted."""
        return self.classes.scale

    @property
    def count(self) -> int:
        """P, the length of the second axis of maps."""
        return len(self.pick.pairs)

    def as_probability(self) -> ContrastTarget:
        """Differences of probabilities."""
        return replace(self, classes=self.classes.as_probability())

    def record(self) -> dict[str, str]:
        """What a hook's record tells of it."""
        return {**self.classes.record(), "targets": str(self.pick)}

    def selection(self, xp: Trace, batch: Size) -> Differences:
        """The differences, for `batch` images."""
        return Differences(self.pick, self.classes.selection(xp, batch), batch)

    def outputs(self, xp: Trace, selection: Differences) -> dict[str, Value]:
        """None: who inserted the hook knows the classes."""
        return {}

    def slice(self, selection: Differences) -> Columns | None:
        """The classes that are in any contrast, which a tail may compute alone; None where it needs all."""
        return self.classes.slice(selection.columns)

    def scores_of(
        self, xp: Trace, y: Value, selection: Differences, sizes: tuple[Size, Size], *, is_slice: bool = False
    ) -> Value:
        """[B, N, P], f32: the differences, of the end's value [B * N, ...] or of a slice; `sizes` are (B, N)."""
        return selection.taken(xp, self.classes.scores_of(xp, y, selection.columns, sizes, is_slice=is_slice))

    def adjoint(self, xp: Trace, y: Value, g: Value) -> Value:
        """[R, ...]: the derivative by the end's value `y`, where `g` is that by the scores of classes."""
        return self.classes.adjoint(xp, y, g)

    def reference(self, y: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, P + K], f64: the differences, and behind them the scores of all K classes, which they are made of."""
        scores = self.classes.reference(y, beside)
        return np.concatenate([np.stack([scores[:, a] - scores[:, b] for a, b in self.pick.pairs], axis=1), scores], axis=1)

    def examples(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Nothing: no input tells what is explained."""
        return {}

    def explained(
        self, outputs: Mapping[str, np.ndarray], hooked: Mapping[str, np.ndarray], beside: Mapping[str, np.ndarray]
    ) -> list[list[tuple[int, int]]]:
        """For each image the maps as (index, column), those of the most probable classes ahead."""
        by_rank = [[k for _, k in row] for row in self.classes.explained(outputs, hooked, beside)]
        ranks = [[min(map(row.index, pair)) for pair in self.pick.pairs] for row in by_rank]
        return [[(index, index) for index in sorted(range(self.count), key=row.__getitem__)] for row in ranks]

    def alone(self, columns: Sequence[int]) -> Pick:
        """Some contrasts."""
        return Contrasts(tuple(self.pick.pairs[column] for column in columns))

    def terms(self, column: int) -> Sequence[int]:
        """The two classes of a contrast; or the class itself."""
        if column >= self.count:
            return [column]
        return [self.count + k for k in self.pick.pairs[column]]
