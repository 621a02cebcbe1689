"""What maps are defined to be, computed from the original model's own nodes: nothing of a plan takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from openvino_xai.contract import ALONE, CONFIDENCE, MAP, Names
from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import at_one, concrete
from openvino_xai.hooks.site import Channels
from openvino_xai.locate.framing.layout import Extent
from openvino_xai.locate.layers import Candidate, layer_name
from openvino_xai.locate.located import Location
from openvino_xai.locate.positions import Place
from openvino_xai.plan.decision import Decision
from openvino_xai.tail.target import Target
from openvino_xai.verify.original import Original

SAME = 1e-3  # of what a method asks may differ by rounding, as where channels are equally alike
CUT, END = "ovxai_cut", "ovxai_end"  # names of values that are read out or put in while verifying


@dataclass(frozen=True, kw_only=True)
class Reference(Original):
    """The model without a hook, and what was decided of the hook at a location of it, under its names.

    `beside` is what the hook is given beside the image, and what the model returns, by the names of inputs and outputs.
    """

    location: Location
    decision: Decision
    names: Names = ALONE
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def layer(self) -> Candidate:
        """The layer that is explained, with frames of clips apart from these."""
        layer = self.location.layer
        return replace(layer, cut=tuple(replace(part, place=part.place.unfolded) for part in layer.cut))

    @property
    def in_turn(self) -> list[Reference]:
        """The same at each of several layers."""
        layers = [Candidate(layer_name(part.value), (part,), None) for part in self.layer.cut]
        return [replace(self, location=replace(self.location, layer=layer)) for layer in layers]

    @property
    def target(self) -> Target:
        """What is explained there."""
        return self.decision.target(self.location.scores)

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the layer holds for inputs, with frames of clips apart; of the image itself, what it is given."""
        if self.layer.value is self.location.image:
            return inputs[self.location.image.name]
        return unfolded(self.holding(self.layer.value, inputs), self.location.layer.place)

    def holding(self, value: Value, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What a value of the model holds for inputs."""
        return self.probing(read={CUT: value})(dict(inputs))[CUT]

    def tail(self, inputs: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """The scores [B, K], f64, for what the layer may hold; all else is as for these inputs."""
        is_image = self.layer.value is self.location.image
        name = self.location.image.name if is_image else CUT
        running = self.probing(read={END: self.target.read}, inputs={} if is_image else {CUT: self.layer.value})

        def scores(features: np.ndarray) -> np.ndarray:
            features = folded(features, self.location.layer.place)
            y = running({**inputs, name: features.astype(self.layer.value.dtype)})[END]
            return self.target.reference(y, self.beside)

        return scores


@dataclass(frozen=True)
class ArraySite:
    """The part of a `Site` that a method reads which masks no cells.

    What it asks beside that is in `answers`: by name, what it is to give and what it is told. `baseline` is where the way to an
    image begins. Of tokens, the `class_token` is read by the scores, and `cell_tokens` are cells. Of several layers, `grids`
    are the rows and columns of each, and of the map behind these.
    """

    features: np.ndarray
    slopes: np.ndarray | None = None
    answers: Mapping[str, tuple[np.ndarray, ...]] = field(default_factory=dict)
    channels: int | None = None
    baseline: np.ndarray | None = None
    class_token: int = 0
    cell_tokens: np.ndarray | None = None
    grids: Sequence[tuple[int, int]] = ()

    def cells(self) -> np.ndarray:
        """[B, N, C]"""
        return self.features

    def gradients(self) -> np.ndarray:
        """[B, K, N, C]"""
        assert self.slopes is not None
        return self.slopes

    def noisy_images(self, copies: int, level: float) -> np.ndarray:
        """[B, S, ...]"""
        images = (self.answers.get("cells_at") or self.answers["gradients_at"])[0]
        if images.shape[1] != copies:
            raise VerificationError(f"the method asked for {copies} noisy copies and was given {images.shape[1]}")
        return images

    def images_on_the_way(self) -> np.ndarray:
        """[B, S, ...]"""
        return self.answers["gradients_at"][0]

    def attentions(self) -> tuple[np.ndarray, ...]:
        """[B, M, T, T] for each block"""
        return self.answers["attentions"]

    def attention_gradients(self) -> tuple[np.ndarray, ...]:
        """[B, K, M, T, T] for each block"""
        return self.answers["attention_gradients"]

    def block_gradients(self) -> tuple[np.ndarray, ...]:
        """[B, K, M, T, T] for each block"""
        return self.answers["block_gradients"]

    def cells_of_layers(self) -> tuple[np.ndarray, ...]:
        """L of [B, n, C]"""
        return self.answers["cells_of_layers"]

    def gradients_of_layers(self) -> tuple[np.ndarray, ...]:
        """L of [B, K, n, C]"""
        return self.answers["gradients_of_layers"]

    def on_one_grid(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        """L of [B, N, K]"""
        *grids, (height, width) = self.grids
        of_images = [
            [cv2.resize(flat.reshape(*grid, -1), (width, height)).reshape(height * width, -1) for flat in of_layer]
            for of_layer, grid in zip(maps, grids, strict=True)
        ]
        return [np.stack(images) for images in of_images]

    def __getattr__(self, question: str) -> Callable[..., Any]:
        """What answers a question."""
        if question not in vars(self).get("answers", {}):
            raise AttributeError(question)
        return partial(self._answer, question)

    def _answer(self, question: str, *arguments: np.ndarray | Channels) -> Any:
        """What was told for something that has to be as it was, but for rounding. Raises VerificationError."""
        if not arguments:
            return self.answers[question][0]
        (argument,), (expected, *results) = arguments, self.answers[question]
        argument = argument.masks if isinstance(argument, Channels) else argument
        if expected.shape != argument.shape or np.mean(~(np.abs(expected - argument) <= SAME)) > SAME:  # NaN differs
            raise VerificationError("what the method asks the model is not what it is defined to ask")
        return results[0] if len(results) == 1 else tuple(results)


def unfolded(features: np.ndarray, place: Place) -> np.ndarray:
    """Features [B * T, ...] of frames as [B, T, ...]; those of images as they are."""
    if not place.folds_frames:
        return features
    shape, axis = features.shape, place.batch
    return features.reshape(*shape[:axis], -1, at_one(place.frames), *shape[axis + 1 :])


def folded(features: np.ndarray, place: Place) -> np.ndarray:
    """What is `unfolded`, as it was."""
    if not place.folds_frames:
        return features
    shape, axis = features.shape, place.batch
    return features.reshape(*shape[:axis], -1, *shape[axis + 2 :])


def by_cell(features: np.ndarray, place: Place) -> np.ndarray:
    """[B, N, C] in f64: the layer's channels of each cell, of features as the layer has them."""
    features = features.astype(np.float64)
    others = [axis for axis in range(features.ndim) if axis not in (place.batch, *place.cells)]
    laid = features.transpose(place.batch, *place.cells, *others)
    if len(place.cells) > 1:
        return laid.reshape(len(laid), int(np.prod(laid.shape[1 : 1 + len(place.cells)])), -1)
    tokens = laid[:, place.tokens(laid.shape[1])]
    return tokens.reshape(*tokens.shape[:2], -1)


@dataclass(frozen=True)
class Visible:
    """The `rows` and `columns` of cells that a map of the image shows, of a `grid` of them."""

    rows: np.ndarray
    columns: np.ndarray
    grid: tuple[int, int]

    @property
    def cells(self) -> np.ndarray:
        """[M]: the cells, counted row by row among all."""
        return np.asarray((self.rows[:, None] * self.grid[1] + self.columns).reshape(-1))


def taken_off(original: Reference, new: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Visible | None]:
    """The outputs of a hook, with maps [B, K, h, w] of the cells that maps of the image show, and which these are.

    A place of a map has to show the cell that its middle lies in; None where maps are of all cells. Raises VerificationError.
    """
    decision, frame = original.decision, original.location.frame
    if frame is None or decision.traits.of_elements is not None:
        return dict(new), None
    grid = concrete(decision.grid, f"the cells of layer '{original.layer.name}'")
    sides = [
        _cells_at(length, extent, count)
        for length, extent, count in zip(new[MAP].shape[2:], (frame.rows, frame.columns), grid, strict=True)
    ]
    (rows, down), (columns, across) = (np.unique(side[side >= 0], return_index=True) for side in sides)
    firsts = [np.flatnonzero(side >= 0)[index] for side, index in zip(sides, (down, across), strict=True)]
    outputs = dict(new)
    for name, beside in ((MAP, 0.0), (CONFIDENCE, 1.0)):
        if name not in new:
            continue
        maps = new[name]
        small = maps[:, :, firsts[0]][..., firsts[1]]
        if name == MAP and decision.raw_scores:
            beside = small.min(axis=(2, 3), keepdims=True)
        expected = small[:, :, np.searchsorted(rows, sides[0]) % len(rows)][
            ..., np.searchsorted(columns, sides[1]) % len(columns)
        ]
        expected = np.where((sides[0] >= 0)[:, None] & (sides[1] >= 0), expected, beside)
        if not np.array_equal(maps, expected):
            raise VerificationError(
                f"'{name}' does not show the cells of layer '{original.layer.name}' where they lie on the image"
            )
        outputs[name] = small
    return outputs, Visible(rows, columns, (grid[0], grid[1]))


def _cells_at(length: int, extent: Extent, count: int) -> np.ndarray:
    """[length]: the cell, of `count` equal parts of an extent, in which the middle of each part of a map lies; else -1."""
    middles = (np.arange(length) + 0.5) / length
    cells = np.floor((middles - float(extent.start)) / float(extent.end - extent.start) * count)
    return np.where((cells >= 0) & (cells < count), cells, -1).astype(int)


class Definition:
    """Scores of single cells, computed by the original model's own nodes; of those that are `visible`, where not all are."""

    def __init__(self, original: Reference, inputs: dict[str, np.ndarray], visible: Visible | None = None) -> None:
        self._visible = visible
        cut = {f"{CUT}_{index}": part for index, part in enumerate(original.location.layer.cut)}
        values = {name: part.value for name, part in cut.items()}
        outputs = original.probing(read=values)(inputs)
        self._features = {name: (outputs[name], part.place) for name, part in cut.items()}
        self._weighs_neighbours = original.layer.attends and original.decision.kernel == "gaussian"
        self._inputs = inputs
        self._target, self._beside = original.target, original.beside
        self._tail = original.probing(read={END: self._target.read}, inputs=values)

    def scores(self, masks: list[int], columns: int, rows: int) -> np.ndarray:
        """[B, K] in float64: the scores when image b keeps only block `masks[b]` of a grid of rows and columns."""
        masked = self.masked(masks, columns, rows)
        return self._target.reference(self._tail({**self._inputs, **masked})[END], self._beside)

    def masked(self, masks: list[int], columns: int, rows: int) -> dict[str, np.ndarray]:
        """The features of each part of the layer, of which image b keeps only block `masks[b]`."""
        if self._visible is not None:
            masks, (rows, columns) = [int(self._visible.cells[mask]) for mask in masks], self._visible.grid
        masked = {}
        for name, (features, place) in self._features.items():
            apart = unfolded(features, place)
            of_images = [self._weights(mask, columns, rows, apart.shape, place.unfolded) for mask in masks]
            weights = np.concatenate(of_images, axis=place.batch)
            masked[name] = folded(apart * weights.astype(features.dtype), place)
        return masked

    def _weights(self, mask: int, columns: int, rows: int, sizes: tuple[int, ...], place: Place) -> np.ndarray:
        """The weight that a mask gives each cell or token of one image's features, in the axes of these."""
        height, width = (sizes[axis] for axis in place.cells) if len(place.cells) == 2 else (rows, columns)
        weights: np.ndarray = np.zeros((height, width))
        if self._weighs_neighbours:
            for h, w in np.ndindex(height, width):
                down, right = abs(h - mask // columns), abs(w - mask % columns)
                weights[h, w] = (2 - down) * (2 - right) / 16 if max(down, right) < 2 else 0
        else:
            tall, wide = height // rows, width // columns
            top, left = mask // columns * tall, mask % columns * wide
            weights[top : top + tall, left : left + wide] = 1
        if place.mirrored[0]:
            weights = np.flipud(weights)
        if place.mirrored[1]:
            weights = np.fliplr(weights)
        if len(place.cells) == 2:
            weights = weights.T if place.cells[0] > place.cells[1] else weights
        elif len(place.cells) == 1:
            tokens = np.ones(sizes[place.cells[0]])
            tokens[place.tokens(tokens.size)] = weights.reshape(-1)
            weights = tokens
        return weights.reshape([size if axis in place.cells else 1 for axis, size in enumerate(sizes)])
