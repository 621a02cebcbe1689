"""A class that a model predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openvino_xai.explanation.checks import hold


@dataclass(frozen=True)
class Prediction:
    """A class, its label (its id where there are no labels) and its probability in [0, 1]."""

    id: int
    label: str
    probability: float

    def __post_init__(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        number = isinstance(self.probability, (int, float))  # an explanation says of one that is not finite
        hold("a class", isinstance(self.id, int) and isinstance(self.label, str) and number)

    @property
    def name(self) -> str:
        """What tells it from other targets: its id."""
        return str(self.id)

    @property
    def caption(self) -> str:
        """Its label and probability, as a picture says them."""
        return f"{self.label} {self.probability:.1%}"

    def score_of(self, scores: np.ndarray) -> np.ndarray:
        """[N], of scores [N, K] of all classes: what is explained."""
        return np.asarray(scores[:, self.id])

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"id": self.id, "label": self.label, "probability": round(self.probability, 6)}


@dataclass(frozen=True)
class Contrast(Prediction):
    """What speaks for a class and not for an `other`; `label` says both, as `Egyptian cat, not tabby`.

    `id` and `probability` are those of the first.
    """

    other: Prediction

    @classmethod
    def of(cls, first: Prediction, other: Prediction) -> Contrast:
        """The contrast of two classes."""
        return cls(first.id, f"{first.label}, not {other.label}", first.probability, other)

    def __post_init__(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        super().__post_init__()
        hold("a class", type(self.other) is Prediction and self.other.id != self.id)

    @property
    def name(self) -> str:
        """Both ids, as `285-281`."""
        return f"{self.id}-{self.other.id}"

    @property
    def caption(self) -> str:
        """Both labels, and both probabilities."""
        return f"{self.label} {self.probability:.1%} - {self.other.probability:.1%}"

    def score_of(self, scores: np.ndarray) -> np.ndarray:
        """[N], of scores [N, K] of all classes: that of the first less that of the other."""
        return np.asarray(scores[:, self.id] - scores[:, self.other.id])

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: the other class is `other`."""
        return {**super().to_dict(), "other": self.other.to_dict()}
