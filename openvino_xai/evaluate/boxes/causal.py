"""How fast a box goes with the pixels that its map holds for the most salient, and comes with them.

Zhao and Chan, "ODAM", 2023 (as many pixels as the box has), and Petsiuk et al., "Black-box explanation of object detectors via
saliency maps", 2021 (all pixels of the photo). A prediction is a row with the probability of the box's class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from openvino_xai.errors import ImageError
from openvino_xai.evaluate.boxes.case import BoxCase
from openvino_xai.probes.d_rise import Proposals, left_of, overlaps

PARTS = 10  # of the box's area, one a step
STEPS = 20  # of the photo's pixels
SAME = 0.5  # IoU above which a prediction is of the same object

Score: TypeAlias = Callable[[BoxCase, Proposals], float]


def box_deletion(case: BoxCase) -> float:
    """What is left of the probability while the most salient pixels are replaced, up to the box's area: less is better.

    The mean over steps of a tenth of that area: of the largest probability of the class in a box with an IoU above 0.5, over
    that of the photo. Where another box of the object gains, it can exceed 1.
    """
    return float(_scores(case, case.order[: case.area], PARTS, same_box, back=False)[1:].mean())


def box_insertion(case: BoxCase) -> float:
    """What comes back of the probability while a replaced photo gets its most salient pixels back: more is better.

    As many as the box has; a mean as of `box_deletion`.
    """
    return float(_scores(case, case.order[: case.area], PARTS, same_box, back=True)[1:].mean())


def deletion(case: BoxCase) -> float:
    """The area under D-RISE's score while the photo's pixels are replaced, a twentieth a step: less is better.

    The score is the largest IoU * p over predictions, over that of the photo; the area is by the trapezoid rule.
    """
    return _area(_scores(case, case.order, STEPS, similarity, back=False))


def insertion(case: BoxCase) -> float:
    """The area under D-RISE's score, as of `deletion`, while a replaced photo gets its pixels back: more is better."""
    return _area(_scores(case, case.order, STEPS, similarity, back=True))


def _area(scores: np.ndarray) -> float:
    return float((scores[1:] + scores[:-1]).mean() / 2)


def same_box(case: BoxCase, proposals: Proposals) -> float:
    """The largest probability of the class in [0, 1] among predictions whose IoU with the box is above 0.5; 0 without any."""
    if case.label >= proposals.probabilities.shape[1]:
        return 0.0
    near = overlaps(np.array([case.box]), proposals.boxes)[0] > SAME
    return float(proposals.probabilities[near, case.label].max(initial=0))


def similarity(case: BoxCase, proposals: Proposals) -> float:
    """The largest IoU * p in [0, 1] over predictions."""
    return float(left_of(np.array([case.box]), np.array([case.label]), proposals)[0])


def _scores(case: BoxCase, order: np.ndarray, steps: int, score: Score, *, back: bool) -> np.ndarray:
    """[steps + 1]: scores while pixels in this order are replaced, or come `back`, over the score of the photo.

    Raises ImageError where the photo itself has no score, or one is no number.
    """
    scene = case.scene
    start, finish = (scene.blank, scene.image) if back else (scene.image, scene.blank)
    first, last = (image.reshape(image.shape[1], -1) for image in (start, finish))
    complete = len(order) == len(case.order)  # where it ends is the photo, or the blank: what is proposed there is there
    images = []
    for step in range(1, steps if complete else steps + 1):
        changed = order[: round(len(order) * step / steps)]
        image = first.copy()
        image[:, changed] = last[:, changed]
        images.append(image.reshape(start.shape[1:]))
    begin, end = scene.proposals[::-1] if back else scene.proposals
    proposals = [begin, *scene.propose(np.stack(images)), *([end] if complete else [])]
    reference = score(case, scene.proposals[0])
    scores = np.array([score(case, item) for item in proposals])
    if not (np.isfinite(scores).all() and reference > 0):
        raise ImageError(
            "the detector's own proposals hold no box like the one that is explained: do the hook and the preprocessing fit it?"
        )
    return np.asarray(scores / reference)
