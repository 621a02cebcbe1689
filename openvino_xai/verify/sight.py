"""How much could be seen where maps were held to their definition: of flat maps, a wrong one is not told from a right one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Sight:
    """The maps of a head that were held to their definition.

    `spreads` has for each how far its cells lie apart, as a share of what a difference is a share of: the largest score, or the
    largest value of the map. `tolerance` is how far a map may be off, as the same share.
    """

    spreads: tuple[float, ...]
    tolerance: float

    @property
    def maps(self) -> int:
        """How many maps were compared."""
        return len(self.spreads)

    @property
    def spread(self) -> float:
        """Of the map whose cells lie farthest apart; 0 where there is none."""
        return max(self.spreads, default=0.0)

    @property
    def flat(self) -> int:
        """Maps whose cells lie no farther apart than a map may be off: any map of about that height would have passed."""
        return sum(not spread > self.tolerance for spread in self.spreads)

    @property
    def blind(self) -> bool:
        """Whether all maps are flat, or there is none: then verification saw nothing of the maps."""
        return self.flat == self.maps

    def to_dict(self) -> dict[str, float | int]:
        """As JSON has it."""
        return {"maps": self.maps, "flat": self.flat, "spread": self.spread, "tolerance": self.tolerance}


class Comparison(NamedTuple):
    """The cells of each image in which maps were held to their definition, the largest difference, and what each map spreads.

    `incompleteness` is the share of a difference of scores that attributions miss, None where none are to add up to one.
    """

    cells: int
    difference: float
    spreads: tuple[float, ...]
    incompleteness: float | None = None


def spread_of(values: np.ndarray, size: float) -> float:
    """How far values lie apart, as a share of a size; 0 where there is none of a size."""
    return float(np.ptp(values)) / size if size > 0 else 0.0
