"""Do two detectors look at the same things? Their boxes by class and place, and the maps of those that both see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openvino_xai.detection import DetectionExplanation
from openvino_xai.errors import ImageError
from openvino_xai.evaluate.boxes.matching import Object, matched
from openvino_xai.evaluate.similarity import Similarity, means, similarity
from openvino_xai.render.faults import blamed_on
from openvino_xai.runtime.detectors.detector import Detector


@dataclass(frozen=True, eq=False)
class Pair:
    """A box that two detectors see: which target of each it is, the IoU, and how alike the maps are."""

    places: tuple[int, int]
    iou: float
    similarity: Similarity


@dataclass(frozen=True, eq=False)
class ComparedBoxes:
    """One photo, explained by two detectors, and the `pairs` of boxes that are of one class and have an IoU above 0.5."""

    first: DetectionExplanation
    second: DetectionExplanation
    pairs: tuple[Pair, ...]


def compare_boxes(
    first: Detector, second: Detector, photos: Iterable[Path], skipped: Callable[[ImageError], None]
) -> Iterator[ComparedBoxes]:
    """Each photo as both detectors see it; what cannot be read is told to `skipped`. Raises InputError."""
    for photo in photos:
        try:
            with blamed_on(photo):
                row = paired(first.explain(photo), second.explain(photo))
        except ImageError as error:
            skipped(error)
        else:
            yield row


def paired(first: DetectionExplanation, second: DetectionExplanation) -> ComparedBoxes:
    """Two explanations of one photo; a box has one partner at most, and the best choose first."""
    matches = matched(first.targets, [Object(target.id, target.box) for target in second.targets])
    pairs = [
        Pair((place, match.object), match.iou or 0.0, similarity(first, second, (place, match.object)))
        for place, match in enumerate(matches)
        if match.object is not None
    ]
    return ComparedBoxes(first, second, tuple(pairs))


def overall(rows: Iterable[ComparedBoxes]) -> dict[str, float]:
    """The means over all pairs, `top_cell` a share of them; and the share of each detector's boxes that the other sees.

    Without a pair there are no means, and without boxes no shares.
    """
    rows = list(rows)
    pairs = [pair for row in rows for pair in row.pairs]
    counts = {"first": sum(len(row.first.targets) for row in rows), "second": sum(len(row.second.targets) for row in rows)}
    shares = {f"in_{name}": len(pairs) / count for name, count in counts.items() if count}
    return {**(means([pair.similarity for pair in pairs]) if pairs else {}), **shares}
