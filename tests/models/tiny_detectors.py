"""Tiny detectors, built node by node, and what each is by construction: where a row lies, and what its scores are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

CLASSES = 3
IMAGE = (3, 32, 48)


@dataclass(frozen=True)
class Truth:
    """What a detector is: for each level the cells, and for each row the level, the cell and the channels of its scores.

    Rows lie level by level, and in a level as the letters of `order` say, the last the fastest: `a` is the anchor, `y` and `x`
    the cell. `channel` tells the channel of the head that holds a class of an anchor, `objectness` that of its objectness.
    Scores are read from the outputs `scores`, or from the values `read`, where those are thinned out: classes along `axis`,
    from column `first` on, with the objectness in `column`.
    """

    grids: tuple[tuple[int, int], ...]
    order: str = "yx"
    anchors: int = 1
    classes: int = CLASSES
    channel: Callable[[int, int], int] = lambda anchor, label: label
    objectness: Callable[[int], int] | None = None
    squash: str = "sigmoid"
    background: int | None = None
    scores: tuple[str, ...] = ("scores",)
    backbone: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    boxes: str | None = None  # the format, None where the file has none
    read: tuple[str, ...] = ()
    axis: int = 2
    first: int = 0
    column: int | None = None
    returned: str | None = None  # the output that lists rows: [B, N, 6], a score and a class behind a box, or [B, N, C]

    @property
    def values(self) -> tuple[str, ...]:
        """The values that hold scores of all rows."""
        return self.read or self.scores

    def log_odds(self, arrays: Sequence[np.ndarray], rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """[B, D], of rows [B, D] and their classes, from what `values` hold."""
        tables = [np.moveaxis(array, self.axis, -1) for array in arrays]
        table = np.concatenate([array.reshape(len(array), -1, array.shape[-1]) for array in tables], axis=1)
        image = np.arange(len(table))[:, None]
        p = table[image, rows, self.first + labels]
        z = np.log(p / (1 - p))
        if self.column is not None:
            p = table[image, rows, self.column]
            z += np.log(p / (1 - p))
        return np.asarray(z)

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """The level, row, column and anchor of each row."""
        for level, (height, width) in enumerate(self.grids):
            sizes = {"a": self.anchors, "y": height, "x": width}
            for place in np.ndindex(*(sizes[letter] for letter in self.order)):
                where = dict(zip(self.order, map(int, place), strict=True))
                yield level, where["y"], where["x"], where.get("a", 0)


@dataclass(frozen=True)
class Tiny:
    """A detector, and what it is."""

    model: onnx.ModelProto
    truth: Truth


class Net:
    """A network under construction: nodes, weights, and the shape [C, H, W] of each map of cells."""

    def __init__(self, batch: int | str, *, image: Sequence[int] = IMAGE, opset: int = 13, seed: int = 0) -> None:
        self.batch, self.image, self.opset = batch, tuple(image), opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {"image": self.image}
        self._rng = np.random.default_rng(seed)

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """The name of what a new node makes."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, array: np.ndarray | Sequence[int] | float) -> str:
        """The name of a new constant; lists are whole numbers, a float is one of f32."""
        name = f"k{len(self.weights)}"
        content = np.asarray(array, np.float32 if isinstance(array, float) else None)
        self.weights.append(numpy_helper.from_array(content, name))
        return name

    def random(self, *shape: int, scale: float = 1.0) -> str:
        """The name of a new weight: normal numbers, smaller the more of them are summed."""
        scale /= np.sqrt(max(1, np.prod(shape[1:])))
        return self.weight(self._rng.normal(0, scale, shape).astype(np.float32))

    def conv(self, x: str, channels: int, kernel: int = 1, stride: int = 1, *, name: str | None = None, groups: int = 1,
             scale: float = 1.2, bias: float | np.ndarray = 0.3, **attributes: Any) -> str:  # fmt: skip
        """A convolution with a bias, padded so that a stride of 1 keeps the cells, unless attributes say otherwise."""
        before, height, width = self.shapes[x]
        shift = self.random(channels, scale=bias) if isinstance(bias, float) else self.weight(bias.astype(np.float32))
        weights = [self.random(channels, before // groups, kernel, kernel, scale=scale), shift]
        dilation = attributes.get("dilations", [1])[0]
        if not {"pads", "auto_pad"} & set(attributes):
            attributes["pads"] = [dilation * (kernel // 2)] * 4
        pads = attributes.get("pads")
        if pads is None:
            sizes = [-(-size // stride) for size in (height, width)]
        else:
            reach = dilation * (kernel - 1) + 1
            sizes = [(size + pads[i] + pads[i + 2] - reach) // stride + 1 for i, size in enumerate((height, width))]
        y = self.node(
            "Conv", x, *weights, name=name, kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups, **attributes
        )
        self.shapes[y] = (channels, *sizes)
        return y

    def like(self, x: str, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """A node whose output has the shape of `x`."""
        y = self.node(kind, *inputs, name=name, **attributes)
        self.shapes[y] = self.shapes[x]
        return y

    def silu(self, x: str, name: str | None = None) -> str:
        """x * sigmoid(x)"""
        return self.like(x, "Mul", x, self.node("Sigmoid", x), name=name)

    def relu(self, x: str, name: str | None = None) -> str:
        """max(x, 0)"""
        return self.like(x, "Relu", x, name=name)

    def leaky(self, x: str, name: str | None = None) -> str:
        """x, and a fifth of it below 0."""
        return self.like(x, "LeakyRelu", x, name=name, alpha=0.2)

    def hard_swish(self, x: str, name: str | None = None) -> str:
        """x * clip(x / 6 + 1 / 2, 0, 1)"""
        return self.like(x, "Mul", x, self.node("HardSigmoid", x, alpha=1 / 6, beta=0.5), name=name)

    def add(self, a: str, b: str, name: str | None = None) -> str:
        """a + b"""
        return self.like(a, "Add", a, b, name=name)

    def gate(self, x: str, name: str | None = None) -> str:
        """Channels weighed by what all cells hold."""
        pooled = self.node("GlobalAveragePool", x)
        self.shapes[pooled] = (self.shapes[x][0], 1, 1)
        return self.like(x, "Mul", x, self.node("Sigmoid", self.conv(pooled, self.shapes[x][0])), name=name)

    def pool(self, x: str, kernel: int, stride: int = 1, *, kind: str = "MaxPool", name: str | None = None) -> str:
        """The maximum, or the mean, around a cell."""
        pad = kernel // 2 if stride == 1 else 0
        y = self.node(kind, x, name=name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        channels, height, width = self.shapes[x]
        self.shapes[y] = (channels, (height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1)
        return y

    def join(self, *values: str, name: str | None = None) -> str:
        """Channels side by side."""
        y = self.node("Concat", *values, name=name, axis=1)
        self.shapes[y] = (sum(self.shapes[v][0] for v in values), *self.shapes[values[0]][1:])
        return y

    def halves(self, x: str) -> tuple[str, str]:
        """The first and the second half of the channels."""
        channels, height, width = self.shapes[x]
        first, second = self.parts(x, [channels // 2, channels // 2], axis=1)
        self.shapes.update(dict.fromkeys((first, second), (channels // 2, height, width)))
        return first, second

    def doubled(self, x: str, name: str | None = None) -> str:
        """Each cell four times."""
        scales = self.weight(np.array([1, 1, 2, 2], np.float32))
        y = self.node("Resize", x, "", scales, name=name, mode="nearest", coordinate_transformation_mode="asymmetric",
                      nearest_mode="floor")  # fmt: skip
        channels, height, width = self.shapes[x]
        self.shapes[y] = (channels, 2 * height, 2 * width)
        return y

    def flat(self, x: str, *sizes: int) -> str:
        """[B, *sizes]"""
        return self.node("Reshape", x, self.weight([0, *sizes]))

    def parts(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """A value in parts of these sizes along an axis."""
        names = [f"{x}_part{i}" for i in range(len(sizes))]
        self.nodes.append(helper.make_node("Split", [x, self.weight(list(sizes))], names, name=f"{x}_parts", axis=axis))
        return names

    def moved(self, x: str, *axes: int) -> str:
        """Axes in another order."""
        return self.node("Transpose", x, perm=list(axes))

    def model(self, outputs: dict[str, tuple[int | str, ...]]) -> onnx.ModelProto:
        """The network with outputs of these shapes behind the batch."""
        image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [self.batch, *self.image])
        results = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [self.batch, *s]) for n, s in outputs.items()]
        graph = helper.make_graph(self.nodes, "tiny", [image], results, self.weights)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", self.opset)])
        onnx.checker.check_model(model, full_check=True)
        return model


# ---- backbones and necks ---------------------------------------------------------------------------------------------------


def backbone(net: Net, widths: Sequence[int] = (4, 6, 8)) -> list[str]:
    """c3, c4 and so on, at strides 4, 8 and on, of as many channels: residual blocks with SiLU."""
    x, stages = net.silu(net.conv("image", 6, 3, 2)), []
    for index, channels in enumerate(widths, start=3):
        x = net.silu(net.conv(x, channels, 3, 2))
        x = net.add(x, net.silu(net.conv(x, channels, 3)), name=f"c{index}")
        stages.append(x)
    return stages


def odd_backbone(net: Net) -> list[str]:
    """As `backbone`, of what else networks are made of."""
    x = net.hard_swish(net.conv("image", 6, 3, 2, auto_pad="SAME_UPPER"))
    x = net.pool(x, 2, 2)
    x = net.leaky(net.conv(x, 6, 3, groups=6))
    c3 = net.gate(net.relu(net.conv(x, 4, 3, dilations=[2, 2])), name="c3")
    first, second = net.halves(net.conv(c3, 8, 3, 2, groups=2, pads=[0, 0, 1, 1]))
    c4 = net.join(net.silu(net.conv(first, 3, 3)), second, name="c4")
    x = net.relu(net.conv(c4, 8, 4, 2, pads=[1, 1, 1, 1]))
    pooled = [net.pool(x, 3), net.pool(net.pool(x, 3), 3)]
    c5 = net.relu(net.conv(net.join(x, *pooled), 8), name="c5")
    return [c3, c4, c5]


def fpn(net: Net, stages: Sequence[str], width: int = 6) -> list[str]:
    """p3, p4, p5: what is coarser comes to what is finer, enlarged and joined. t5 is the last value before that."""
    top = net.silu(net.conv(stages[-1], width), name=f"t{len(stages) + 2}")
    levels = [net.silu(net.conv(top, width, 3), name=f"p{len(stages) + 2}")]
    for index in range(len(stages) - 2, -1, -1):
        joined = net.join(net.doubled(top), stages[index])
        top = net.silu(net.conv(joined, width, 3), name=f"p{index + 3}")
        levels.insert(0, top)
    return levels


def added_fpn(net: Net, stages: Sequence[str], width: int = 6) -> list[str]:
    """As `fpn`, where levels are added: l3, l4, l5 are made for that of c3, c4, c5, cell by cell."""
    lateral = [net.conv(stage, width, name=f"l{index}") for index, stage in enumerate(stages, start=3)]
    top, sums = lateral[-1], [lateral[-1]]
    for value in lateral[-2::-1]:
        top = net.add(value, net.doubled(top))
        sums.insert(0, top)
    return [net.relu(net.conv(value, width, 3), name=f"p{index}") for index, value in enumerate(sums, start=3)]


def split_fpn(net: Net, stages: Sequence[str], width: int = 6) -> list[str]:
    """As `fpn`, whose levels are split in two: one part sees a cell, the other its neighbours (as in YOLOv8's C2f)."""
    levels = []
    for index, level in enumerate(fpn(net, stages, width), start=3):
        parts = [f"s{index}", f"r{index}"]
        net.nodes.append(helper.make_node("Split", [level, net.weight([width // 2] * 2)], parts, name=f"split{index}", axis=1))
        net.shapes |= dict.fromkeys(parts, (width // 2, *net.shapes[level][1:]))
        levels.append(net.join(parts[0], net.silu(net.conv(parts[1], width // 2, 3))))
    return levels


def pan(net: Net, stages: Sequence[str], width: int = 6) -> list[str]:
    """n3, n4, n5: behind an FPN, what is finer comes to what is coarser."""
    levels = fpn(net, stages, width)
    bottom = levels[0]
    out = [net.gate(net.silu(net.conv(bottom, width, 3)), name="n3")]
    for index, level in enumerate(levels[1:], start=4):
        bottom = net.silu(net.conv(net.join(net.conv(bottom, width, 3, 2), level), width, 3), name=f"n{index}")
        out.append(bottom)
    return out


# ---- heads -----------------------------------------------------------------------------------------------------------------


def grids(net: Net, levels: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The rows and columns of each level."""
    return tuple((net.shapes[x][1], net.shapes[x][2]) for x in levels)


def places(net: Net, levels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """[A, 2] and [A, 2]: the middles of all cells, x and y, in cells, and the sizes of cells in pixels."""
    middles, sizes = [], []
    for height, width in grids(net, levels):
        y, x = np.indices((height, width)).reshape(2, -1) + 0.5
        middles.append(np.stack([x, y], axis=1))
        sizes.append(np.full((height * width, 2), [net.image[2] / width, net.image[1] / height]))
    return np.concatenate(middles).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def in_pixels(net: Net, numbers: str, levels: Sequence[str]) -> str:
    """[B, 4, A], xyxy in pixels, of numbers [B, 4, A] about four distances."""
    middles, sizes = places(net, levels)
    first, last = net.parts(net.node("Sigmoid", numbers), [2, 2], axis=1)
    middle, size = net.weight(middles.T[None]), net.weight(sizes.T[None])
    corners = [net.node("Sub", middle, first), net.node("Add", middle, last)]
    return net.node("Concat", *[net.node("Mul", corner, size) for corner in corners], axis=1)


def one_convolution(net: Net, levels: Sequence[str], classes: int = CLASSES, anchors: int = 2) -> Tiny:
    """As YOLOv5 and v7: boxes, an objectness and classes of several anchors in one convolution a level, [B, A, 5 + C]."""
    width, parts = 5 + classes, []
    for x, (height, wide) in zip(levels, grids(net, levels), strict=True):
        laid = net.flat(net.conv(x, anchors * width), anchors, width, height, wide)
        y = net.node("Sigmoid", net.moved(laid, 0, 1, 3, 4, 2))
        xy, wh, rest = net.parts(y, [2, 2, 1 + classes], axis=4)
        stride = np.array([net.image[2] / wide, net.image[1] / height], np.float32)
        corner = np.stack(np.indices((height, wide))[::-1], axis=2).astype(np.float32)[None, None]
        centre = net.node("Mul", net.node("Add", xy, net.weight(corner)), net.weight(stride))
        size = net.node("Mul", wh, net.weight(2 * stride))
        parts.append(net.flat(net.node("Concat", centre, size, rest, axis=4), -1, width))
    net.node("Concat", *parts, name="scores", axis=1)
    truth = Truth(
        grids(net, levels), "ayx", anchors, classes, lambda anchor, label: anchor * width + 5 + label,
        lambda anchor: anchor * width + 4, boxes="xywh", heads=tuple(levels), first=5, column=4,
    )  # fmt: skip
    return Tiny(net.model({"scores": (sum(anchors * h * w for h, w in truth.grids), width)}), truth)


def separate_heads(net: Net, levels: Sequence[str], classes: int = CLASSES) -> Tiny:
    """As YOLOX: a convolution each for boxes, objectness and classes; sigmoids at each level; boxes are not decoded."""
    parts, heads = [], []
    for index, (x, (height, width)) in enumerate(zip(levels, grids(net, levels), strict=True), start=3):
        stem = net.silu(net.conv(x, 6), name=f"h{index}")
        of_classes, of_boxes = net.silu(net.conv(stem, 5, 3)), net.silu(net.conv(stem, 5, 3))
        scores = net.node("Sigmoid", net.conv(of_classes, classes))
        objectness = net.node("Sigmoid", net.conv(of_boxes, 1))
        joined = net.node("Concat", net.conv(net.like(of_boxes, "Tanh", of_boxes), 4, scale=0.3), objectness, scores, axis=1)
        parts.append(net.flat(joined, 5 + classes, height * width))
        heads.append(stem)
    net.node("Transpose", net.node("Concat", *parts, axis=2), name="scores", perm=[0, 2, 1])
    truth = Truth(
        grids(net, levels), classes=classes, objectness=lambda anchor: 0, boxes="yolox", heads=tuple(heads), first=5, column=4
    )
    return Tiny(net.model({"scores": (sum(h * w for h, w in truth.grids), 5 + classes)}), truth)


def joined_heads(net: Net, levels: Sequence[str], classes: int = CLASSES) -> tuple[str, str]:
    """As YOLOv8: boxes [B, 4, A] and scores [B, C, A] of all levels, squashed behind the concatenation."""
    parts = []
    for x, (height, width) in zip(levels, grids(net, levels), strict=True):
        boxes, scores = net.conv(net.silu(net.conv(x, 5, 3)), 4), net.conv(net.silu(net.conv(x, 5, 3)), classes)
        parts.append(net.flat(net.join(boxes, scores), 4 + classes, height * width))
    numbers, logits = net.parts(net.node("Concat", *parts, axis=2), [4, classes], axis=1)
    return in_pixels(net, numbers, levels), net.node("Sigmoid", logits)


def columns_first(net: Net, levels: Sequence[str], classes: int = CLASSES) -> Tiny:
    """[B, 4 + C, A]"""
    net.node("Concat", *joined_heads(net, levels, classes), name="scores", axis=1)
    truth = Truth(grids(net, levels), classes=classes, boxes="xyxy", heads=tuple(levels), axis=1, first=4)
    return Tiny(net.model({"scores": (4 + classes, sum(h * w for h, w in truth.grids))}), truth)


def two_outputs(net: Net, levels: Sequence[str], classes: int = CLASSES) -> Tiny:
    """Scores and boxes as outputs of their own, [B, A, C] and [B, A, 4]."""
    boxes, scores = joined_heads(net, levels, classes)
    net.node("Transpose", boxes, name="boxes", perm=[0, 2, 1])
    net.node("Transpose", scores, name="scores", perm=[0, 2, 1])
    truth = Truth(grids(net, levels), classes=classes, boxes="xyxy", heads=tuple(levels))
    count = sum(h * w for h, w in truth.grids)
    return Tiny(net.model({"boxes": (count, 4), "scores": (count, classes)}), truth)


def end_to_end(net: Net, levels: Sequence[str], classes: int = CLASSES, most: int = 20) -> Tiny:
    """As YOLOv10: the best rows alone, [B, D, 6]: a box, a score and a class."""
    boxes, scores = (net.moved(value, 0, 2, 1) for value in joined_heads(net, levels, classes))
    unsorted = scores
    best = net.node("ReduceMax", scores, axes=[2], keepdims=0)
    _, rows = _top(net, best, most)
    boxes, scores = _rows_of(net, boxes, rows, 4), _rows_of(net, scores, rows, classes)
    values, where = _top(net, net.flat(scores, -1), most)
    boxes = _rows_of(net, boxes, net.node("Div", where, net.weight([classes])), 4)
    label = net.node("Cast", net.node("Mod", where, net.weight([classes])), to=1)
    columns = [net.node("Unsqueeze", value, net.weight([2])) for value in (values, label)]
    net.node("Concat", boxes, *columns, name="scores", axis=2)
    truth = Truth(grids(net, levels), classes=classes, boxes="xyxy", heads=tuple(levels), read=(unsorted,), returned="scores")
    return Tiny(net.model({"scores": (most, 6)}), truth)


def best_rows(net: Net, levels: Sequence[str], classes: int = CLASSES, most: int = 20) -> Tiny:
    """The best rows with the scores of all of their classes, [B, D, 4] and [B, D, C]."""
    boxes, scores = (net.moved(value, 0, 2, 1) for value in joined_heads(net, levels, classes))
    unsorted = scores
    _, rows = _top(net, net.node("ReduceMax", scores, axes=[2], keepdims=0), most)
    net.node("Identity", _rows_of(net, boxes, rows, 4), name="boxes")
    net.node("Identity", _rows_of(net, scores, rows, classes), name="scores")
    truth = Truth(grids(net, levels), classes=classes, boxes="xyxy", heads=tuple(levels), read=(unsorted,), returned="scores")
    return Tiny(net.model({"boxes": (most, 4), "scores": (most, classes)}), truth)


def _top(net: Net, x: str, most: int) -> tuple[str, str]:
    names = f"{x}_best", f"{x}_which"
    net.nodes.append(helper.make_node("TopK", [x, net.weight([most])], list(names), name=f"{x}_top", axis=1))
    return names


def _rows_of(net: Net, x: str, rows: str, width: int) -> str:
    wide = net.node("Tile", net.node("Unsqueeze", rows, net.weight([2])), net.weight([1, 1, width]))
    return net.node("GatherElements", x, wide, axis=1)


def priors(net: Net, levels: Sequence[str], classes: int = CLASSES, anchors: int = 2, *, background: bool = True) -> Tiny:
    """As SSD (softmax, class 0 is the background) or RetinaNet (sigmoid): several anchors a cell, transposed to NHWC."""
    count = classes + background
    shift = np.tile([4.0 * background] + [0.0] * (count - 1), anchors)
    scores, boxes, centres, sizes = [], [], [], []
    middles, strides = places(net, levels)
    for x in levels:
        scores.append(net.flat(net.moved(net.conv(x, anchors * count, 3, bias=shift), 0, 2, 3, 1), -1, count))
        boxes.append(net.flat(net.moved(net.conv(net.like(x, "Tanh", x), anchors * 4, 3), 0, 2, 3, 1), -1, 4))
    extent = np.array(net.image[:0:-1], np.float32)
    centres = np.repeat(middles * strides / extent, anchors, axis=0)[None]
    sizes = (np.repeat(strides / extent, anchors, axis=0) * np.tile([[1.0], [1.5]], (len(middles), 1))[: centres.shape[1]])[
        None
    ]
    logits = net.node("Concat", *scores, axis=1)
    net.node(
        *(("Softmax", logits) if background else ("Sigmoid", logits)), name="scores", **({"axis": 2} if background else {})
    )
    first, last = net.parts(net.node("Concat", *boxes, axis=1), [2, 2], axis=2)
    size = net.weight(sizes.astype(np.float32))
    centre = net.node("Add", net.weight(centres), net.node("Mul", net.node("Mul", first, net.weight(0.1)), size))
    half = net.node("Mul", net.node("Exp", net.node("Mul", last, net.weight(0.2))), net.weight((sizes / 2).astype(np.float32)))
    net.node("Concat", net.node("Sub", centre, half), net.node("Add", centre, half), name="boxes", axis=2)
    truth = Truth(
        grids(net, levels), "yxa", anchors, count, lambda anchor, label: anchor * count + label,
        squash="softmax" if background else "sigmoid", background=0 if background else None, boxes="xyxy01",
        heads=tuple(levels),
    )  # fmt: skip
    rows = anchors * sum(h * w for h, w in truth.grids)
    return Tiny(net.model({"scores": (rows, count), "boxes": (rows, 4)}), truth)


def outputs_by_level(net: Net, levels: Sequence[str], classes: int = CLASSES) -> Tiny:
    """As NanoDet: scores and distributed distances of each level are outputs of their own."""
    outputs: dict[str, tuple[int | str, ...]] = {}
    for x, (height, width) in zip(levels, grids(net, levels), strict=True):
        scores, boxes = net.node("Sigmoid", net.conv(x, classes)), net.conv(x, 32)
        for name, value, size in (("cls", scores, classes), ("dis", boxes, 32)):
            key = f"{name}_{height}x{width}"
            net.node("Transpose", net.flat(value, size, height * width), name=key, perm=[0, 2, 1])
            outputs[key] = (height * width, size)
    names = tuple(key for key in outputs if key.startswith("cls"))
    truth = Truth(grids(net, levels), classes=classes, scores=names, boxes="dfl", heads=tuple(levels))
    return Tiny(net.model(outputs), truth)


def map_of_one_level(net: Net, levels: Sequence[str], classes: int = CLASSES) -> Tiny:
    """As FastestDet: one level, [B, 5 + C, H, W], a softmax of classes beside an objectness; boxes are not decoded."""
    (x,) = levels
    parts = [
        net.node("Sigmoid", net.conv(x, 1)),
        net.conv(net.like(x, "Tanh", x), 4, scale=0.3),
        net.node("Softmax", net.conv(x, classes), axis=1),
    ]
    net.node("Concat", *parts, name="scores", axis=1)
    truth = Truth(
        grids(net, levels),
        classes=classes,
        objectness=lambda anchor: 0,
        squash="softmax",
        boxes="fastestdet",
        heads=(x,),
        axis=1,
        first=5,
        column=0,
    )
    return Tiny(net.model({"scores": (5 + classes, *truth.grids[0])}), truth)


# ---- cases -----------------------------------------------------------------------------------------------------------------

FPN, PLAIN = ("c3", "c4", "t5"), ("c3", "c4", "c5")


def _with(tiny: Tiny, cut: Sequence[str]) -> Tiny:
    return replace(tiny, truth=replace(tiny.truth, backbone=tuple(cut)))


def _one_level(batch: int | str) -> Tiny:
    net = Net(batch)
    return _with(map_of_one_level(net, backbone(net, (4, 6))[1:]), ("c4",))


def _single_cell(batch: int | str) -> Tiny:
    net = Net(batch, image=(3, 16, 16))
    return _with(two_outputs(net, fpn(net, backbone(net))), FPN)


CASES: dict[str, Callable[[int | str], Tiny]] = {}


def _case(name: str, heads: Callable[..., Tiny], neck: Callable[..., list[str]] | None, cut: Sequence[str],
          stages: Callable[[Net], list[str]] = backbone, **settings: Any) -> None:  # fmt: skip
    def built(batch: int | str) -> Tiny:
        net = Net(batch)
        levels = stages(net) if neck is None else neck(net, stages(net))
        return _with(heads(net, levels, **settings), cut)

    CASES[name] = built


_case("one convolution a level", one_convolution, fpn, FPN)
_case("separate heads", separate_heads, pan, FPN)
_case("parts of a split", separate_heads, split_fpn, FPN)
_case("columns first", columns_first, added_fpn, PLAIN)
_case("two outputs", two_outputs, fpn, FPN)
_case("what networks are made of", columns_first, pan, FPN, odd_backbone)
_case("priors with a background", priors, None, PLAIN)
_case("priors with sigmoids", priors, added_fpn, PLAIN, background=False)
_case("outputs by level", outputs_by_level, fpn, FPN)
_case("one class", separate_heads, fpn, FPN, classes=1)
_case("one class, one convolution", one_convolution, fpn, FPN, classes=1, anchors=1)
_case("end to end", end_to_end, fpn, FPN)
_case("best rows", best_rows, fpn, FPN)
CASES["one level"] = _one_level
CASES["a level of one cell"] = _single_cell
