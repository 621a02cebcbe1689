"""What a detector without a hook proposes for images: from its rows, or from outputs that list detections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np

from openvino_xai.boxes.decoding import FORMATS, Format, Grid, check_format
from openvino_xai.boxes.suppression import Threshold, suppressed
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.boxes import Boxes
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.image import find_image
from openvino_xai.locate.located import Where
from openvino_xai.locate.rows import Rows
from openvino_xai.plan.rows.returned import ListedRows
from openvino_xai.probes.d_rise import Proposals

XP = numpy_namespace()
MOST = 64  # boxes of an image that are explained
LABELS = re.compile("label|class|cls|categor", re.IGNORECASE)  # what outputs with classes are called
LISTED_CLASSES = 10**4  # ids that a list of detections may hold, where nobody says how many classes there are
SHARES = 1.5  # what coordinates stay below that are shares of the image
LAYOUTS = {  # of tables by their width: where boxes begin, and the columns of scores and labels
    7: ((3, 2, 1), (1, 6, 5)),
    6: ((0, 4, 5), (2, 1, 0)),
}
Column: TypeAlias = "tuple[str, int | None]"
ROWS_FIRST = ("detection_boxes",)  # what TensorFlow's detectors call corners that begin with y, as shares of the image
ORDERED = 0.98  # the share of boxes that have a size


class Proposing(Protocol):
    """A detector that is asked what it proposes."""

    @property
    def name(self) -> str:
        """The outputs that hold the scores, joined by commas."""

    @property
    def classes(self) -> int:
        """C."""

    def proposals(self, results: Mapping[str, np.ndarray]) -> list[Proposals]:
        """What is proposed for each image of a run."""

    def detections(self, proposals: Proposals, min_score: float) -> list[tuple[int, int]]:
        """The detections among what is proposed, best first: the row and the class of each."""


def proposing(
    deployed: Deployed, where: Where, format_name: str | None, compiled: tuple[str, str]
) -> tuple[Proposing, Running]:
    """The detector as what proposes, and what runs it. Raises ModelError where neither rows nor lists of boxes are found."""
    check_format(format_name)
    try:
        detector = Detector.of(deployed, where)
        rows = ProposedRows.of(detector.rows, detector.boxes(format_name))
        return rows, deployed.probing(read=rows.read, inputs={}).compile(*compiled)
    except ModelError as error:
        running = deployed.compile(*compiled)
        try:
            return Listing.of(deployed, where, format_name, running), running
        except ModelError as other:
            raise ModelError(f"{error}; nor do its outputs list boxes: {other}", options=error.options) from other


def proposing_rows(
    deployed: Deployed, where: Where, format_name: str | None, compiled: tuple[str, str]
) -> tuple[ProposedRows, Running]:
    """The rows of a model whose hook was taken off, and what runs it. Raises ModelError where their boxes are not found."""
    detector = Detector.without_hook(deployed, where)
    rows = ProposedRows.of(detector.rows, detector.boxes(format_name), as_listed=True)
    return rows, deployed.probing(read=rows.read, inputs={}).compile(*compiled)


@dataclass(frozen=True, eq=False)
class ListedProposals(Proposals):
    """Those on the list that a model makes of its rows: each with the probabilities of its row, and its own score and label."""

    scores: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class ProposedRows:
    """A detector whose rows are followed: each row is proposed, as an object of each class.

    `as_listed` are those alone that a model lists, in its order.
    """

    rows: Rows
    boxes: Boxes
    read: Mapping[str, Value]
    as_listed: bool

    @classmethod
    def of(cls, rows: Rows, boxes: Boxes, *, as_listed: bool = False) -> ProposedRows:
        """Where no boxes of all rows are known, those are proposed that the model lists."""
        values = [*rows.read.values(), *boxes.read.values(), *(() if rows.returned is None else rows.returned.values)]
        values += [] if boxes.listed is None else [boxes.listed.columns.value]
        read = {f"ovxai_read_{i}": value for i, value in enumerate(dict.fromkeys(values))}
        return cls(rows, boxes, read, rows.returned is not None and (as_listed or not boxes.read))

    @property
    def name(self) -> str:
        """The outputs that hold the scores."""
        return self.rows.name

    @property
    def classes(self) -> int:
        """C."""
        return self.rows.classes

    def proposals(self, results: Mapping[str, np.ndarray]) -> list[Proposals]:
        """What is proposed for each image of a run."""
        array_of = {value: results[name] for name, value in self.read.items()}.__getitem__
        if self.as_listed:
            return self._listed(ListedRows(XP, self.rows, self.boxes, array_of))
        p = np.array(self.rows.probabilities(XP, [array_of(value) for value in self.rows.read.values()]))
        if self.rows.background is not None:
            p[:, :, self.rows.background] = 0
        boxes = self.boxes.decoded(XP, [array_of(value) for value in self.boxes.read.values()])
        return [Proposals(*image) for image in zip(boxes, p, strict=True)]

    def _listed(self, listed: ListedRows) -> list[Proposals]:
        """What is on the list of each image."""
        images, count = listed.scores.shape
        chosen = listed.at(np.broadcast_to(np.arange(count), (images, count)))
        p = np.take_along_axis(listed.probabilities, chosen.anchors[:, :, None], axis=1)
        detections = chosen.detections
        return [
            ListedProposals(*image) for image in zip(detections.boxes, p, detections.scores, detections.classes, strict=True)
        ]

    def detections(self, proposals: Proposals, min_score: float) -> list[tuple[int, int]]:
        """Those that non-maximum suppression keeps; those on the list of the model; all queries, which tell objects apart."""
        if isinstance(proposals, ListedProposals):
            return _best(proposals.scores, proposals.labels, min_score)
        if self.rows.of_queries:
            return _best(proposals.probabilities.max(axis=1), proposals.probabilities.argmax(axis=1), min_score)
        least = Threshold(score=float(np.nextafter(np.float32(min_score), np.float32(-1))))  # above it is at least it
        best = suppressed(XP, proposals.boxes[None], proposals.probabilities[None], count=MOST, threshold=least)
        there = best.index[0] >= 0
        return list(zip(best.index[0][there].tolist(), best.classes[0][there].tolist(), strict=True))


def _best(scores: np.ndarray, labels: np.ndarray, min_score: float) -> list[tuple[int, int]]:
    """The rows of a class with the best scores, and these classes; -1 is none."""
    order = np.argsort(-scores, kind="stable")[:MOST]
    return [(int(row), int(labels[row])) for row in order if labels[row] >= 0 and scores[row] >= min_score]


@dataclass(frozen=True, eq=False)
class Listing:
    """A detector that lists its detections itself: boxes, scores and labels in columns of outputs.

    `boxes`, `score` and `label` say each which output, and which of its columns; None is an output without columns.
    """

    boxes: tuple[str, int]
    score: Column
    label: Column
    format: Format
    grid: Grid
    classes: int = LISTED_CLASSES

    @property
    def name(self) -> str:
        """The output that holds the scores."""
        return self.score[0]

    @classmethod
    def of(cls, deployed: Deployed, where: Where, format_name: str | None, running: Running) -> Listing:
        """The lists among the outputs, as a few images show them. Raises ModelError."""
        image, place = find_image(deployed.graph, where.image)
        if len(deployed.graph.inputs) > 1:
            raise ModelError(f"'{deployed.graph.inputs[1].name}' is an input beside the image, and what it takes is not known")
        height, width = concrete(place.grid, f"input '{image.name}'")
        shape = [size if isinstance(size, int) else 1 for size in image.shape or ()]
        rng = np.random.default_rng(0)
        pictures = [rng.random(shape) * peak for peak in (1, 255)]
        runs = [running({image.name: picture.astype(image.dtype)}) for picture in pictures]
        listing = cls(*_columns(runs), FORMATS["xyxy"], Grid((width, height)))
        numbers = np.concatenate([listing._listed(results)[0] for results in runs])
        if format_name is None and listing.boxes[0] in ROWS_FIRST:
            format_name = "yxyx01"
        return replace(listing, format=_format(numbers, format_name))

    def proposals(self, results: Mapping[str, np.ndarray]) -> list[Proposals]:
        """What is listed, for one image: each with the probability of its own class."""
        numbers, scores, labels = self._listed(results)
        p = np.zeros((len(scores), int(labels.max()) + 1 if len(labels) else 0))
        p[np.arange(len(scores)), labels] = np.clip(scores, 0, 1)
        boxes = self.format.decode(XP, numbers[None].astype(np.float32), self.grid)[0]
        return [Proposals(boxes, p)]

    def detections(self, proposals: Proposals, min_score: float) -> list[tuple[int, int]]:
        """All that are listed."""
        if not proposals.probabilities.size:
            return []
        scores, labels = proposals.probabilities.max(axis=1), proposals.probabilities.argmax(axis=1)
        order = [row for row in np.argsort(-scores, kind="stable") if scores[row] >= min_score]
        return [(int(row), int(labels[row])) for row in order[:MOST]]

    def _listed(self, results: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes [N, 4], scores [N] and labels [N] that are there: some files fill up with a score or a label of none."""
        start = self.boxes[1]
        boxes = _tail(results[self.boxes[0]])[:, start : start + 4].astype(np.float64)
        scores, labels = (_column(results, *place) for place in (self.score, self.label))
        there = (scores > 0) & (labels >= 0) & (labels < self.classes)  # what is no number is not there
        return boxes[there], scores[there].astype(np.float64), np.rint(labels[there]).astype(np.int64)


