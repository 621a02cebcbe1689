"""Coalitions: which superpixels of an image are kept, and what the model answers then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.probes.classifier import Scorer, Settings, in_chunks
from openvino_xai.probes.superpixels.slic import superpixels


@dataclass(frozen=True, eq=False)
class Coalitions:
    """The M superpixels of an image [1, C, H, W] that are kept or covered, and the scores of K `classes` to be asked for.

    What is covered is 0 as the model sees it, which is the mean colour where a mean is subtracted.
    """

    model: Scorer
    image: np.ndarray
    classes: Sequence[int]
    settings: Settings
    labels: np.ndarray

    @classmethod
    def of(cls, model: Scorer, image: np.ndarray, classes: Sequence[int], settings: Settings) -> Coalitions:
        """Those of the superpixels that the settings ask for. Raises InputError where masks are fewer than superpixels."""
        coalitions = cls(model, image, classes, settings, superpixels(image, settings.segments))
        if settings.masks < coalitions.count:
            raise InputError(
                f"masks is {settings.masks}, which tells too little of {coalitions.count} superpixels: as many masks at least, "
                "or fewer segments, are expected",
                options=("masks", "segments"),
            )
        return coalitions

    @property
    def count(self) -> int:
        """M."""
        return int(self.labels.max()) + 1

    def scores(self, masks: np.ndarray) -> np.ndarray:
        """[N, K], f64: the scores where superpixels [N, M], bool, are kept."""
        return np.asarray(self.model.scores(self.image * masks[:, self.labels][:, None])[:, self.classes])

    def answers(self, masks: Iterator[np.ndarray], count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What is kept [n, M] and its scores [n, K], in batches, for the first `count` of coalitions [M]."""
        for chunk in in_chunks(count, self.model.batch, self.settings.progress):
            some = np.stack(list(islice(masks, chunk.stop - chunk.start)))
            yield some, self.scores(some)

    def drawn(self, values: np.ndarray) -> np.ndarray:
        """Maps [K, H, W], f32, of the values [M, K] of superpixels."""
        return np.asarray(values.T[:, self.labels], np.float32)
