"""What each kind of node computes: a NumPy function of the node's attributes and operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.graph.model import Node
from openvino_xai.graph.vocabulary import numpy_namespace

XP = numpy_namespace()
Meaning: TypeAlias = Callable[..., Any]  # of (attributes, shapes of the outputs, *operands); an operand left out is None
Attributes: TypeAlias = Mapping[str, Any]
Shapes: TypeAlias = list[tuple[int, ...]]


def plain(function: Callable[..., Any]) -> Meaning:
    return lambda a, shapes, *xs: function(*xs)


def folded(function: Callable[[Any, Any], Any]) -> Meaning:
    """For two operands or more, from the first to the last."""

    def call(a: Attributes, shapes: Shapes, first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return call


def reduced(function: Callable[..., Any]) -> Meaning:
    return lambda a, shapes, x, *_: function(x, axis=tuple(a["axes"]), keepdims=a["keepdims"])


def windows(a: Attributes, x: np.ndarray, out: tuple[int, ...], fill: float, outside: float | None = None) -> np.ndarray:
    """What each window reads [B, C, *out, *kernel].

    The padding reads as `fill`. Where the last windows end behind the padding, they read `outside`, or `fill` without it.
    """
    n, pads = len(a["kernel"]), a["pads"]
    reach = [(k - 1) * d + 1 for k, d in zip(a["kernel"], a["dilations"], strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *((pads[i], pads[i + n]) for i in range(n))], constant_values=fill)
    lacking = [max((o - 1) * s + r - size, 0) for o, s, r, size in zip(out, a["strides"], reach, x.shape[2:], strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *((0, more) for more in lacking)], constant_values=fill if outside is None else outside)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(2, 2 + n)))
    steps = [slice(0, (o - 1) * s + 1, s) for o, s in zip(out, a["strides"], strict=True)]
    return view[(slice(None), slice(None), *steps, *(slice(None, None, d) for d in a["dilations"]))]


def conv(a: Attributes, shapes: Shapes, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    (batch, channels, *out), groups, size = shapes[0], a["groups"], math.prod(a["kernel"])
    patches = windows(a, x, tuple(out), 0).reshape(batch, groups, x.shape[1] // groups, math.prod(out), size)
    y = np.einsum("bgcpk,gock->bgop", patches, weights.reshape(groups, channels // groups, -1, size)).reshape(shapes[0])
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in out))


def conv_transpose(a: Attributes, shapes: Shapes, x: np.ndarray, weights: np.ndarray, bias: Any = None) -> np.ndarray:
    n = len(a["kernel"])
    more = [
        shapes[0][i + 2] + a["pads"][i] + a["pads"][i + n]
        - (x.shape[i + 2] - 1) * a["strides"][i] - (a["kernel"][i] - 1) * a["dilations"][i] - 1
        for i in range(n)
    ]  # fmt: skip
    attributes = {name: a[name] for name in ("strides", "pads", "dilations", "groups")}
    y = XP.conv_transpose(x, weights, **attributes, output_padding=more)
    return np.asarray(y if bias is None else y + bias.reshape(-1, *(1 for _ in range(n))))


def max_pool(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    return windows(a, x, shapes[0][2:], -np.inf).max(axis=tuple(range(x.ndim, 2 * x.ndim - 2)))


def avg_pool(a: Attributes, shapes: Shapes, x: np.ndarray) -> np.ndarray:
    within = tuple(range(x.ndim, 2 * x.ndim - 2))
    counted = windows(a, np.ones_like(x), shapes[0][2:], 0 if a["exclude_pad"] else 1, 0).sum(axis=within)
    return np.asarray(windows(a, x, shapes[0][2:], 0).sum(axis=within) / counted)


def normalised(x: np.ndarray, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
    away = x - x.mean(axis=axes, keepdims=True)
    return np.asarray(away / np.sqrt((away**2).mean(axis=axes, keepdims=True) + epsilon))


def layer_norm(a: Attributes, shapes: Shapes, x: np.ndarray, scale: Any = None, shift: Any = None) -> np.ndarray:
    """Layer normalisation as ONNX and OpenVINO write it, or the mean taken off alone, where the node has no epsilon.

    A node that is not `scaled` has no scale and shift: its second operand holds the axes.
    """
    axes = tuple(axis % x.ndim for axis in a["axes"])
    if "epsilon" not in a:
        return np.asarray(x - x.mean(axis=axes, keepdims=True))
    y = normalised(x, axes, a["epsilon"])
    return y * scale + (0 if shift is None else shift) if a.get("scaled") else y


def by_channel(x: np.ndarray, each: np.ndarray) -> np.ndarray:
    return each.reshape(-1, *(1 for _ in x.shape[2:]))


def group_norm(a: Attributes, shapes: Shapes, x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    apart = x.reshape(len(x), int(a["num_groups"]), -1)
    return normalised(apart, (2,), a["epsilon"]).reshape(x.shape) * by_channel(x, scale) + by_channel(x, shift)


def instance_norm(a: Attributes, shapes: Shapes, x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    y = normalised(x, tuple(range(2, x.ndim)), a["epsilon"])
    return y * by_channel(x, scale) + by_channel(x, shift)


def batch_norm(a: Attributes, shapes: Shapes, *xs: np.ndarray) -> np.ndarray:
    x, (scale, shift, mean, variance) = xs[0], (by_channel(xs[0], each) for each in xs[1:])
    return np.asarray((x - mean) / np.sqrt(variance + a["epsilon"]) * scale + shift)


def normalize_l2(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    square = (x**2).sum(axis=tuple(a["axes"]), keepdims=True)
    epsilon = a.get("epsilon", 0.0)
    return np.asarray(x / np.sqrt(square + epsilon if a.get("added") else np.maximum(square, epsilon)))


def matmul(a: Attributes, shapes: Shapes, x: np.ndarray, y: np.ndarray, addend: Any = None) -> np.ndarray:
    x = x.swapaxes(-1, -2) if a.get("transpose_a") else x
    y = y.swapaxes(-1, -2) if a.get("transpose_b") else y
    return np.asarray(a.get("alpha", 1.0) * (x @ y) + (0 if addend is None else a.get("beta", 1.0) * addend))


def attention(a: Attributes, shapes: Shapes, q: Any, k: Any, v: Any, mask: Any = 0.0, scale: Any = None) -> np.ndarray:
    logits = q @ k.swapaxes(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale) + mask
    if a["causal"]:
        logits = np.where(np.tri(*logits.shape[-2:], dtype=bool), logits, -np.inf)
    return np.asarray(XP.softmax(logits, axis=-1) @ v)


def gelu(a: Attributes, shapes: Shapes, x: np.ndarray) -> np.ndarray:
    inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)) if a["by_tanh"] else XP.erf(x / math.sqrt(2))
    return np.asarray(x * (1 + inner) / 2)


def sliced(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    for axis, start, end, step in zip(a["axes"], a["starts"], a["ends"], a["steps"], strict=True):
        part = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
        x = x[(*(slice(None) for _ in range(axis % x.ndim)), part)]
    return np.expand_dims(np.squeeze(x, tuple(a.get("dropped", ()))), tuple(a.get("added", ())))


def split(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> list[np.ndarray]:
    return np.split(x, np.cumsum([shape[a["axis"]] for shape in shapes])[:-1], axis=a["axis"])


def pad(a: Attributes, shapes: Shapes, x: np.ndarray, *operands: Any) -> np.ndarray:
    """The value is the last operand that is one number; amounts below 0 cut off."""
    values = [item for item in operands if item is not None and np.ndim(item) == 0]
    fill = {"constant_values": values[-1]} if values and a["mode"] == "constant" else {}
    pairs = list(zip(a["pads"][: x.ndim], a["pads"][x.ndim :], strict=True))
    y = np.pad(x, [(max(begin, 0), max(end, 0)) for begin, end in pairs], mode=a["mode"], **fill)
    return y[tuple(slice(max(-begin, 0), min(end, 0) or None) for begin, end in pairs)]


def along(x: np.ndarray, axis: int, each: Any) -> Any:
    """What a quantiser has for each slice along an axis, or for all."""
    return each.reshape([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)]) if np.ndim(each) else each


def quantize(a: Attributes, shapes: Shapes, x: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    limits = np.iinfo(zero.dtype)
    return np.asarray(np.clip(np.rint(x / along(x, a["axis"], scale)) + along(x, a["axis"], zero), limits.min, limits.max))


def dequantize(a: Attributes, shapes: Shapes, q: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    return np.asarray((q.astype(np.float64) - along(q, a["axis"], zero)) * along(q, a["axis"], scale))


def fake_quantize(a: Attributes, shapes: Shapes, x: Any, low: Any, high: Any, out_low: Any, out_high: Any) -> np.ndarray:
    steps = a["levels"] - 1
    level = np.rint((np.clip(x, low, high) - low) / (high - low) * steps)
    return np.asarray(level / steps * (out_high - out_low) + out_low)


def elu(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    return np.where(x > 0, x, a["alpha"] * np.expm1(x))


def gather_nd(a: Attributes, shapes: Shapes, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Where axes of the batch are merged, as they are of the output."""
    y = picked_by_places(a["batch_dims"], x, places)
    return y.reshape(shapes[0]) if shapes else y


