"""Traces, run by NumPy as a third dialect, in the precision of their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Dim, Size
from openvino_xai.graph.trace import shape_of
from openvino_xai.graph.vocabulary import numpy_namespace

XP = numpy_namespace()


def computed(nodes: Sequence[Node], inputs: Mapping[Value, np.ndarray], sizes: Mapping[str, int]) -> dict[Value, np.ndarray]:
    """The values of traced nodes. `inputs` are the values that they read of a model, `sizes` the numbers for names of sizes.

    How many elements are not 0 only a run knows: that is a size from there on.
    """
    arrays, sizes = dict(inputs), dict(sizes)

    def number(size: Size) -> int:
        return size.factor * int(np.prod([sizes[name] for name in size.names])) if isinstance(size, Dim) else size

    for node in nodes:
        operands = [arrays[v] if v in arrays else np.asarray(v.data) for _, v in node.operands]
        if node.kind == "non_zero" and isinstance(count := shape_of(node.outputs[0])[1], Dim):
            sizes[count.names[0]] = int(np.count_nonzero(operands[0]))
        shape = tuple(number(size) for size in node.outputs[0].shape or ())
        arrays[node.outputs[0]] = np.asarray(_KINDS[node.kind](node.attributes, shape, operands))
        if node.kind != "size":
            assert arrays[node.outputs[0]].shape == shape, f"{node} is said to be {shape}, and is {operands[0].shape}"
    return arrays


def _cast(x: np.ndarray, dtype: Any) -> np.ndarray:
    """A float keeps its precision; what becomes one has f64's."""
    if np.dtype(dtype).kind != "f":
        return x.astype(dtype)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _scattered(x: np.ndarray, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    result = x.astype(rows.dtype)
    result[places[:, 0]] = rows
    return result


def _word(name: str, *keys: str) -> Callable[..., Any]:
    return lambda a, shape, xs: getattr(XP, name)(*xs, **{key: a[key] for key in keys})


def _reduce(name: str) -> Callable[..., Any]:
    return lambda a, shape, xs: getattr(XP, name)(xs[0], axis=tuple(a["axes"]), keepdims=a["keepdims"])


_KINDS: dict[str, Callable[[Mapping[str, Any], tuple[int, ...], list[np.ndarray]], Any]] = {
    **{name: _word(name) for name in "add subtract multiply divide equal greater maximum minimum where round matmul".split()},
    **{name: _word(name) for name in "exp sqrt tanh erf sigmoid sin cos".split()},
    **{name: _reduce(name) for name in ("max", "min", "mean", "sum")},
    "conv_transpose": _word("conv_transpose", "strides", "pads", "dilations", "groups", "output_padding"),
    "conv": _word("conv", "strides", "pads", "dilations", "groups"),
    # a node of the model, repeated on parts of what it reads
    "hard_sigmoid": lambda a, shape, xs: np.clip(a["alpha"] * xs[0] + a["beta"], 0, 1),
    "leaky_relu": lambda a, shape, xs: np.where(xs[0] > 0, xs[0], a["alpha"] * xs[0]),
    "hard_swish": lambda a, shape, xs: xs[0] * np.clip(xs[0] + 3, 0, 6) / 6,
    "softmax": lambda a, shape, xs: XP.softmax(xs[0], axis=a["axes"][0]),
    "cast": lambda a, shape, xs: _cast(xs[0], a["dtype"]),
    "reshape": lambda a, shape, xs: xs[0].reshape(shape),
    "squeeze": lambda a, shape, xs: xs[0].reshape(shape),
    "broadcast": lambda a, shape, xs: np.broadcast_to(xs[0], shape),
    "transpose": lambda a, shape, xs: xs[0].transpose(a["perm"]),
    "non_zero": lambda a, shape, xs: np.array(np.nonzero(xs[0]), np.int64),
    "scatter_rows": lambda a, shape, xs: _scattered(*xs),
    "concat": lambda a, shape, xs: np.concatenate(xs, axis=a["axis"]),
    "gather": lambda a, shape, xs: np.take(xs[0], xs[1].astype(np.int64), axis=a["axis"]),
    "gather_elements": lambda a, shape, xs: np.take_along_axis(xs[0], xs[1], axis=a["axis"]),
    "scatter_add": lambda a, shape, xs: XP.scatter_add(*xs, axis=a["axis"]),
    "top_k": lambda a, shape, xs: XP.top_k(xs[0], a["k"], axis=a["axis"]),
}
