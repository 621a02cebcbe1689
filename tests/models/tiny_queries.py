"""Tiny detectors of queries, built node by node: as DETR, YOLOS and RT-DETR are, and what each is by construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from tiny_detectors import Net, backbone

CLASSES, QUERIES, WIDTH, HEADS = 3, 5, 8, 2


@dataclass(frozen=True)
class QueryTruth:
    """What a detector of queries is: its layers, each [B, C, H, W], or [B, T, C] with so many tokens ahead of its cells.

    Log-odds are those of `values`, which hold [B, A, C]: logits, or sigmoids where it is `squashed`. With a `background`, which
    is the last class, they are those of a softmax. What is `beside` the layers stays as it is while their features are moved.
    """

    backbone: tuple[str, ...]
    heads: tuple[str, ...]
    grids: tuple[tuple[int, int], ...]
    values: tuple[str, ...] = ("logits",)
    classes: int = CLASSES
    prefix: int = 0
    beside: tuple[str, ...] = ()
    background: bool = False
    squashed: bool = False
    returned: None = None

    def log_odds(self, arrays: Sequence[np.ndarray], rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """[B, D], of rows [B, D] and their classes."""
        x = np.take_along_axis(arrays[0], rows[:, :, None], axis=1)  # [B, D, C]
        if self.squashed:
            x = np.log(x / (1 - x))
        logit = np.take_along_axis(x, labels[:, :, None], axis=2)[..., 0]
        if not self.background:
            return logit
        others = np.where(np.arange(x.shape[2]) == labels[:, :, None], 0, np.exp(x)).sum(axis=2)
        return np.asarray(logit - np.log(others))

    def maps(self, layer: int, array: np.ndarray) -> np.ndarray:
        """[..., C, H, W], of a layer's features or slopes: as they are, or of tokens [..., T, C]."""
        height, width = self.grids[layer]
        if array.shape[-2:] == (height, width):
            return array
        cells = array[..., self.prefix : self.prefix + height * width, :]
        return np.moveaxis(cells, -1, -2).reshape(*array.shape[:-2], -1, height, width)


@dataclass(frozen=True)
class TinyQueries:
    """A detector, and what it is; `score` is what has to be told of it."""

    model: onnx.ModelProto
    truth: QueryTruth
    score: str | None = None


# ---- parts of transformers -------------------------------------------------------------------------------------------------


def linear(net: Net, x: str, before: int, after: int, name: str | None = None, scale: float = 1.5) -> str:
    """[..., after], of [..., before]."""
    product = net.node("MatMul", x, net.weight(net._rng.normal(0, scale / np.sqrt(before), (before, after)).astype(np.float32)))
    return net.node("Add", product, net.random(after, scale=0.2), name=name)


def norm(net: Net, x: str, name: str | None = None) -> str:
    """A layer norm over channels."""
    scale = net.weight(net._rng.uniform(0.7, 1.3, WIDTH).astype(np.float32))
    return net.node("LayerNormalization", x, scale, net.random(WIDTH, scale=0.2), name=name, axis=-1)


