"""Small convolutional networks: odd inputs and outputs, several ways to the scores, pools, time, and rare operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from families.odd_tokens import CLASSES, WIDTH, Trunk


class Network(nn.Module):
    """A trunk, and what is done `before` it, to its `cells`, and `behind` the linear layer of what they pool to."""

    def __init__(
        self,
        *,
        channels: int = 3,
        classes: int = CLASSES,
        before: Callable[[Tensor], Tensor] | None = None,
        cells: nn.Module | None = None,
        pool: Callable[[Tensor], Tensor] | None = None,
        width: int = WIDTH,
        behind: Callable[[Tensor], Any] | None = None,
    ) -> None:
        super().__init__()
        self.trunk, self.cells, self.head = Trunk(channels), cells or nn.Identity(), nn.Linear(width, classes)
        self.before, self.pool, self.behind = before, pool or mean, behind

    def forward(self, image: Tensor) -> Any:
        x = self.trunk(self.before(image) if self.before else image)
        y = self.head(self.pool(self.cells(x)))
        return self.behind(y) if self.behind else y


def mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def pyramid(x: Tensor) -> Tensor:
    return torch.cat([functional.adaptive_max_pool2d(x, size).flatten(1) for size in (1, 2, 4)], 1)


def generalised(x: Tensor) -> Tensor:
    return x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)


def largest_cells(x: Tensor) -> Tensor:
    return x.flatten(2).topk(4, dim=2).values.mean(2)


def bilinear(x: Tensor) -> Tensor:
    x = x.flatten(2)
    return (x @ x.transpose(1, 2) / x.shape[2]).flatten(1)


def normalised(image: Tensor) -> Tensor:
    """Of an image [B, H, W, 3] in 0 - 255."""
    return (image.permute(0, 3, 1, 2) / 255 - 0.45) / 0.22


class Metadata(nn.Module):
    """Features of an image and of numbers: joined, multiplied, or joined through an MLP."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.trunk = how, Trunk()
        self.numbers = nn.Sequential(nn.Linear(5, WIDTH), nn.ReLU()) if how != "join" else nn.Identity()
        width = {"join": WIDTH + 5, "mlp": 2 * WIDTH, "gate": WIDTH}[how]
        self.head = nn.Sequential(nn.Linear(width, 24), nn.ReLU(), nn.Linear(24, CLASSES))

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        x, y = mean(self.trunk(image)), self.numbers(numbers)
        return self.head(x * torch.sigmoid(y) if self.how == "gate" else torch.cat([x, y], 1))


