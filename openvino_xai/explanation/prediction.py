"""A class that a model predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"id": self.id, "label": self.label, "probability": round(self.probability, 6)}
