"""What a value of the tail is once the features are masked: three ways to say `B * N items` without computing them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import FIRST, Span


@dataclass(frozen=True)
class Rows:
    """Materialised: item b * N + n along `span` is copy n of image b."""

    value: Value
    span: Span = FIRST

    @property
    def count(self) -> Size:
        """B * N."""
        return self.span.length(shape_of(self.value))


@dataclass(frozen=True)
class MaskedCells:
    """Copy n of image b equals `value` of image b at the cells that mask n keeps, and `rest` everywhere else.

    `rest` is a constant of one image, of size 1 along the cells unless it depends on the position; None is 0.
    """

    value: Value
    rest: Value | None
    place: Place


@dataclass(frozen=True)
class FlattenedCells:
    """A `MaskedCells`, flattened to [B, everything else] in the order of its axes."""

    features: MaskedCells
    value: Value


@dataclass(frozen=True, eq=False)
class WeightedTokens:
    """Copy n of image b is `value` of image b, times `weights` [N, T] at (n, t) for its token t; 1 where a token is kept."""

    value: Value
    weights: np.ndarray
    place: Place


def tapped(trace: Trace, value: Value) -> Value:
    """The value, read before the model permutes it: runtimes fuse a permutation only into what nobody else reads.

    OpenVINO's CPU plugin (2026.4) sums in another order where a transpose before a mean has a second reader.
    """
    node = value.producer
    if value.native is None or node is None or node.kind != "transpose":
        return value
    return trace.permute_dims(tapped(trace, node.operand(0)), tuple(node.attributes["perm"]))


Masked: TypeAlias = "Rows | MaskedCells | FlattenedCells"
Start: TypeAlias = "MaskedCells | WeightedTokens | Rows"