def attention(net: Net, q: str, k: str, v: str) -> str:
    """[B, Q, WIDTH]: what queries gather of values by their keys."""

    def by_head(x: str, *order: int) -> str:
        laid = net.node("Reshape", linear(net, x, WIDTH, WIDTH), net.weight([0, 0, HEADS, WIDTH // HEADS]))
        return net.moved(laid, *order)

    queries = net.node("Mul", by_head(q, 0, 2, 1, 3), net.weight(float((WIDTH / HEADS) ** -0.5)))
    p = net.node("Softmax", net.node("MatMul", queries, by_head(k, 0, 2, 3, 1)), axis=-1)
    mixed = net.moved(net.node("MatMul", p, by_head(v, 0, 2, 1, 3)), 0, 2, 1, 3)
    return linear(net, net.node("Reshape", mixed, net.weight([0, 0, WIDTH])), WIDTH, WIDTH)


def feed_forward(net: Net, x: str) -> str:
    """Two linear layers of each token."""
    return linear(net, net.node("Relu", linear(net, x, WIDTH, 6)), 6, WIDTH)


def encoded(net: Net, x: str, cells: int, name: str | None = None) -> str:
    """Tokens [B, T, WIDTH] that have attended to one another, positions added to queries and keys."""
    placed = net.node("Add", x, net.random(1, cells, WIDTH, scale=4.0))
    x = norm(net, net.node("Add", x, attention(net, placed, placed, x)))
    return norm(net, net.node("Add", x, feed_forward(net, x)), name=name)


def flattened(net: Net, x: str) -> str:
    """[B, H * W, C]"""
    channels, height, width = net.shapes[x]
    return net.moved(net.flat(x, channels, height * width), 0, 2, 1)


def boxes_of(net: Net, x: str) -> str:
    """[B, A, 4]: centres and sizes as shares of the image, of queries [B, A, WIDTH]."""
    small = net.weight(np.array([1, 1, 0.3, 0.3], np.float32))
    return net.node("Mul", net.node("Sigmoid", linear(net, x, WIDTH, 4)), small, name="pred_boxes")


# ---- detectors -------------------------------------------------------------------------------------------------------------


def detr(batch: int | str) -> TinyQueries:
    """A backbone, an encoder, and a decoder of two layers; a softmax, whose last class is none, is left to clients."""
    net = Net(batch, opset=17)
    top = backbone(net, (4, 6))[-1]
    projected = net.conv(top, WIDTH)
    _, height, width = net.shapes[top]
    memory = encoded(net, flattened(net, projected), height * width, name="memory")
    where = net.random(1, QUERIES, WIDTH, scale=3.0)
    x = net.weight(np.zeros((1, QUERIES, WIDTH), np.float32))
    placed = net.node("Add", memory, net.random(1, height * width, WIDTH, scale=4.0))
    for _ in range(2):
        q = net.node("Add", x, where)
        x = norm(net, net.node("Add", x, attention(net, q, q, x)))
        x = norm(net, net.node("Add", x, attention(net, net.node("Add", x, where), placed, memory)))
        x = norm(net, net.node("Add", x, feed_forward(net, x)))
    linear(net, x, WIDTH, CLASSES + 1, name="logits")
    boxes_of(net, x)
    truth = QueryTruth(("c4",), ("memory",), ((height, width),), classes=CLASSES + 1, background=True)
    return TinyQueries(net.model({"logits": (QUERIES, CLASSES + 1), "pred_boxes": (QUERIES, 4)}), truth, "softmax")


def yolos(batch: int | str) -> TinyQueries:
    """Patches with a class token ahead of them and detection tokens behind, in a vision transformer of two blocks."""
    net = Net(batch, opset=17)
    patches = net.conv("image", WIDTH, 8, 8, pads=[0, 0, 0, 0])
    _, height, width = net.shapes[patches]
    count = net.node("Gather", net.node("Shape", "image"), net.weight([0]), axis=0)
    tokens = []
    for number in (1, QUERIES):
        sizes = net.node("Concat", count, net.weight([number, WIDTH]), axis=0)
        tokens.append(net.node("Expand", net.random(1, number, WIDTH, scale=3.0), sizes))
    joined = net.node("Concat", tokens[0], flattened(net, patches), tokens[1], axis=1)
    total = 1 + height * width + QUERIES
    x = net.node("Add", joined, net.random(1, total, WIDTH, scale=4.0), name="embedded")
    for index in range(2):
        before = norm(net, x, name=f"tokens{index}")
        x = net.node("Add", x, attention(net, before, before, before))
        x = net.node("Add", x, feed_forward(net, norm(net, x)), name=f"block{index}")
    x = norm(net, x)
    x = net.node("Slice", x, *[net.weight([value]) for value in (total - QUERIES, total, 1)])
    linear(net, x, WIDTH, CLASSES + 1, name="logits")
    boxes_of(net, x)
    truth = QueryTruth(("tokens1",), ("tokens1",), ((height, width),), classes=CLASSES + 1, prefix=1,
                       beside=("block0",), background=True)  # fmt: skip
    return TinyQueries(net.model({"logits": (QUERIES, CLASSES + 1), "pred_boxes": (QUERIES, 4)}), truth, "softmax")


def rt_detr(batch: int | str) -> TinyQueries:
    """Levels that mix, of which an encoder's scores pick the queries; these sample each level at places of their own."""
    net = Net(batch, opset=17)
    stages = backbone(net)[1:]
    c4, c5 = stages
    _, *cells = net.shapes[c5]
    top = encoded(net, flattened(net, net.conv(c5, WIDTH)), cells[0] * cells[1])
    f5 = net.node("Reshape", net.moved(top, 0, 2, 1), net.weight([0, WIDTH, *cells]))
    net.shapes[f5] = (WIDTH, cells[0], cells[1])
    p4 = net.silu(net.conv(net.join(net.doubled(f5), net.conv(c4, WIDTH)), WIDTH, 3), name="n4")
    p5 = net.silu(net.conv(net.join(net.conv(p4, WIDTH, 3, 2), f5), WIDTH, 3), name="n5")
    grids = [(net.shapes[x][1], net.shapes[x][2]) for x in (p4, p5)]
    memory = net.node("Concat", *[flattened(net, net.conv(x, WIDTH)) for x in (p4, p5)], axis=1)
    encoder = norm(net, linear(net, memory, WIDTH, WIDTH))
    best = net.node("ReduceMax", linear(net, encoder, WIDTH, CLASSES), axes=[2], keepdims=0)
    net.nodes.append(onnx.helper.make_node("TopK", [best, net.weight([QUERIES])], ["best", "which"], axis=1))
    middles = np.concatenate([(np.indices(grid[::-1]).reshape(2, -1).T + 0.5) / grid[::-1] for grid in grids])
    anchors = np.log(middles / (1 - middles)).astype(np.float32)[None]
    places = net.node("Add", linear(net, encoder, WIDTH, 2, scale=0.5), net.weight(anchors))
    x, place = (_picked(net, value, size) for value, size in ((encoder, WIDTH), (places, 2)))
    place = net.node("Sigmoid", place)
    for _ in range(2):
        where = linear(net, place, 2, WIDTH)
        q = net.node("Add", x, where)
        x = norm(net, net.node("Add", x, attention(net, q, q, x)))
        x = norm(net, net.node("Add", x, sampled(net, net.node("Add", x, where), place, memory, grids)))
        x = norm(net, net.node("Add", x, feed_forward(net, x)))
    net.node("Sigmoid", linear(net, x, WIDTH, CLASSES), name="scores")
    boxes_of(net, x)
    truth = QueryTruth(("c4", "c5"), ("n4", "n5"), (grids[0], grids[1]), values=("scores",), squashed=True)
    return TinyQueries(net.model({"scores": (QUERIES, CLASSES), "pred_boxes": (QUERIES, 4)}), truth)


def _picked(net: Net, x: str, width: int) -> str:
    wide = net.node("Tile", net.node("Unsqueeze", "which", net.weight([2])), net.weight([1, 1, width]))
    return net.node("GatherElements", x, wide, axis=1)


def sampled(net: Net, q: str, place: str, memory: str, grids: Sequence[tuple[int, int]], points: int = 2) -> str:
    """Deformable attention (Zhu et al., "Deformable DETR", 2021, equation 3): each query weighs a few places of each level."""
    levels, depth = len(grids), WIDTH // HEADS
    steps = linear(net, q, WIDTH, HEADS * levels * points * 2, scale=0.3)
    steps = net.node("Reshape", steps, net.weight([0, 0, HEADS, levels * points, 2]))
    centre = net.node("Reshape", place, net.weight([0, 0, 1, 1, 2]))
    share = net.node("Sub", net.node("Mul", net.node("Add", centre, steps), net.weight(2.0)), net.weight(1.0))
    grid = net.node("Reshape", net.moved(share, 0, 2, 1, 3, 4), net.weight([-1, QUERIES, levels * points, 2]))
    weights = net.node("Reshape", linear(net, q, WIDTH, HEADS * levels * points), net.weight([0, 0, HEADS, levels * points]))
    weights = net.moved(net.node("Softmax", weights, axis=-1), 0, 2, 1, 3)
    weights = net.node("Reshape", weights, net.weight([-1, 1, QUERIES, levels * points]))
    values = linear(net, memory, WIDTH, WIDTH)
    parts = net.parts(values, [height * width for height, width in grids], axis=1)
    places = net.parts(grid, [points] * levels, axis=2)
    taken = []
    for part, where, (height, width) in zip(parts, places, grids, strict=True):
        by_channel = net.node("Reshape", net.moved(part, 0, 2, 1), net.weight([-1, depth, height, width]))
        taken.append(net.node("GridSample", by_channel, where, mode="bilinear", padding_mode="zeros", align_corners=0))
    weighed = net.node("Mul", net.node("Concat", *taken, axis=3), weights)
    total = net.node("ReduceSum", weighed, net.weight([3]), keepdims=0)
    laid = net.moved(net.node("Reshape", total, net.weight([-1, WIDTH, QUERIES])), 0, 2, 1)
    return linear(net, laid, WIDTH, WIDTH)


CASES: dict[str, Callable[[int | str], TinyQueries]] = {"detr": detr, "yolos": yolos, "rt-detr": rt_detr}