def picked_by_places(batch_dims: int, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    if batch_dims:
        return np.stack([picked_by_places(batch_dims - 1, *pair) for pair in zip(x, places, strict=True)])
    return x[tuple(np.moveaxis(places.astype(np.int64), -1, 0))]


def grid_sample(a: Attributes, shapes: Shapes, x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Place by place, of four elements around each, as PyTorch documents it."""
    images, channels, height, width = x.shape
    y = np.zeros((images, channels, *grid.shape[1:3]))
    for image, row, column in np.ndindex(*grid.shape[:3]):
        places = []
        for share, size in zip(grid[image, row, column], (width, height), strict=True):
            place = (share + 1) / 2 * (size - 1) if a["align_corners"] else ((share + 1) * size - 1) / 2
            places.append(min(max(place, 0), size - 1) if a["padding"] == "border" else place)
        if a["mode"] == "nearest":
            places = [float(np.rint(place)) for place in places]
        for i, j in np.ndindex(2, 2):
            down, across = math.floor(places[1]) + i, math.floor(places[0]) + j
            weight = (1 - abs(places[1] - down)) * (1 - abs(places[0] - across))
            if 0 <= down < height and 0 <= across < width:
                y[image, :, row, column] += weight * x[image, :, down, across]
    return y


def scatter_rows(a: Attributes, shapes: Shapes, x: np.ndarray, places: np.ndarray, updates: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[tuple(np.moveaxis(places.astype(np.int64), -1, 0))] = updates
    return result


def prelu(a: Attributes, shapes: Shapes, x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * (by_channel(x, slope) if a["by_channel"] and slope.ndim == 1 else slope))


def rolled(a: Attributes, shapes: Shapes, x: np.ndarray, shifts: np.ndarray, *_: Any) -> np.ndarray:
    return np.roll(x, tuple(shifts.reshape(-1).tolist()), tuple(a["axes"]))


def running(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    along = np.moveaxis(x, a["axis"], 0)
    along = along[::-1] if a["reverse"] else along
    sums = [along[: i if a["exclusive"] else i + 1].sum(axis=0) for i in range(len(along))]
    return np.moveaxis(np.stack(sums[::-1] if a["reverse"] else sums), 0, a["axis"])


def shuffled(a: Attributes, shapes: Shapes, x: np.ndarray) -> np.ndarray:
    along = np.moveaxis(x, a["axis"], 0)
    each = len(along) // a["groups"]
    return np.moveaxis(np.stack([along[k * each + i] for i in range(each) for k in range(a["groups"])]), 0, a["axis"])


def resized(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    for axis in a["axes"]:
        rows = [resized_row(a, axis, x.shape[axis], shapes[0][axis], i) for i in range(shapes[0][axis])]
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ np.array(rows).T, -1, axis)
    return x


def resized_row(a: Attributes, axis: int, before: int, after: int, i: int) -> np.ndarray:
    """The shares of each element [before] in element `i` along an axis."""
    places = np.arange(before)
    if a["mode"] == "area":
        start, end = i * before // after, math.ceil((i + 1) * before / after)
        return np.where((places >= start) & (places < end), 1 / (end - start), 0)
    factor = a["factors"][a["axes"].index(axis)] if "factors" in a else after / before
    place = {
        "half_pixel": (i + 0.5) / factor - 0.5,
        "half_pixel_symmetric": (i + 0.5 + (factor * before - after) / 2) / factor - 0.5,
        "pytorch_half_pixel": (i + 0.5) / factor - 0.5 if after > 1 else 0.0,
        "asymmetric": i / factor,
        "align_corners": i * (before - 1) / max(after - 1, 1),
        "tf_half_pixel_for_nn": (i + 0.5) / factor,
    }[a["coordinates"]]
    if a["mode"] == "linear":
        place = min(max(place, 0), before - 1)
        return np.maximum(1 - abs(places - place), 0)
    place = round(place, 5)  # where f64 and the f32 of runtimes differ
    nearest = {
        "round_prefer_floor": math.ceil(place - 0.5),
        "round_prefer_ceil": math.floor(place + 0.5),
        "floor": math.floor(place),
        "ceil": math.ceil(place),
        "simple": math.ceil(place) if factor < 1 else math.floor(place),
    }[a["rounding"]]
    return np.asarray(places == min(max(nearest, 0), before - 1), np.float64)


def log_softmax(a: Attributes, shapes: Shapes, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(XP.softmax(x, axis=a["axes"][0])))


def col2im(a: Attributes, shapes: Shapes, x: np.ndarray, sizes: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Window by window, each at its place on the padded image."""
    (high, wide), (top, left, bottom, right), (height, width) = a["kernel"], a["pads"], map(int, sizes)
    images, channels = len(x), x.shape[1] // (high * wide)
    padded = np.zeros((images, channels, height + top + bottom, width + left + right), x.dtype)
    starts = [
        range(0, size - (side - 1) * gap, step)
        for size, side, gap, step in zip(padded.shape[2:], a["kernel"], a["dilations"], a["strides"], strict=True)
    ]
    for n, (i, j) in enumerate((i, j) for i in starts[0] for j in starts[1]):
        window = x[:, :, n].reshape(images, channels, high, wide)
        for p, q in np.ndindex(high, wide):
            padded[:, :, i + p * a["dilations"][0], j + q * a["dilations"][1]] += window[:, :, p, q]
    return padded[:, :, top : top + height, left : left + width]


def depth_to_space(a: Attributes, shapes: Shapes, x: np.ndarray) -> np.ndarray:
    (images, channels, height, width), block = x.shape, a["block"]
    y = np.zeros((images, channels // block**2, height * block, width * block), x.dtype)
    for i, j, c in np.ndindex(block, block, channels // block**2):
        source = (c * block + i) * block + j if a["depth_first"] else (i * block + j) * (channels // block**2) + c
        y[:, c, i::block, j::block] = x[:, source]
    return y


def space_to_depth(a: Attributes, shapes: Shapes, x: np.ndarray) -> np.ndarray:
    (images, channels, height, width), block = x.shape, a["block"]
    y = np.zeros((images, channels * block**2, height // block, width // block), x.dtype)
    for i, j, c in np.ndindex(block, block, channels):
        target = (c * block + i) * block + j if a["depth_first"] else (i * block + j) * channels + c
        y[:, target] = x[:, c, i::block, j::block]
    return y


def as_the_output(a: Attributes, shapes: Shapes, x: np.ndarray, *_: Any) -> np.ndarray:
    return x.reshape(shapes[0])


MEANINGS: dict[str, Meaning] = {
    **{name: plain(getattr(np, name)) for name in "abs ceil cos exp floor log negative reciprocal sign sin sqrt".split()},
    **{name: plain(getattr(np, name)) for name in "tan tanh".split()},
    **{name: plain(getattr(np, name)) for name in "divide equal greater greater_equal less less_equal not_equal power".split()},
    **{name: folded(getattr(np, name)) for name in "add maximum minimum multiply subtract".split()},
    **{name: reduced(getattr(np, name)) for name in "max mean min prod sum".split()},
    "and": plain(np.logical_and),
    "attention": attention,
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "broadcast": lambda a, shapes, x, *_: np.broadcast_to(x, shapes[0]),
    "cast": lambda a, shapes, x, *_: x,  # the comparison rounds to the type of the output
    "clip": lambda a, shapes, x, *_: np.clip(x, a["min"], a["max"]),
    "concat": lambda a, shapes, *xs: np.concatenate(xs, axis=a["axis"]),
    "col2im": col2im,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "cumsum": running,
    "depth_to_space": depth_to_space,
    "dequantize": dequantize,
    "einsum": lambda a, shapes, *xs: np.einsum(a["equation"], *xs),
    "elu": elu,
    "erf": plain(XP.erf),
    "fake_quantize": fake_quantize,
    "full": lambda a, shapes, *_: np.full(shapes[0], a["value"]),
    "gather": lambda a, shapes, x, i, *_: np.take(x, i.astype(np.int64), axis=a["axis"]),
    "gather_nd": gather_nd,
    "gather_elements": lambda a, shapes, x, i: np.take_along_axis(x, i, axis=a["axis"]),
    "gelu": gelu,
    "grid_sample": grid_sample,
    "group_norm": group_norm,
    "hard_sigmoid": lambda a, shapes, x, *_: np.clip(a["alpha"] * x + a["beta"], 0, 1),
    "hard_swish": plain(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "identity": plain(lambda x, *_: x),
    "instance_norm": instance_norm,
    "is_nan": plain(np.isnan),
    "l1": reduced(lambda x, **how: np.abs(x).sum(**how)),
    "l2": reduced(lambda x, **how: np.sqrt((x**2).sum(**how))),
    "layer_norm": layer_norm,
    "leaky_relu": lambda a, shapes, x: np.where(x > 0, x, a["alpha"] * x),
    "log_softmax": log_softmax,
    "log_sum_exp": reduced(lambda x, **how: np.log(np.exp(x).sum(**how))),
    "matmul": matmul,
    "max_pool": max_pool,
    "mish": plain(lambda x: x * np.tanh(np.logaddexp(0, x))),
    "mod": lambda a, shapes, x, y: np.mod(x, y) if a["floors"] else np.fmod(x, y),
    "normalize_l2": normalize_l2,
    "not": plain(np.logical_not),
    "or": plain(np.logical_or),
    "pad": pad,
    "prelu": prelu,
    "quantize": quantize,
    "range": plain(np.arange),
    "relu": plain(lambda x: np.maximum(x, 0)),
    "reshape": as_the_output,
    "resize": resized,
    "roll": rolled,
    "round": plain(np.rint),
    "shuffle": shuffled,
    "scatter_rows": scatter_rows,
    "selu": lambda a, shapes, x, *_: a["gamma"] * np.where(x > 0, x, a["alpha"] * np.expm1(x)),
    "shape": lambda a, shapes, x: np.prod(x.shape) if "product" in a else np.array(x.shape)[a.get("start") : a.get("end")],
    "sigmoid": plain(XP.sigmoid),
    "silu": lambda a, shapes, x, *_: x * XP.sigmoid(a["alpha"] * x),
    "slice": sliced,
    "softmax": lambda a, shapes, x: XP.softmax(x, axis=a["axes"][0]),
    "softplus": plain(lambda x: np.logaddexp(0, x)),
    "softsign": plain(lambda x: x / (1 + np.abs(x))),
    "space_to_depth": space_to_depth,
    "split": split,
    "squared_difference": plain(lambda x, y: (x - y) ** 2),
    "squeeze": lambda a, shapes, x, *_: np.squeeze(x, tuple(a["axes"])),
    "sum_square": reduced(lambda x, **how: (x**2).sum(**how)),
    "tile": lambda a, shapes, x, r: np.tile(x, tuple(r.astype(np.int64))),
    "thresholded_relu": plain(lambda x: np.where(x > 1, x, 0)),
    "transpose": lambda a, shapes, x, *_: np.transpose(x, a["perm"]),
    "unsqueeze": lambda a, shapes, x, *_: np.expand_dims(x, tuple(a["axes"])),
    "where": plain(np.where),
    "xor": plain(np.logical_xor),
}
UNREAD = {  # kinds that cannot be computed from their node, with the part that a dialect does read
    "detection_output": "that it is one",
    "lrn": "which axes it looks along, and not how far",
    "non_max_suppression": "how boxes are told, and not what is counted and compared",
    "argmax": "that it is one",
    "recurrent": "where it has its images, and not what it computes",
    "top_k": "that it is one",
}


def meant(meaning: Meaning, node: Node, shapes: Shapes, operands: list[np.ndarray | None]) -> list[np.ndarray]:
    """The outputs of a node by what its kind means, computed in f64.

    Of a node with further outputs, such as the indices of a max pool, only the first.
    """
    wide = [x.astype(np.float64) if x is not None and x.dtype.kind == "f" else x for x in operands]
    while wide and wide[-1] is None:
        wide.pop()
    with np.errstate(divide="ignore", invalid="ignore"):
        outputs = meaning(node.attributes, shapes, *wide)
    return [np.asarray(item) for item in outputs] if isinstance(outputs, list) else [np.asarray(outputs)]
