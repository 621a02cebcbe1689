"""The words of openvino_xai 1.1.0 that services spell: what kind of model it is, and which method."""

from __future__ import annotations

from enum import Enum


class Task(Enum):
    """What a model answers: classes of an image, or boxes in it."""

    CLASSIFICATION = "classification"
    DETECTION = "detection"


class Method(Enum):
    """How maps are made: by a hook in the model, the first four, or by asking it again and again."""

    ACTIVATIONMAP = "activationmap"
    RECIPROCAM = "reciprocam"
    VITRECIPROCAM = "vitreciprocam"
    DETCLASSPROBABILITYMAP = "detclassprobabilitymap"
    RISE = "rise"
    AISE = "aise"