class Pair(nn.Module):
    """Two images through one trunk, and the class of their difference."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = Trunk(), nn.Linear(WIDTH, CLASSES)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        return self.head((mean(self.trunk(image)) - mean(self.trunk(reference))).abs())


class Ensemble(nn.Module):
    """Networks of one image, whose scores, or whose probabilities, are averaged."""

    def __init__(self, *members: nn.Module, softmax: bool = False) -> None:
        super().__init__()
        self.members, self.softmax = nn.ModuleList(members), softmax

    def forward(self, image: Tensor) -> Tensor:
        scores = [member(image) for member in self.members]
        return sum(y.softmax(1) if self.softmax else y for y in scores) / len(scores)


class Flipped(nn.Module):
    """An image and its mirror image: the mean of scores, or of features."""

    def __init__(self, *, features: bool) -> None:
        super().__init__()
        self.features, self.network = features, Network()

    def forward(self, image: Tensor) -> Tensor:
        if not self.features:
            return (self.network(image) + self.network(image.flip(3))) / 2
        trunk = self.network.trunk
        return self.network.head((mean(trunk(image)) + mean(trunk(image.flip(3)))) / 2)


class Heads(nn.Module):
    """Several answers of one trunk: two outputs, or one of two groups of labels."""

    def __init__(self, *, joined: bool) -> None:
        super().__init__()
        self.trunk, self.joined = Trunk(), joined
        self.coarse, self.fine = nn.Linear(WIDTH, 3), nn.Linear(WIDTH, CLASSES)

    def forward(self, image: Tensor) -> Any:
        x = mean(self.trunk(image))
        answers = self.coarse(x), self.fine(x)
        return torch.cat([y.softmax(1) for y in answers], 1) if self.joined else answers


class Levels(nn.Module):
    """Three stages, pooled each: as they are, or from a feature pyramid with a head that all share."""

    def __init__(self, *, pyramid: bool) -> None:
        super().__init__()
        widths = (12, 16, 24)
        sizes = zip((3, *widths), widths, strict=False)
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.ReLU()) for i, o in sizes)
        self.sides = nn.ModuleList(nn.Conv2d(width, 16, 1) for width in widths)
        self.pyramid, self.head = pyramid, nn.Linear(48 if pyramid else sum(widths), CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        levels, x = [], image
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        if self.pyramid:
            merged = [self.sides[2](levels[2])]
            for index in (1, 0):
                merged.insert(0, self.sides[index](levels[index]) + functional.interpolate(merged[0], scale_factor=2.0))
            levels = merged
        return self.head(torch.cat([mean(level) for level in levels], 1))


class Video(nn.Module):
    """Frames: convolved with time, a mean of frames' features, or these through an LSTM."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.head = how, nn.Linear(24 if how == "recurrent" else WIDTH, CLASSES)
        if how == "volume":
            first, second = nn.Conv3d(3, 16, 3, (1, 2, 2), 1), nn.Conv3d(16, WIDTH, 3, 2, 1)
            self.trunk: nn.Module = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        else:
            self.trunk = Trunk()
            self.layer = nn.LSTM(WIDTH, 24, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        if self.how == "volume":
            return self.head(self.trunk(frames).mean((2, 3, 4)))
        b, t = frames.shape[:2]
        x = mean(self.trunk(frames.flatten(0, 1))).reshape(b, t, WIDTH)
        return self.head(self.layer(x)[0][:, -1] if self.how == "recurrent" else x.mean(1))


class Signal(nn.Module):
    """A signal [B, C, L]."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv1d(2, 16, 7, 4, 3), nn.ReLU(), nn.Conv1d(16, 24, 5, 2, 2), nn.ReLU())
        self.head = nn.Linear(24, CLASSES)

    def forward(self, signal: Tensor) -> Tensor:
        return self.head(self.trunk(signal).mean(2))


class Rare(nn.Module):
    """A rare operation between the trunk and the pool, and a convolution behind it."""

    def __init__(self, operation: Callable[[Tensor], Tensor], width: int = WIDTH) -> None:
        super().__init__()
        self.operation, self.mix = operation, nn.Conv2d(width, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(self.mix(self.operation(x)))


def folded(x: Tensor) -> Tensor:
    """Col2Im of what Im2Col makes."""
    return functional.fold(functional.unfold(x, 2, stride=2) * 1.5, x.shape[2:], 2, stride=2)


def responses(x: Tensor) -> Tensor:
    """ConvNeXt V2's global response normalisation."""
    norm = x.norm(dim=(2, 3), keepdim=True)
    return x + x * norm / (norm.mean(1, keepdim=True) + 1e-6)


def shuffled(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return x.reshape(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


def rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)


def outer(x: Tensor) -> Tensor:
    return torch.einsum("bchw,bdhw->bcd", x, x).flatten(1) / 64


class Excited(nn.Module):
    """Squeeze and excitation, the last thing before the pool."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(WIDTH, 8, 1), nn.Conv2d(8, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class Experts(nn.Module):
    """Two convolutions, weighed by what the image says of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(WIDTH, 2), nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(mean(x)).softmax(1)
        return sum(weights[:, i, None, None, None] * expert(x) for i, expert in enumerate(self.experts))


IMAGE = (1, 3, 64, 64)
# name: how it is made, and its inputs where these are not an image of three channels
NETWORKS: dict[str, tuple[Callable[[], nn.Module], dict[str, tuple[int, ...]]]] = {
    "one_logit": (lambda: Network(classes=1), {}),
    "squeezed": (lambda: Network(classes=1, behind=lambda y: torch.sigmoid(y).squeeze(1)), {}),
    "no_batch": (lambda: Network(behind=lambda y: y[0]), {}),
    "logits_and_probabilities": (lambda: Network(behind=lambda y: (y, y.softmax(1))), {}),
    "log_softmax": (lambda: Network(behind=lambda y: y.log_softmax(1)), {}),
    "sigmoid": (lambda: Network(behind=torch.sigmoid), {}),
    "normalised_scores": (lambda: Network(behind=lambda y: functional.normalize(y, dim=1)), {}),
    "heads": (lambda: Heads(joined=False), {}),
    "label_groups": (lambda: Heads(joined=True), {}),
    "channels_1": (lambda: Network(channels=1), {"image": (1, 1, 64, 64)}),
    "channels_2": (lambda: Network(channels=2), {"image": (1, 2, 64, 64)}),
    "channels_6": (lambda: Network(channels=6), {"image": (1, 6, 64, 64)}),
    "channels_13": (lambda: Network(channels=13), {"image": (1, 13, 64, 64)}),
    "channels_13_last": (lambda: Network(channels=13, before=lambda x: x.permute(0, 3, 1, 2)), {"image": (1, 64, 64, 13)}),
    "crop": (lambda: Network(before=lambda x: x[:, :, 8:-8, 4:-12]), {"image": (1, 3, 80, 80)}),
    "normalisation": (lambda: Network(before=normalised), {"image": (1, 64, 64, 3)}),
    "resized": (
        lambda: Network(before=lambda x: functional.interpolate(x, (64, 64), mode="bilinear")),
        {"image": (1, 3, 96, 96)},
    ),
    "padded": (lambda: Network(before=lambda x: functional.pad(x, (0, 0, 8, 8))), {"image": (1, 3, 48, 64)}),
    "metadata": (lambda: Metadata("join"), {"image": IMAGE, "numbers": (1, 5)}),
    "metadata_mlp": (lambda: Metadata("mlp"), {"image": IMAGE, "numbers": (1, 5)}),
    "metadata_gate": (lambda: Metadata("gate"), {"image": IMAGE, "numbers": (1, 5)}),
    "pair": (Pair, {"image": IMAGE, "reference": IMAGE}),
    "ensemble": (lambda: Ensemble(Network(), Network()), {}),
    "ensemble_of_probabilities": (lambda: Ensemble(Network(), Network(), softmax=True), {}),
    "flips": (lambda: Flipped(features=False), {}),
    "flips_of_features": (lambda: Flipped(features=True), {}),
    "pooled_levels": (lambda: Levels(pyramid=False), {}),
    "fpn": (lambda: Levels(pyramid=True), {}),
    "pyramid_of_pools": (lambda: Network(pool=pyramid, width=21 * WIDTH), {}),
    "mean_and_largest": (lambda: Network(pool=lambda x: torch.cat([mean(x), x.amax((2, 3))], 1), width=2 * WIDTH), {}),
    "generalised_mean": (lambda: Network(pool=generalised), {}),
    "largest_cells": (lambda: Network(pool=largest_cells), {}),
    "bilinear": (lambda: Network(pool=bilinear, width=WIDTH**2), {}),
    "einsum": (lambda: Network(pool=outer, width=WIDTH**2), {}),
    "flatten": (lambda: Network(pool=lambda x: x.flatten(1), width=64 * WIDTH), {}),
    "large_pool": (lambda: Network(pool=lambda x: functional.avg_pool2d(x, 1280, ceil_mode=True).flatten(1)), {}),
    "video": (lambda: Video("volume"), {"frames": (1, 3, 4, 32, 32)}),
    "clips": (lambda: Video("mean"), {"frames": (1, 4, 3, 32, 32)}),
    "recurrent_clips": (lambda: Video("recurrent"), {"frames": (1, 4, 3, 32, 32)}),
    "signal": (Signal, {"signal": (1, 2, 256)}),
    "col2im": (lambda: Network(cells=Rare(folded)), {}),
    "depth_to_space": (lambda: Network(cells=Rare(nn.PixelShuffle(2), WIDTH // 4)), {}),
    "space_to_depth": (lambda: Network(cells=Rare(nn.PixelUnshuffle(2), WIDTH * 4)), {}),
    "responses": (lambda: Network(cells=Rare(responses)), {}),
    "channel_shuffle": (lambda: Network(cells=Rare(shuffled)), {}),
    "rms_norm": (lambda: Network(cells=Rare(rms)), {}),
    "group_norm": (lambda: Network(cells=Rare(nn.GroupNorm(4, WIDTH))), {}),
    "instance_norm": (lambda: Network(cells=Rare(nn.InstanceNorm2d(WIDTH, affine=True))), {}),
    "transposed_convolution": (lambda: Network(cells=nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2)), {}),
    "excited": (lambda: Network(cells=Excited()), {}),
    "experts": (lambda: Network(cells=Experts()), {}),
}
PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
