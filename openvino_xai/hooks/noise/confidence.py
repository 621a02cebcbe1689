"""How steady each cell of a map is: whether the method says the same of noisy copies of the image.

The method makes a map of each of S copies, each scaled to [0, 1] as maps are. Of a cell with the values m_1 ... m_S the
confidence is 1 less twice their standard deviation, sqrt(mean of (m_s - mean m)^2), which is a half at most. 1: all copies say
the same, also where they say 0. 0: the cell is 0 in one half of the copies, and 1 in the other.

Noise is that of SmoothGrad (Smilkov et al., 2017): Gaussian, its deviation a share of the image's range. The noise itself is a
constant of the model, the same for all images and runs but for its level, so that a confidence can be repeated and verified.
The definition is of this package, and from no paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openvino_xai.errors import PlanError
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.hooks.scale import unit
from openvino_xai.hooks.site import Site

COPIES = 5
LEVEL = 0.05  # of the image's range


@dataclass(frozen=True, eq=False)
class Copies:
    """Copies of images as so many images: the layer's features, and gradients, for a method that reads no more."""

    method: str
    features: Array  # [B * S, N, C]
    slopes: Callable[[], Array]  # [B * S, K, N, C]

    def cells(self) -> Array:
        """[B * S, N, C]: the channels of each cell."""
        return self.features

    def gradients(self) -> Array:
        """[B * S, K, N, C]: the derivative of each explained score by the cells."""
        return self.slopes()

    def __getattr__(self, question: str) -> Any:
        """Nothing. Raises PlanError."""
        raise PlanError(
            "a confidence is that of methods which read the features and gradients of one layer alone, as grad_cam and "
            f"hires_cam; {self.method} reads more here: leave the confidence out, or take another method",
            options=("confidence", "method"),
        )


def confidence(xp: Namespace, site: Site, hook: Callable[[Any, Any], Array], method: str) -> Array:
    """[B, N, K] in [0, 1], or [B, N, 1] of a method that knows no class: how steady each cell is under noise.

    Raises PlanError for a `method` whose `hook` reads more than features and gradients.
    """
    images = site.noisy_images(COPIES, LEVEL)
    cells = site.cells_at(images)
    batch, copies, count, channels = cells.shape

    def slopes() -> Array:
        gradients = site.gradients_at(images)
        return xp.reshape(gradients, (batch * copies, *gradients.shape[2:]))

    copies_as_images = Copies(method, xp.reshape(cells, (batch * copies, count, channels)), slopes)
    maps = unit(xp, hook(xp, copies_as_images))
    by_image = xp.reshape(maps, (batch, copies, *maps.shape[1:]))
    off = xp.subtract(by_image, xp.mean(by_image, axis=1, keepdims=True))
    deviation = xp.sqrt(xp.mean(xp.multiply(off, off), axis=1))
    return xp.add(xp.multiply(deviation, -2.0), 1.0)
