"""What a hook is given: the cells of a layer or the tokens of a block, and the tail as a function.

An interface and no class, because it is met twice: by the planner, where masked features are kept as a rule to be
applied as late as possible, and by arrays, where they are simply multiplied out: in the reference, and where a hook runs as a
probe. Each type says what some methods read, so that what answers these alone is no site for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np


@dataclass(frozen=True, eq=False)
class Cells:
    """Mask n keeps cell n alone, or block n of the grid; or multiplies cell i by `weights[n, i]`, of [N, H * W].

    Real weights are soft masks, as those of a kernel. Tokens that are no cells keep their values under them.
    """

    weights: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Channels:
    """Mask m of image b keeps the channels that are true in `masks[b, m]`, of [B, M, C]."""

    masks: Any


Mask: TypeAlias = Cells | Channels


class Features(Protocol):
    """One layer of one model, for B images."""

    def cells(self) -> Any:
        """[B, N, C]: the channels of each cell, as they are."""


class ChannelSite(Features, Protocol):
    """A layer, with the K scores that are explained there; a site where only channels are masked."""

    def scores(self, mask: Channels, /) -> Any:
        """[B, M, K]: the score of every explained class for the features under each mask."""


class ImageSite(Features, Protocol):
    """A layer, with the gradients of the K scores that are explained there; a site where the image is masked."""

    def gradients(self) -> Any:
        """[B, K, N, C]: the derivative of each explained score by the cells; [B, K, 1, C] where all cells have the same."""

    @property
    def channels(self) -> int | None:
        """n, how many channels a method asks about for each class; None for all."""

    def largest_channels(self, weights: Any) -> Any:
        """[B, K, n], i64: the indices of the n = `channels` largest of `weights` [B, K, C], the largest first."""

    def image_scores(self, maps: Any) -> Any:
        """[B, M, K]: the probability of each explained class for the image times each of `maps` [B, M, N], enlarged."""

    def enlarged_range(self, maps: Any) -> Any:
        """Two of [B, 1, M]: the least and the largest pixel of each of `maps` [B, M, N], enlarged to the image."""


class LayersSite(Protocol):
    """L layers of a network, one behind the other, with the gradients of the K scores that are explained there."""

    def cells_of_layers(self) -> tuple[Any, ...]:
        """L of [B, n, C]: the channels of each of a layer's n cells, as they are."""

    def gradients_of_layers(self) -> tuple[Any, ...]:
        """L of [B, K, n, C]: the derivative of each explained score by the cells; [B, K, 1, C] where cells are alike."""

    def on_one_grid(self, maps: Sequence[Any]) -> list[Any]:
        """L of [B, N, K]: the layers' maps [B, n, K] on as many cells as the finest has, bilinear between the centres."""


class PixelSite(Features, Protocol):
    """The image itself as a layer, whose cells are the pixels, with the gradients of the K scores that are explained there."""

    def gradients(self) -> Any:
        """[B, K, N, C]: the derivative of each explained score by each element of the pixels."""

    def images_on_the_way(self) -> Any:
        """[B, S, ...]: the images in the middle of each of S equal steps from the baseline to the image."""

    def gradients_at(self, images: Any) -> Any:
        """[B, S, K, N, C]: `gradients` at other images [B, S, ...]."""

    @property
    def baseline(self) -> Any:
        """[1] or [C], f32: what each pixel of the baseline holds."""


class AttentionSite(Features, Protocol):
    """All attention blocks of a network with a class token: N of its T tokens are cells. M heads may differ in number."""

    def attentions(self) -> tuple[Any, ...]:
        """[B, M, T, T] for each block, the first ahead: how much each token (of the third axis) attends to each other."""

    def attention_gradients(self) -> tuple[Any, ...]:
        """[B, K, M, T, T] for each block: the derivative of each explained score by `attentions`."""

    def block_gradients(self) -> tuple[Any, ...]:
        """[B, K, M, T, T] for each block: as `attention_gradients`, where the head reads the tokens behind this block."""

    @property
    def class_token(self) -> int:
        """Which token the scores read."""

    @property
    def cell_tokens(self) -> np.ndarray:
        """[N], i64: which tokens are cells, row by row."""


class Site(ChannelSite, ImageSite, LayersSite, PixelSite, AttentionSite, Protocol):
    """One layer of one model, with the scores that are explained there. N masks keep a cell each, or a block of cells."""

    def noisy_images(self, copies: int, level: float) -> Any:
        """[B, S, ...]: copies of the image with Gaussian noise of `level` times the image's range."""

    def cells_at(self, images: Any) -> Any:
        """[B, S, N, C]: `cells` at other images [B, S, ...]."""

    def gradients_at(self, images: Any) -> Any:
        """[B, S, K, N, C]: `gradients` at other images [B, S, ...]."""

    def class_scores(self) -> Any:
        """[B, J]: the scores of all classes, explained or not."""

    def explained_classes(self) -> Any:
        """[B, K, J]: 1 at each class that is explained, 0 elsewhere."""

    def gradients_of(self, seeds: Any) -> Any:
        """[B, K, N, C]: the derivative of sums of scores, weighed by `seeds` [B, K, J]; [B, K, 1, C] where cells are alike."""

    @property
    def token_grid(self) -> tuple[int, int]:
        """(H, W) of an attention block, where it is known before the model runs."""

    @property
    def kernel(self) -> str:
        """How a mask weighs the neighbours of a cell."""

    def scores(self, mask: Mask, /) -> Any:
        """[B, N, K]: the score of every explained class for the features under each of N masks."""
