"""A network that draws where a detector sees each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openvino_xai.errors import InputError, ModelError
from openvino_xai.runtime.detectors.labels import class_ids
from openvino_xai.runtime.network import Network, TargetsOfImage


class ClassMaps(Network):
    """A network that draws where a detector sees each class; a class is as probable as the best of its rows."""

    def _target_ids(self, targets: TargetsOfImage, ranked: np.ndarray, explained: Sequence[int]) -> list[int]:
        if isinstance(targets, str) and targets != "all" and not targets.startswith("top:"):
            targets = class_ids(targets, self.labels, self.classes)
        return super()._target_ids(targets, ranked, explained)

    def _read(self, results: Mapping[str, np.ndarray], *, logits: bool = False) -> np.ndarray:
        if logits:
            raise InputError("a detector returns scores of rows, and no logits of an image's classes")
        return best_of_rows(results[self._scores.name], int(self.record["rows"]), self.classes)


def best_of_rows(scores: np.ndarray, rows: int, classes: int) -> np.ndarray:
    """[B, C] in [0, 1], f64: each class's best probability over the A rows of scores [B, A, C], or [B, C, A].

    Four numbers of a box may stand before the classes of a row, and one more, by which all are multiplied: whether there is an
    object at all. Scores outside [0, 1] are log-odds. Raises ModelError for other shapes.
    """
    if scores.ndim == 3 and scores.shape[1] != rows and scores.shape[2] == rows:
        scores = scores.transpose(0, 2, 1)
    if scores.ndim != 3 or scores.shape[1] != rows or scores.shape[2] - classes not in (0, 4, 5):
        raise ModelError(
            f"scores {list(scores.shape)} are not understood: [B, {rows}, {classes}], or with 4 or 5 numbers of a box ahead of "
            "the classes, is expected"
        )
    objects = scores.shape[2] - classes == 5
    columns = scores[:, :, -classes - objects :].astype(np.float64)
    if columns.min() < 0 or columns.max() > 1:
        columns = 1 / (1 + np.exp(-columns))
    return np.asarray((columns[:, :, 1:] * columns[:, :, :1] if objects else columns).max(axis=1))
