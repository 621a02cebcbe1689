"""What maps are defined to be, computed from the original model's own nodes: nothing of a plan takes part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from openvino_xai.dialects.open import compile_for
from openvino_xai.dialects.protocol import Deployed, Running, Runtime
from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Location
from openvino_xai.locate.positions import Place
from openvino_xai.surgery.decision import Decision
from openvino_xai.tail.target import Target

SAME = 1e-3  # of what a method asks may differ by rounding, as where channels are equally alike
CUT, RESIDUAL, END = "ovxai_cut", "ovxai_residual", "ovxai_end"  # names of values that are read out or put in while verifying


@dataclass(frozen=True)
class Reference:
    """The model without a hook, what was decided of the hook at a location of it, and the runtime that is asked."""

    model: Deployed
    location: Location
    decision: Decision
    runtime: Runtime

    @property
    def layer(self) -> Candidate:
        """The layer that is explained."""
        return self.location.layer

    @property
    def target(self) -> Target:
        """What is explained there."""
        return self.decision.target(self.location.scores)

    def probing(self, *, read: Mapping[str, Value], given: Mapping[str, Value]) -> Running:
        """The model with the values `read` as more outputs, and the values `given` as inputs, ready to run."""
        return self.compiled(self.model.probing(read=read, given=given))

    def compiled(self, model: Deployed) -> Running:
        """A twin of the model, ready to run."""
        return compile_for(model, self.runtime)


@dataclass(frozen=True)
class ArraySite:
    """The part of a `Site` that a method reads which masks no cells.

    What it asks beside that is in `answers`: by name, what it is to give and what it is told.
    """

    held: np.ndarray
    slopes: np.ndarray | None = None
    answers: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    channels: int | None = None

    def cells(self) -> np.ndarray:
        """[B, N, C]"""
        return self.held

    def gradients(self) -> np.ndarray:
        """[B, K, N, C]"""
        assert self.slopes is not None
        return self.slopes

    def channel_scores(self, kept: np.ndarray) -> np.ndarray:
        """[B, M, K]"""
        return self._told("channel_scores", kept)

    def image_scores(self, maps: np.ndarray) -> np.ndarray:
        """[B, M, K]"""
        return self._told("image_scores", maps)

    def largest_channels(self, weights: np.ndarray) -> np.ndarray:
        """[B, K, n]"""
        return self._told("largest_channels", weights).astype(np.int64)

    def enlarged_range(self, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two of [B, 1, M]"""
        ends = self._told("enlarged_range", maps)
        return ends[:, :1], ends[:, 1:]

    def noisy_gradients(self, copies: int, level: float) -> np.ndarray:
        """[B, S, K, N, C]"""
        images, told = self.answers["noisy_gradients"]
        if images.shape[1] != copies:
            raise VerificationError(f"the method asked for {copies} noisy copies and was given {images.shape[1]}")
        return told

    def _told(self, what: str, given: np.ndarray) -> np.ndarray:
        """What was told for something that has to be as it was, but for rounding. Raises VerificationError."""
        expected, told = self.answers[what]
        if expected.shape != given.shape or np.mean(~(np.abs(expected - given) <= SAME)) > SAME:  # NaN differs
            raise VerificationError("what the method asks the model is not what it is defined to ask")
        return told


def larger(a: float, b: float) -> float:
    """The larger of two differences; NaN where one of them is: Python's `max` would leave it out."""
    return float(np.maximum(a, b))


def by_cell(features: np.ndarray, place: Place) -> np.ndarray:
    """[B, N, C] in f64: the layer's channels of each cell, of features as the layer has them."""
    features = features.astype(np.float64)
    others = [axis for axis in range(1, features.ndim) if axis not in place.cells]
    laid = features.transpose(0, *place.cells, *others)
    if len(place.cells) == 2:
        return laid.reshape(len(laid), laid.shape[1] * laid.shape[2], -1)
    tokens = laid[:, place.tokens(laid.shape[1])]
    return tokens.reshape(*tokens.shape[:2], -1)


class Definition:
    """Scores of single cells, computed by the original model's own nodes."""

    def __init__(self, original: Reference, inputs: dict[str, np.ndarray]) -> None:
        layer = original.layer
        cuts = {CUT: layer.value}
        if layer.residual is not None and layer.residual is not layer.value:
            cuts[RESIDUAL] = layer.residual
        seen = original.probing(read=cuts, given={})(inputs)
        self._features = {name: seen[name] for name in cuts}
        self._layer, self._kernel = layer, original.decision.kernel
        self._inputs = inputs
        self._target = original.target
        self._tail = original.probing(read={END: self._target.read}, given=cuts)

    def scores(self, masks: list[int], columns: int, rows: int) -> np.ndarray:
        """[B, K] in float64: the scores when image b keeps only block `masks[b]` of a grid of rows and columns."""
        kept = np.stack([self._kept(mask, columns, rows) for mask in masks])
        features = {name: array * kept.astype(array.dtype) for name, array in self._features.items()}
        return self._target.reference(self._tail({**self._inputs, **features})[END])

    def _kept(self, mask: int, columns: int, rows: int) -> np.ndarray:
        """The weight that a mask gives each cell or token of one image's features, in the axes of these."""
        sizes, place = self._features[CUT].shape, self._layer.place
        height, width = (sizes[axis] for axis in place.cells) if len(place.cells) == 2 else (rows, columns)
        kept = np.zeros((height, width))
        if self._layer.residual is not None and self._kernel == "gaussian":
            for h, w in np.ndindex(height, width):
                down, right = abs(h - mask // columns), abs(w - mask % columns)
                kept[h, w] = (2 - down) * (2 - right) / 16 if max(down, right) < 2 else 0
        else:
            tall, wide = height // rows, width // columns
            top, left = mask // columns * tall, mask % columns * wide
            kept[top : top + tall, left : left + wide] = 1
        if len(place.cells) == 2:
            kept = kept.T if place.cells[0] > place.cells[1] else kept
        else:
            every = np.ones(sizes[place.cells[0]])
            every[place.tokens(every.size)] = kept.reshape(-1)
            kept = every
        return kept.reshape([size if axis in place.cells else 1 for axis, size in enumerate(sizes)][1:])
