"""A data set, measured box by box: one row a photo."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.boxes.annotations import Annotated
from openvino_xai.evaluate.boxes.baselines import BASELINES
from openvino_xai.evaluate.boxes.case import BoxCase, Scene
from openvino_xai.evaluate.boxes.matching import Match, matched
from openvino_xai.evaluate.boxes.metrics import BOX_METRICS, measured
from openvino_xai.evaluate.classes.case import Choices, cover
from openvino_xai.probes.d_rise import Proposals
from openvino_xai.render.faults import blamed_on
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.proposer import Proposer


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is measured: metrics by their `names`, of the network's maps and of the `baselines`, under `choices`."""

    names: tuple[str, ...] = tuple(BOX_METRICS)
    baselines: tuple[str, ...] = tuple(BASELINES)
    choices: Choices = field(default_factory=Choices)


def evaluate_boxes(
    network: Detector, propose: Proposer, photos: Sequence[Annotated], protocol: Protocol
) -> Iterator[dict[str, Any] | ImageError]:
    """For each photo, in order, what was measured of its boxes, or why it cannot be read or measured.

    `propose` is the same detector without its hook.
    """
    for photo in photos:
        try:
            with blamed_on(photo.path):
                row = _row(network, propose, photo, protocol)
        except ImageError as error:
            yield error
        else:
            yield row


def _row(network: Detector, propose: Proposer, photo: Annotated, protocol: Protocol) -> dict[str, Any]:
    explanation = network.explain(photo.path)
    scene = scene_of(network, propose, explanation, protocol.choices)
    boxes = []
    for target, match, case in cases_of(explanation, scene, photo):
        rng = np.random.default_rng([protocol.choices.seed, target.index, target.id])
        maps = {network.record["method"]: case}
        maps |= {name: replace(case, saliency=BASELINES[name](case, rng)) for name in protocol.baselines}
        boxes.append(box_row(target, match, {name: measured(item, protocol.names) for name, item in maps.items()}))
    return {"image": str(photo.path), "boxes": boxes}


def cases_of(explanation: DetectionExplanation, scene: Scene, photo: Annotated) -> list[tuple[Detection, Match, BoxCase]]:
    """Each box that is explained and has an area in the photo, what it is, and what its metrics are given."""
    matches = matched(explanation.targets, photo.objects_in(scene.size))
    return [
        (target, match, BoxCase(scene, target.box, target.id, saliency, match.others))
        for target, saliency, match in zip(explanation.targets, explanation.maps, matches, strict=True)
        if target.box[0] < target.box[2] and target.box[1] < target.box[3]
    ]


def scene_of(network: Detector, propose: Proposer, explanation: DetectionExplanation, choices: Choices) -> Scene:
    """The photo of an explanation, and what a detector makes of it."""
    image = network.prepare(explanation.image)
    size = (explanation.image.shape[0], explanation.image.shape[1])
    black = network.prepare(np.zeros((1, 1, 3), np.uint8))[:, :, :1, :1]

    def placed(images: np.ndarray) -> list[Proposals]:
        return [replace(item, boxes=network.preprocessing.boxes(item.boxes, size)) for item in propose(images)]

    return Scene(placed, image, cover(image, black, choices.covered), size, explanation.box)


def box_row(target: Detection, match: Match, metrics: dict[str, dict[str, float | None]]) -> dict[str, Any]:
    """A row of one box. Raises ImageError for a metric that is no number."""
    for source, values in metrics.items():
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                raise ImageError(f"{name} of {source} is {value}, which is no number")
    return {
        **target.to_dict(),
        "group": match.group,
        "iou": match.iou,
        "others": len(match.others),
        "metrics": metrics,
    }


def boxes_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The boxes of all photos. Raises InputError where there are none."""
    boxes = [box for row in rows for box in row["boxes"]]
    if not boxes:
        raise InputError("no box is found in any of the images: a lower score may show some", options=("min_score",))
    return boxes
