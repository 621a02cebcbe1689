"""A network that explains a detector's boxes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from openvino_xai.contract import BOX, CLASS, INDEX, MAP, SCORE, WANTED, WANTED_INDEX, reads
from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.dialects.protocol import Running
from openvino_xai.errors import ImageError, InputError, ModelError
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.selection import BoxSelection
from openvino_xai.runtime.network import Network, TargetsOfImage, photo_of, unscaled
from openvino_xai.tail.rows.pick import count_of

MIN_SCORE = 0.25  # of a box, where neither the model nor the caller says another
NONE = -1  # the index where there are fewer boxes than a hook explains, and none is asked for


class Detector(Network):
    """A network that explains boxes; those below `min_score` are passed over, but where they are asked for."""

    def __init__(
        self, running: Running, description: Described, device: str, *, plain: Callable[[], Running] | None = None
    ) -> None:
        super().__init__(running, description, device, plain=plain)
        self.min_score = _least(description.info.get("confidence_threshold"))
        self._boxes = count_of(description.record["targets"])

    def _set_min_score(self, min_score: float) -> None:
        self.min_score = _checked_score(min_score, "min_score", "the options")

    def __call__(
        self,
        batch: np.ndarray,
        explain: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Every output by name for a batch, as of any network.

        `rows` and `classes`, both [B, D], tell a model that is asked for boxes which rows of its own output to explain, and as
        which classes; -1 is none, and so is what is not told. Raises InputError.
        """
        return self._running({**self._inputs(batch, explain), **self._box_inputs(len(batch), rows, classes)})

    def _box_inputs(self, images: int, rows: np.ndarray | None, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        if not reads(self.record, WANTED_INDEX):
            if rows is None and classes is None:
                return {}
            raise InputError("the model is not asked for boxes: it explains its own; insert with targets='asked'")
        if (rows is None) != (classes is None):
            raise InputError("rows and classes go together: a box is explained as an object of a class")
        nothing = np.full((images, self._boxes), NONE, np.int64)
        inputs = {
            WANTED_INDEX: nothing if rows is None else np.asarray(rows, np.int64),
            WANTED: nothing if classes is None else np.asarray(classes, np.int64),
        }
        for (name, array), count in zip(inputs.items(), (int(self.record["rows"]), self.classes), strict=True):
            if array.shape != nothing.shape:
                raise InputError(
                    f"'{name}' is {list(array.shape)}; {list(nothing.shape)} is expected, -1 where there is no box to explain"
                )
            if array.size and not NONE <= array.min() <= array.max() < count:
                raise InputError(f"'{name}' holds {array.min()} to {array.max()}; 0 to {count - 1}, or -1, are expected")
        return inputs

    def explain(
        self, image: str | os.PathLike[str] | np.ndarray, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()
    ) -> DetectionExplanation:
        """The explanation of the boxes in one image: a path, or RGB bytes [H, W, 3].

        `targets` are `all` (the default), `boxes:N`, the N best, or classes by ids or labels; `also` are more classes. Of a
        model that is asked for boxes, they are `ROW:CLASS,...`: rows of its own output, each as an object of a class, whatever
        their scores. Raises InputError.
        """
        photo = photo_of(image)
        selection = BoxSelection.parse(targets, also, self.labels, self.classes)
        by_row = reads(self.record, WANTED_INDEX)
        if by_row != bool(selection.rows):
            raise InputError(BY_ROW if by_row else BY_SCORE, options=("targets",))
        batch, _ = next(self._images.runs(self._images.laid_out(self.prepare(photo))))
        results = self(batch, **self._request(selection, len(batch)))
        detections, maps = self._detections(results, photo.shape[:2])
        places = [place for place, detection in enumerate(detections) if by_row or detection.probability >= self.min_score]
        chosen = selection.chosen([detections[place] for place in places])
        return DetectionExplanation(
            image=photo,
            predictions=tuple(detections[place] for place in places),
            targets=tuple(detections[places[index]] for index in chosen),
            maps=maps[[places[index] for index in chosen]],
            box=self._preprocessing.box(photo.shape[:2]),
            record={**self.record, "precision": self.precision, "device": self.device},
            path=None if isinstance(image, np.ndarray) else Path(image),
            min_score=0.0 if by_row else self.min_score,
        )

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """Raises InputError: a detector has no scores of images."""
        raise InputError(NO_CLASSES)

    def maps(self, images: np.ndarray, classes: Sequence[int | None], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Raises InputError: a detector has no maps of classes."""
        raise InputError(NO_CLASSES)

    def _request(self, selection: BoxSelection, images: int) -> dict[str, np.ndarray]:
        """What to tell a model that is asked for boxes, the same for each image; {} of others."""
        if not selection.rows:
            return {}
        count = self._boxes
        if len(selection.rows) > count:
            raise InputError(
                f"the model explains {count} boxes at once, and {len(selection.rows)} are named", options=("targets",)
            )
        pairs = np.array([*selection.rows, *[(NONE, NONE)] * (count - len(selection.rows))], np.int64)
        rows, classes = np.tile(pairs.T[:, None], (1, images, 1))
        return {"rows": rows, "classes": classes}

    def _detections(self, results: Mapping[str, np.ndarray], photo: tuple[int, ...]) -> tuple[list[Detection], np.ndarray]:
        """The boxes of the first image, those that are there, and their maps [D, h, w].

        Raises ModelError for what no hook returns, ImageError for boxes and scores that are no numbers.
        """
        index, classes, scores, boxes = (results[name][0] for name in (INDEX, CLASS, SCORE, BOX))
        maps = unscaled(results[MAP][0])
        if {len(array) for array in (classes, scores, boxes, maps)} != {len(index)} or boxes.shape[1:] != (4,):
            shapes = ", ".join(f"'{name}' {list(results[name].shape)}" for name in (INDEX, CLASS, SCORE, BOX, MAP))
            raise ModelError(f"the hook returned {shapes}: as many of each, and boxes of 4 numbers, are expected; insert anew")
        there = np.flatnonzero(index >= 0)
        if there.size and not 0 <= classes[there].min() <= classes[there].max() < self.classes:
            raise ModelError(f"the hook returned class {classes[there].max()} of {self.classes}, 0 to {self.classes - 1}")
        if not (np.isfinite(boxes[there]).all() and np.isfinite(scores[there]).all()):
            raise ImageError("the model's boxes or scores are not finite: does it run in this precision?")
        placed = self._preprocessing.boxes(boxes.astype(np.float64), (photo[0], photo[1]))
        detections = [
            Detection(int(classes[d]), self.label(int(classes[d])), float(scores[d]), _corners(placed[d]), int(index[d]))
            for d in there
        ]
        return detections, maps[there]


def _corners(box: np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, box)
    return x0, y0, x1, y1


def _least(text: str | None) -> float:
    """The least score that a model tells, as OpenVINO's Model API keeps it, or the usual one. Raises InputError."""
    if text is None or not text.strip():
        return MIN_SCORE
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    return _checked_score(score, "confidence_threshold", "the model's model_info")


def _checked_score(score: float, name: str, source: str) -> float:
    if not 0 <= score <= 1:  # NaN is neither
        raise InputError(f"{name} is {score} in {source}; a number from 0 to 1 is expected")
    return score


NO_CLASSES = "the model returns boxes, and no probabilities of an image's classes: explain(image) explains its boxes"
BY_ROW = "the model explains the rows of its output that it is asked for, each as of a class: say targets ROW:CLASS,..."
BY_SCORE = "the model explains the boxes that it chooses, and no rows by their numbers: say targets all, boxes:N, or classes"
