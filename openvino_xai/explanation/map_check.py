"""What covering parts of an image did to the score of a class, beside the class's map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openvino_xai.explanation.checks import hold, is_number


@dataclass(frozen=True)
class MapCheck:
    """Whether a prediction rests on what its map shows: probabilities of the class, in [0, 1].

    `score` of the image, `covered` with the most salient cells covered, `random` the mean with as many random cells covered;
    `share` is how much of the image that is, in (0, 1]. `notes` say what the map does not: in full sentences, none of a sound
    one.
    """

    share: float
    score: float
    covered: float
    random: float
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        hold("a check", all(map(is_number, (self.share, self.score, self.covered, self.random))))
        hold("a check", isinstance(self.notes, tuple) and all(isinstance(note, str) for note in self.notes))

    @property
    def lines(self) -> tuple[str, ...]:
        """What a picture says of it, in a few words a line."""
        share = f"{self.share:.0%}"
        return (
            f"score {self.score:.2f}",
            f"top {share} covered: {self.covered:.2f}",
            f"random {share} covered: {self.random:.2f}",
            *self.notes,
        )

    def __str__(self) -> str:
        """In a sentence."""
        return "; ".join((sentence(self.share, self.score, self.covered, self.random), *self.notes))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        numbers = {name: round(getattr(self, name), 6) for name in ("share", "score", "covered", "random")}
        return {**numbers, "notes": list(self.notes)}


def sentence(share: float, score: float, covered: float, random: float) -> str:
    """What covering did."""
    return (
        f"covering the most salient {share:.0%} takes the score from {score:.2f} to {covered:.2f}, random cells to {random:.2f}"
    )
