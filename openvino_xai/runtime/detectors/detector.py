"""A network that explains a detector's boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from openvino_xai.arguments import IDS, takes
from openvino_xai.choices import quoted
from openvino_xai.contract import BOX, CLASS, INDEX, MAP, SCORE
from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.dialects.protocol import Running
from openvino_xai.errors import ImageError, InputError, ModelError
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.selection import BoxSelection
from openvino_xai.runtime.inputs.photos import ImageLike, path_of, photo_of
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.network import Network, unscaled
from openvino_xai.tail.target import Pair

MIN_SCORE = 0.25  # of a box, where neither the model nor the caller says another


class Detector(Network):
    """A network that explains boxes; those below `min_score` are passed over."""

    def __init__(
        self, running: Running, description: Described, device: str, *, plain: Callable[[], Running] | None = None
    ) -> None:
        super().__init__(running, description, device, plain=plain)
        self.min_score = least_score(description.info.get("confidence_threshold"))

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

        `rows` and `classes`, both [B, D], tell a model that is asked for rows which of its own output to explain, and as which
        classes. Raises InputError.
        """
        return self._running({**self._inputs(batch, explain), **self._box_inputs(len(batch), rows, classes)})

    def _box_inputs(self, images: int, rows: np.ndarray | None, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        """What tells the hook which rows to explain: nothing, as it chooses boxes itself. Raises InputError."""
        if rows is None and classes is None:
            return {}
        raise InputError("the model is not asked for rows: it explains its own boxes; insert with targets='asked:D'")

    @takes(also=IDS)
    def explain(
        self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()
    ) -> DetectionExplanation:
        """The explanation of the boxes in one image: a path, or RGB bytes [H, W, 3].

        `targets` are `all` (the default), `boxes:N`, the N best, or classes by ids or labels; `also` are more classes. Raises
        InputError.
        """
        photo = photo_of(image)
        selection = BoxSelection.parse(targets, also, self.labels, self.classes)
        if selection.rows:
            raise InputError(BY_SCORE, options=("targets",))
        batch, _ = next(self._images.runs(self._images.laid_out(self.prepare(photo))))
        detections, maps = self._detections(self(batch), (photo.shape[0], photo.shape[1]))
        above = [place for place, detection in enumerate(detections) if detection.probability >= self.min_score]
        shown = [detections[place] for place in above]
        chosen = selection.chosen(shown)
        return self._explanation(image, photo, shown, chosen, maps[[above[index] for index in chosen]])

    def _explanation(
        self,
        image: ImageLike,
        photo: np.ndarray,
        detections: Sequence[Detection],
        chosen: Sequence[int],
        maps: np.ndarray,
    ) -> DetectionExplanation:
        """The explanation of the detections `chosen`, by their indices, which have these maps."""
        return DetectionExplanation(
            image=photo,
            predictions=tuple(detections),
            targets=tuple(detections[index] for index in chosen),
            maps=maps,
            box=self._preprocessing.box((photo.shape[0], photo.shape[1])),
            record={**self.record, "precision": self.precision, "device": self.device},
            path=path_of(image),
            preprocessing=self.preprocessing.to_dict(),
            min_score=self.min_score,
        )

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """Raises InputError: a detector has no scores of images."""
        raise InputError(NO_CLASSES)

    def maps(
        self, images: np.ndarray, classes: Sequence[int | Pair | None], *, logits: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Raises InputError: a detector has no maps of classes."""
        raise InputError(NO_CLASSES)

    def _detections(self, results: Mapping[str, np.ndarray], photo: tuple[int, int]) -> tuple[list[Detection], np.ndarray]:
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
        return self._placed(index[there], classes[there], scores[there], boxes[there], photo), maps[there]

    def _placed(
        self, rows: np.ndarray, classes: np.ndarray, scores: np.ndarray, boxes: np.ndarray, photo: tuple[int, int]
    ) -> list[Detection]:
        """Detections, of boxes [D, 4] in pixels of the input. Raises ImageError for boxes and scores that are no numbers."""
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ImageError("the model's boxes or scores are not finite: does it run in this precision?")
        corners = self._preprocessing.boxes(boxes.astype(np.float64), photo)
        return [
            Detection(int(k), self.label(int(k)), float(score), _corners(box), int(row))
            for row, k, score, box in zip(rows, classes, scores, corners, strict=True)
        ]


def _corners(box: np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, box)
    return x0, y0, x1, y1


def least_score(text: str | None) -> float:
    """The least score that a model tells, as OpenVINO's Model API keeps it, or the usual one. Raises InputError."""
    if text is None or not text.strip():
        return MIN_SCORE
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    return _checked_score(score, "confidence_threshold", "the model's model_info")


def _checked_score(score: float, name: str, source: str) -> float:
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:  # NaN is neither
        raise InputError(f"{name} is {quoted(score)} in {source}; a number from 0 to 1 is expected")
    return score


NO_CLASSES = "the model returns boxes, and no probabilities of an image's classes: explain(image) explains its boxes"
BY_SCORE = "the model explains the boxes that it chooses, and no rows by their numbers: say targets all, boxes:N, or classes"
