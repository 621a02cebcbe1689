"""A network whose hook is told which rows of a detector to explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from openvino_xai.arguments import IDS, takes
from openvino_xai.contract import MAP, WANTED, WANTED_INDEX
from openvino_xai.detection import DetectionExplanation
from openvino_xai.dialects.protocol import Running
from openvino_xai.errors import InputError
from openvino_xai.probes.d_rise import Proposals
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.proposals import ProposedRows
from openvino_xai.runtime.detectors.selection import BoxSelection
from openvino_xai.runtime.inputs.photos import ImageLike, photo_of
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.network import unscaled
from openvino_xai.tail.rows.pick import count_of

Propose = Callable[[], tuple[ProposedRows, Running]]


class RowDetector(Detector):
    """A network that explains any rows of a detector; the model without the hook tells their boxes and scores.

    `propose` makes that, where a photo is to be explained. None is a network that explains batches alone.
    """

    def __init__(self, running: Running, description: Described, device: str, *, propose: Propose | None = None) -> None:
        super().__init__(running, description, device)
        self._make_proposing = propose
        self._count, self._rows = count_of(description.record["targets"]), int(description.record["rows"])

    def _box_inputs(self, images: int, rows: np.ndarray | None, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        """The two inputs [B, D], i64; where they are not told, the first row and class. Raises InputError."""
        if (rows is None) != (classes is None):
            raise InputError("rows and classes go together: a row is explained as an object of a class")
        shape = images, self._count
        inputs = {}
        for name, ids, count in ((WANTED_INDEX, rows, self._rows), (WANTED, classes, self.classes)):
            inputs[name] = array = np.zeros(shape, np.int64) if ids is None else np.asarray(ids, np.int64)
            if array.shape != shape:
                raise InputError(f"'{name}' is {list(array.shape)}; {list(shape)} is expected")
            if array.size and not 0 <= array.min() <= array.max() < count:
                raise InputError(f"'{name}' holds {array.min()} to {array.max()}; 0 to {count - 1} are expected")
        return inputs

    @takes(also=IDS)
    def explain(
        self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()
    ) -> DetectionExplanation:
        """The explanation of boxes in one image: a path, or RGB bytes [H, W, 3].

        `targets` are as of any detector, or `ROW:CLASS,...`: rows of the model's own output, each as an object of a class,
        whatever their scores. Raises InputError, and ModelError where the boxes of rows are not known.
        """
        photo = photo_of(image)
        size = photo.shape[0], photo.shape[1]
        selection = BoxSelection.parse(targets, also, self.labels, self.classes)
        sample = self.prepare(photo)
        proposals = self._proposals(sample)
        pairs = list(selection.rows) or self._proposing[0].detections(proposals, self.min_score)
        rows, classes = np.array(pairs, np.int64).reshape(-1, 2).T
        self._refuse_unknown(rows, classes, len(proposals.boxes))
        scores = proposals.probabilities[rows, classes]
        detections = self._placed(rows, classes, scores, proposals.boxes[rows], size)
        chosen = list(range(len(pairs))) if selection.rows else selection.chosen(detections)
        maps = self._maps_of_rows(sample, rows[chosen], classes[chosen])
        return self._explanation(image, photo, detections, chosen, maps)

    def _refuse_unknown(self, rows: np.ndarray, classes: np.ndarray, count: int) -> None:
        """Raise InputError for a row that is none of `count`, or a class that is not there."""
        for what, ids, there in (("row", rows, count), ("class", classes, self.classes)):
            if ids.size and ids.max() >= there:
                raise InputError(
                    f"{what} {ids.max()} is not there: the model has {there}, 0 to {there - 1}", options=("targets",)
                )

    def _maps_of_rows(self, image: np.ndarray, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """[D, h, w]: the maps of any number of rows of an image [1, C, H, W], as many at once as the hook explains."""
        batch, _ = next(self._images.runs(self._images.laid_out(image)))
        maps = []
        for start in range(0, max(1, len(rows)), self._count):
            part = slice(start, start + self._count)
            filled = [np.resize(ids[part] if len(ids) else [0], (len(batch), self._count)) for ids in (rows, classes)]
            maps.append(unscaled(self(batch, rows=filled[0], classes=filled[1])[MAP][0]))
        return np.concatenate(maps)[: len(rows)]

    @cached_property
    def _proposing(self) -> tuple[ProposedRows, Running]:
        """What tells boxes and scores of rows, and runs. Raises ModelError where the boxes are not known."""
        if self._make_proposing is None:
            raise InputError(
                "a photo is explained by rows where their boxes are known, from the model's file: name it with model="
            )
        return self._make_proposing()

    def _proposals(self, image: np.ndarray) -> Proposals:
        """The boxes [A, 4] of an image [1, C, H, W], and the probabilities [A, C] of its rows."""
        proposing, running = self._proposing
        batch, _ = next(self._images.runs(self._images.laid_out(image)))
        return proposing.proposals(running({self._input.name: batch}))[0]
