"""Which detections are right: each against the objects that somebody drew.

Everingham et al., "The Pascal visual object classes challenge", 2010: the best detection chooses first, objects count once.
Bolya et al., "TIDE: a general toolbox for identifying object detection errors", 2020: an IoU of 0.1 is beside an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from openvino_xai.detection import Detection
from openvino_xai.probes.d_rise import overlaps
from openvino_xai.render.overlay import Box

Group: TypeAlias = Literal["true_positive", "mislocalised", "false_positive", "detected"]
SAME = 0.5  # IoU above which a box is of an object
BESIDE = 0.1  # IoU from which it is beside one


@dataclass(frozen=True)
class Object:
    """An object of class `label` in a photo: its box (x0, y0, x1, y1) in the photo's pixels."""

    label: int
    box: Box


@dataclass(frozen=True)
class Match:
    """What a detection is, its IoU with the `object` that it takes or else with the nearest of its class, and the other boxes.

    `object` is an index of the objects, None where it takes none; `others` are boxes of other objects of its class.
    """

    group: Group
    iou: float | None
    object: int | None = None
    others: tuple[Box, ...] = ()


def matched(detections: Sequence[Detection], objects: Sequence[Object] | None) -> list[Match]:
    """A match for each detection; `detected` where nobody says which objects there are (None).

    A `true_positive` has an IoU above 0.5 with an object of its class that no better detection takes. A `mislocalised` box has
    an IoU from 0.1 to 0.5 with the nearest. All else is a `false_positive`, a second box of an object among them. `others` are
    the objects of the class, but for that with an IoU above 0.5.
    """
    if objects is None:
        return [Match("detected", None) for _ in detections]
    matches: dict[int, Match] = {}
    free = set(range(len(objects)))
    for rank in sorted(range(len(detections)), key=lambda rank: -detections[rank].probability):
        detection = detections[rank]
        same = [index for index, item in enumerate(objects) if item.label == detection.id]
        near = overlaps(np.array([detection.box]), np.array([objects[index].box for index in same]).reshape(-1, 4))[0]
        nearest = sorted(range(len(same)), key=lambda place: -near[place])
        above = [place for place in nearest if near[place] > SAME]
        taken = next((place for place in above if same[place] in free), None)
        best = float(near.max(initial=0))
        if taken is not None:
            free.remove(same[taken])
        group: Group = "true_positive" if taken is not None else "false_positive"
        if not above and best >= BESIDE:
            group = "mislocalised"
        target = taken if taken is not None else next(iter(above), None)
        others = tuple(objects[index].box for place, index in enumerate(same) if place != target)
        iou = best if target is None else float(near[target])
        matches[rank] = Match(group, iou, None if taken is None else same[taken], others)
    return [matches[rank] for rank in range(len(detections))]
