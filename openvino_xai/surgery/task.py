"""What a model is: a classifier, a detector, or one that tells classes of pixels."""

from __future__ import annotations

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError, OvxaiError
from openvino_xai.locate.detector import Detector, as_detector, has_boxes
from openvino_xai.locate.image import find_image
from openvino_xai.locate.located import Where
from openvino_xai.locate.positions import places
from openvino_xai.locate.scores import find_scores
from openvino_xai.locate.tasks.regions import find_pixel_scores, placed_anew
from openvino_xai.tail.rows.pick import is_of_rows
from openvino_xai.tail.target import Targets


def detector_of(deployed: Deployed, where: Where, targets: Targets | None = None, *, of_rows: bool = False) -> Detector | None:
    """The model as a detector, where rows are asked for, or it is no classifier; else None. Raises ModelError."""
    if of_rows or (isinstance(targets, str) and is_of_rows(targets)):
        return Detector.of(deployed, where)
    if where.task is not None:
        return None
    try:
        scores = find_scores(deployed.graph, where.scores)
    except ModelError as error:
        if "scores" in error.options:  # a classifier with several heads is none
            raise
        return _boxed(deployed, where) if _may_tell_pixels(deployed, where) else as_detector(deployed, where, error)
    return Detector.of(deployed, where) if where.scores is None and has_boxes(deployed.graph, scores) else None


def tells_pixels(deployed: Deployed, where: Where) -> bool:
    """Whether a model tells classes of pixels, and neither scores of images nor boxes, whose rows may lie on a map, too."""
    try:
        find_scores(deployed.graph, where.scores)
    except ModelError:
        return _may_tell_pixels(deployed, where) and _boxed(deployed, where) is None
    return False


def _may_tell_pixels(deployed: Deployed, where: Where) -> bool:
    """Whether an output has scores, or classes, for each pixel."""
    graph = deployed.graph
    try:
        image, place = find_image(graph, where.image)
        find_pixel_scores(graph, placed_anew(graph, places(graph, image, place)), where.scores)
    except ModelError:
        return False
    return True


def _boxed(deployed: Deployed, where: Where) -> Detector | None:
    """The model as a detector, where its rows have boxes."""
    try:
        detector = Detector.of(deployed, where)
        detector.boxes()
    except OvxaiError:
        return None
    return detector