def _tail(array: np.ndarray) -> np.ndarray:
    """[N, n] of [..., N, n]."""
    return array.reshape(-1, array.shape[-1])


def _column(results: Mapping[str, np.ndarray], name: str, column: int | None) -> np.ndarray:
    return results[name].ravel() if column is None else _tail(results[name])[:, column]


def _columns(runs: Sequence[Mapping[str, np.ndarray]]) -> tuple[tuple[str, int], Column, Column]:
    """Where boxes, scores and labels are. Raises ModelError."""
    results = runs[0]
    tables = {n: array.shape for n, array in results.items() if array.ndim > 1 and int(np.prod(array.shape[:-2])) == 1}
    for width, layouts in LAYOUTS.items():
        names = [name for name, shape in tables.items() if shape[-1] == width]
        if len(names) == 1:
            rows = np.concatenate([_tail(results[names[0]]) for results in runs])
            fitting = [layout for layout in layouts if _is_laid_out(rows, *layout[1:])]
            if len(fitting) == 1:
                start, score, label = fitting[0]
                return (names[0], start), (names[0], score), (names[0], label)
    for width in (5, 4):
        names = [name for name, shape in tables.items() if shape[-1] == width]
        if len(names) == 1:
            *scores, labels = _vectors(results, tables[names[0]][-2], 6 - width)
            beside: Column = (scores[0], None) if scores else (names[0], 4)
            return (names[0], 0), beside, (labels, None)
    shapes = ", ".join(f"'{name}' {list(array.shape)}" for name, array in results.items())
    raise ModelError(
        "[N, 4] with scores [N] and labels [N], [N, 5] with labels [N], [N, 6] or [1, 1, N, 7] is expected, and there is "
        f"{shapes}"
    )


