"""What is explained beside classes, one task a file; and the target of a task, by what was located and is picked of it."""

from __future__ import annotations

from openvino_xai.contract import Score
from openvino_xai.errors import InputError
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.tasks.regions import PixelScores
from openvino_xai.locate.tasks.vector import Vector
from openvino_xai.tail.target import ClassTarget, Contrasts, Likeness, Pick, Target
from openvino_xai.tail.tasks.contrasts import ContrastTarget
from openvino_xai.tail.tasks.likeness import VectorTarget
from openvino_xai.tail.tasks.regions import RegionTarget


def target_of(scores: Scores, pick: Pick, score: Score) -> Target:
    """What is explained, for a pick of what was located. Raises InputError where the two are of different tasks."""
    if isinstance(scores, Vector) != isinstance(pick, Likeness):
        raise InputError(f"output '{scores.name}' has no targets '{pick}'", options=("targets",))
    if isinstance(scores, Vector) and isinstance(pick, Likeness):
        return VectorTarget(scores, pick)
    if isinstance(scores, PixelScores):
        if isinstance(pick, Contrasts):
            raise InputError(
                f"output '{scores.name}' tells classes of pixels, each explained over a region of its own, and two regions "
                f"have no difference '{pick}': name classes",
                options=("targets",),
            )
        return RegionTarget(scores, pick)
    if isinstance(pick, Contrasts):
        return ContrastTarget.of(scores, pick, score)
    return ClassTarget.of(scores, pick, score)
