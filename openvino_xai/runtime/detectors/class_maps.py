"""A network that draws where a detector sees each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openvino_xai.contract import listed
from openvino_xai.errors import InputError, ModelError
from openvino_xai.runtime.network import Network

AHEAD = (0, 4, 5)  # columns before the classes: none, a box, a box and whether there is an object


class ClassMaps(Network):
    """A network that draws where a detector sees each class; a class is as probable as the best of its rows."""

    def _read(self, results: Mapping[str, np.ndarray], *, logits: bool = False) -> np.ndarray:
        if logits:
            raise InputError("a detector returns scores of rows, and no logits of an image's classes")
        return best_of_rows(
            *(results[name] for name in listed(self._scores.name, results)), rows=int(self.record["rows"]), classes=self.classes
        )


def best_of_rows(*scores: np.ndarray, rows: int, classes: int) -> np.ndarray:
    """[B, C] in [0, 1], f64: each class's best probability over A rows of scores, in one or more parts [B, a, C] or [B, C, a].

    Four numbers of a box may stand before the classes of a row, and one more, by which all are multiplied: whether there is an
    object at all; or so many parts more, of one number each, tell that. Scores outside [0, 1] are log-odds. Raises ModelError
    for other shapes.
    """
    half = len(scores) // 2
    if 2 * half == len(scores) and _fits(scores[half:], rows, 1) and _fits(scores[:half], rows, classes):
        parts = [_joined(part, rows, count) for part, count in ((scores[:half], classes), (scores[half:], 1))]
        p, objectness = (1 / (1 + np.exp(-x)) if x.min() < 0 or x.max() > 1 else x for x in parts)
        return np.asarray((p * objectness).max(axis=1), np.float64)
    joined = _joined(scores, rows, classes).astype(np.float64)
    ahead = joined.shape[2] - classes
    objects = int(ahead == 5)
    columns = joined[:, :, ahead - objects :]
    if columns.min() < 0 or columns.max() > 1:
        columns = 1 / (1 + np.exp(-columns))
    return np.asarray((columns[:, :, 1:] * columns[:, :, :1] if objects else columns).max(axis=1))


def _fits(scores: Sequence[np.ndarray], rows: int, columns: int) -> bool:
    """Whether parts hold so many numbers of so many rows, and nothing else."""
    return all(
        part.ndim == 3 and columns in part.shape[1:] and part.shape[1] * part.shape[2] % columns == 0 for part in scores
    ) and (sum(part.shape[1] * part.shape[2] // columns for part in scores) == rows)


def _joined(scores: Sequence[np.ndarray], rows: int, classes: int) -> np.ndarray:
    """[B, A, X], with the classes in the last columns. Raises ModelError where no layout of the parts has as many rows."""
    for axis in (1, 2) if all(part.ndim == 3 for part in scores) else ():
        columns = {part.shape[3 - axis] for part in scores}
        if sum(part.shape[axis] for part in scores) == rows and len(columns) == 1 and columns.pop() - classes in AHEAD:
            joined = np.concatenate(scores, axis=axis)
            return joined if axis == 1 else joined.transpose(0, 2, 1)
    shapes = ", ".join(str(list(part.shape)) for part in scores)
    raise ModelError(
        f"scores {shapes} are not understood: {rows} rows of {classes} classes are expected, alone or behind 4 or 5 numbers "
        "of a box; the maps are in what the network returns when it is called"
    )