def _is_laid_out(rows: np.ndarray, score: int, label: int) -> bool:
    """Whether a column of rows [N, n] holds whole numbers, as labels are, and one shares, as scores are."""
    scores, labels = rows[:, score], rows[:, label]
    return bool(len(rows) and (labels == np.rint(labels)).all() and ((scores >= 0) & (scores <= 1))[labels >= 0].all())


def _vectors(results: Mapping[str, np.ndarray], length: int, count: int) -> list[str]:
    """The outputs [N], or [1, N], of so many numbers: that with labels is the last. Raises ModelError."""
    names = [name for name, array in results.items() if array.size == length and array.shape[-1:] == (length,)]
    labels = [name for name in names if results[name].dtype.kind in "iu"] or [name for name in names if LABELS.search(name)]
    if len(names) != count or len(labels) != 1:
        listing = ", ".join(map(repr, names)) or "none"
        raise ModelError(f"of outputs with a number for each box there is {listing}: a score and a label are expected")
    return [*(name for name in names if name not in labels), *labels]


def _format(numbers: np.ndarray, format_name: str | None) -> Format:
    """The format of listed boxes [N, 4]. Raises ModelError where they do not tell it, or are no boxes."""
    if format_name is not None:
        if not FORMATS[format_name].absolute:
            raise ModelError(f"boxes that are listed have no cells, and are not '{format_name}'", options=("boxes",))
        return FORMATS[format_name]
    if not len(numbers):
        raise ModelError("no box is listed for random images: name the format of the boxes", options=("boxes",))
    ordered = float((numbers[:, 2:] >= numbers[:, :2]).all(axis=1).mean())
    if ordered < ORDERED:
        raise ModelError(
            f"{1 - ordered:.0%} of the boxes that are listed are no corners: name their format", options=("boxes",)
        )
    return FORMATS["xyxy01" if np.abs(numbers).max() < SHARES else "xyxy"]
