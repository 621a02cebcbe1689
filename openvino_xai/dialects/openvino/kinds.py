"""What OpenVINO's operations are called in the neutral form: one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openvino_xai.graph.model import Graph, Node
from openvino_xai.operations.integers import known_integers, resized_by, resized_to

Reader = Callable[[Graph, Node, dict[str, Any]], dict[str, Any]]


def neutral(graph: Graph, node: Node, attributes: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind and neutral attributes of a node with OpenVINO's `attributes`; "" where the table has no
    entry, or where what decides (axes, a permutation) is known only when the model runs."""
    if attributes.get("auto_broadcast", "numpy") not in ("numpy", "none"):
        return "", {}
    kind, reader = ("identity", None) if _pools_nothing(node) else KINDS.get(node.op, ("", None))
    read = reader(graph, node, attributes) if reader else {}
    return ("", {}) if None in read.values() else (kind, read)


def _pools_nothing(node: Node) -> bool:
    """Whether a node averages to the size that is there already, as exporters leave it in for images of the usual size."""
    before, after = node.inputs[0].shape if node.inputs and node.inputs[0] else None, node.outputs[0].shape
    if node.op != "AdaptiveAvgPool" or before is None or after is None:
        return False
    return before[2:] == after[2:] and all(isinstance(size, int) for size in after[2:])


def _axis(graph: Graph, node: Node, index: int) -> int | None:
    axes = known_integers(graph, node, index)
    return axes[0] if axes and len(axes) == 1 else None


def _reduce(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"axes": known_integers(graph, node, 1), "keepdims": bool(a["keep_dims"])}


def _axes_operand(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"axes": known_integers(graph, node, 1)}


def _window(node: Node, kernel: list[int], a: dict[str, Any]) -> dict[str, Any]:
    """Kernel, strides, dilations and pads (all begins, then all ends); SAME padding resolved from the shapes."""
    n = len(kernel)
    strides, dilations = list(a.get("strides") or [1] * n), list(a.get("dilations") or [1] * n)
    begin, end = list(a["pads_begin"]), list(a["pads_end"])
    shape, out = node.operand(0).shape, node.outputs[0].shape
    if a.get("auto_pad", "explicit") == "valid":
        begin, end = [0] * n, [0] * n
    elif a.get("auto_pad", "explicit").startswith("same") and shape is not None and out is not None:
        for i in range(n):
            size, result = shape[i + 2], out[i + 2]
            reach = (kernel[i] - 1) * dilations[i] + 1
            if not isinstance(size, int) or not isinstance(result, int):
                begin[i] = end[i] = 0 if reach == 1 and strides[i] == 1 else reach // 2
                continue
            total = max((result - 1) * strides[i] + reach - size, 0)
            small, large = total // 2, total - total // 2
            begin[i], end[i] = (small, large) if a["auto_pad"] == "same_upper" else (large, small)
    return {"kernel": kernel, "strides": strides, "dilations": dilations, "pads": begin + end}


def _conv(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    weights = node.operand(1).shape or ()
    grouped = node.op.startswith("Group")
    kernel = [size if isinstance(size, int) else 0 for size in weights[3 if grouped else 2 :]]
    return {**_window(node, kernel, a), "groups": weights[0] if grouped else 1}


def _conv_transpose(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """As a convolution; `resolved` where its padding is told as such, and does not follow from the size of the output."""
    return {**_conv(graph, node, a), "resolved": a["auto_pad"] == "explicit" and len(node.inputs) == 2}


def _pool(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    exclude = a.get("exclude-pad", a.get("exclude_pad", False))
    ceil = a.get("rounding_type", "floor") != "floor"
    return {**_window(node, list(a["kernel"]), a), "exclude_pad": bool(exclude), "ceil": ceil}


def _axis_attribute(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"axis": int(a["axis"])}


def _axes_attribute(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"axes": [int(a.get("axis", 1))]}


def _slice(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    starts, ends, steps = (known_integers(graph, node, i) for i in (1, 2, 3))
    axes = known_integers(graph, node, 4) if len(node.inputs) > 4 else list(range(len(starts or ())))
    return {"starts": starts, "ends": ends, "steps": steps, "axes": axes}


def _strided_slice(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """As a plain slice, with the axes that are `dropped`, of which one item is left, and those that are `added` behind it."""
    starts, ends = known_integers(graph, node, 1), known_integers(graph, node, 2)
    steps = known_integers(graph, node, 3) if len(node.inputs) > 3 else [1] * len(starts or ())
    rank, names = node.operand(0).rank, ("begin", "end", "new_axis", "shrink_axis", "ellipsis")
    if starts is None or ends is None or steps is None or rank is None:
        return {"axes": None}
    padded = ([*a.get(f"{name}_mask", ()), *[0] * len(starts)][: len(starts)] for name in names)
    masks = list(zip(*padded, strict=True))
    axis, dropped, added = 0, list[int](), list[int]()
    parts: dict[str, list[int]] = {"axes": [], "starts": [], "ends": [], "steps": []}
    for (from_start, to_end, new, single, ellipsis), start, end, step in zip(masks, starts, ends, steps, strict=True):
        first, last = (FAR, -FAR) if step < 0 else (0, FAR)
        if ellipsis:  # as many axes as the others leave
            axis += rank - sum(not (mask[2] or mask[4]) for mask in masks)
            continue
        if new:
            added.append(axis - len(dropped) + len(added))
            continue
        if single and from_start:  # which item that is, is not told
            return {"axes": None}
        if single:
            dropped.append(axis)
            end, step = FAR if start == -1 else start + 1, 1
        part = (axis, first if from_start else start, last if to_end and not single else end, step)
        if part[1:] != (0, FAR, 1):
            for items, item in zip(parts.values(), part, strict=True):
                items.append(item)
        axis += 1
    return parts | {"dropped": dropped, "added": added}


def _squeeze(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """Without axes, or of none, all axes of size 1 go; where it may skip axes, those of another size stay."""
    shape = node.operand(0).shape
    axes = known_integers(graph, node, 1) if len(node.inputs) > 1 else []
    if not axes:
        return {"axes": None if axes is None or shape is None else [i for i, size in enumerate(shape) if size == 1]}
    if a.get("allow_axis_skip"):
        if shape is None or not all(isinstance(shape[axis], int) for axis in axes):
            return {"axes": None}
        axes = [axis for axis in axes if shape[axis] == 1]
    return {"axes": axes}


def _transpose(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """An order of none is the axes turned round."""
    order, rank = known_integers(graph, node, 1), node.operand(0).rank
    return {"perm": list(reversed(range(rank))) if order == [] and rank is not None else order}


def _pad(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    begin, end = known_integers(graph, node, 1), known_integers(graph, node, 2)
    return {"pads": None if begin is None or end is None else begin + end, "mode": a["pad_mode"]}


def _interpolate(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """The axes that are resized, by factors or to `sizes`, which is then the operand that tells them."""
    version = node.native.get_type_info().version_id
    if version == "opset1":
        coordinates = "align_corners" if a["align_corners"] else "asymmetric"
        how = _interpolation(a | {"coordinate_transformation_mode": coordinates, "nearest_mode": "simple"})
        return how | {"axes": None if any((*a["pads_begin"], *a["pads_end"])) else list(a["axes"])}
    scales, last = (2, 3) if version == "opset4" else (1, 2)
    axes = known_integers(graph, node, last) if len(node.inputs) > last else list(range(node.operand(0).rank or 0))
    if axes is None or any((*a["pads_begin"], *a["pads_end"])):
        return {"axes": None}
    if a["shape_calculation_mode"] == "sizes":
        return _interpolation(a) | resized_to(graph, node, 1, axes)
    return _interpolation(a) | resized_by(graph, node, scales, axes)


def _interpolation(a: dict[str, Any]) -> dict[str, Any]:
    """How new elements are made of old ones."""
    mode = {"linear_onnx": "linear", "bilinear_pillow": "linear", "bicubic_pillow": "cubic"}.get(a["mode"], a["mode"])
    return {
        "mode": mode,
        "coordinates": a["coordinate_transformation_mode"],
        "rounding": a["nearest_mode"],
        "antialias": a["antialias"] or a["mode"].endswith("_pillow"),
    }


def _adaptive(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"axes": list(range(2, node.operand(0).rank or 2)), "mode": "area"}


def _adaptive_max(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """Windows that lie side by side and are all of a size; others overlap, and differ from place to place."""
    before, after = (value.shape or () for value in (node.operand(0), node.outputs[0]))
    sizes = [(size, count) for size, count in zip(before[2:], after[2:], strict=False) if isinstance(size, int)]
    numbers = [size // count for size, count in sizes if isinstance(count, int) and count and size % count == 0]
    kernel = numbers if numbers and len(numbers) == len(before) - 2 else None
    window = {"strides": kernel, "dilations": [1] * len(sizes), "pads": [0] * 2 * len(sizes)}
    return {"kernel": kernel, **window, "exclude_pad": False, "ceil": False}


def _suppression(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """How boxes are told; the first output holds `triples` of image, class and box, or class, score and corners."""
    return {"encoding": a.get("box_encoding", "corner"), "triples": node.op == "NonMaxSuppression"}


def _broadcast(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """As NumPy does: an explicit one lays axes side by side as an operand tells, which is the same where they are the last."""
    if a["mode"] in ("explicit", "none"):
        axes, before, after = known_integers(graph, node, 2), node.operand(0).rank, node.outputs[0].rank
        last = None if before is None or after is None else list(range(after - before, after))
        return {"explicit": True if axes is not None and axes == last else None}
    return {"explicit": None if a["mode"] == "pdpd" else False}


def _by_tanh(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"by_tanh": str(a.get("approximation_mode", "erf")).lower() == "tanh"}


def _grid_sample(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    mode, padding = (str(a[name]).lower() for name in ("mode", "padding_mode"))
    return {"mode": mode, "padding": padding, "align_corners": bool(a["align_corners"])}


def _in_blocks(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """Of images: volumes have blocks of another size."""
    return {"block": int(a["block_size"]) if node.operand(0).rank == 4 else None, "depth_first": a["mode"] == "depth_first"}


def _cumsum(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"axis": _axis(graph, node, 1), "exclusive": bool(a["exclusive"]), "reverse": bool(a["reverse"])}


def _col2im(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """Of a batch."""
    kernel = known_integers(graph, node, 2) if node.operand(0).rank == 3 else None
    return {"kernel": None} if kernel is None or min(kernel, default=0) < 1 else _window(node, kernel, a)


def _numbers(*names: str) -> Reader:
    """Attributes that are numbers."""
    return lambda graph, node, a: {name: float(a[name]) for name in names if name in a}


def _from_operands(*names: str) -> Reader:
    """Numbers that are operands, from the second on; nothing of one that is known only when the model runs."""

    def read(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
        constants = {name: graph.constant(value) for name, value in zip(names, node.inputs[1:], strict=False)}
        return {name: float(data.item()) for name, data in constants.items() if data is not None and data.size == 1}

    return read


def _swish(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return _from_operands("alpha")(graph, node, a) if len(node.inputs) > 1 else {"alpha": 1.0}


def _mvn(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    """An epsilon that is added to the root of the variance is, where that is 0, the root of its own square.

    The form of opset 2 has its axes in an attribute, and adds its epsilon to the variance.
    """
    older = len(node.inputs) == 1
    axes = {"axes": sorted(a["reduction_axes"])} if older else _axes_operand(graph, node, a)
    if not a.get("normalize_variance", True):
        return axes
    inside = older or str(a.get("eps_mode", "")).lower() == "inside_sqrt"
    return {**axes, "epsilon": float(a["eps"]) ** (1 if inside else 2)}


def _recurrent(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {"data": "bti", "states": "bdh", "result": "bdth"}


def _normalize_l2(graph: Graph, node: Node, a: dict[str, Any]) -> dict[str, Any]:
    return {**_axes_operand(graph, node, a), "epsilon": float(a["eps"]), "added": str(a["eps_mode"]).lower() == "add"}


FAR = int(np.iinfo(np.int32).max)  # behind the end of any axis
# of operands in the file: the data first, then what was learned
ORDER = {
    ("opset1", "BatchNormInference"): (2, 0, 1, 3, 4),
    ("opset5", "LSTMSequence"): (0, 4, 5, 6, 3, 1, 2),
    ("opset5", "GRUSequence"): (0, 3, 4, 5, 2, 1),
    ("opset5", "RNNSequence"): (0, 3, 4, 5, 2, 1),
}


def order_of(native: Any) -> Sequence[int]:
    """Where a native operation has the operands of the neutral form."""
    info = native.get_type_info()
    return ORDER.get((info.version_id, info.name)) or range(native.get_input_size())


KINDS: dict[str, tuple[str, Reader | None]] = {
    "Abs": ("abs", None),
    "AdaptiveAvgPool": ("resize", _adaptive),
    "AdaptiveMaxPool": ("max_pool", _adaptive_max),
    "Add": ("add", None),
    "Asin": ("asin", None),
    "AvgPool": ("avg_pool", _pool),
    "BatchNormInference": ("batch_norm", _numbers("epsilon")),
    "Broadcast": ("broadcast", _broadcast),
    "Ceiling": ("ceil", None),
    "Clamp": ("clip", lambda graph, node, a: {"min": float(a["min"]), "max": float(a["max"])}),
    "Col2Im": ("col2im", _col2im),
    "Concat": ("concat", _axis_attribute),
    "Convert": ("cast", None),
    "ConvertLike": ("cast", None),
    "Convolution": ("conv", _conv),
    "ConvolutionBackpropData": ("conv_transpose", _conv_transpose),
    "Cos": ("cos", None),
    "CumSum": ("cumsum", _cumsum),
    "DepthToSpace": ("depth_to_space", _in_blocks),
    "DetectionOutput": ("detection_output", lambda graph, node, a: {"background": int(a["background_label_id"])}),
    "Divide": ("divide", None),
    "Einsum": ("einsum", lambda graph, node, a: {"equation": a["equation"]}),
    "Elu": ("elu", _numbers("alpha")),
    "Equal": ("equal", None),
    "Erf": ("erf", None),
    "Exp": ("exp", None),
    "FakeQuantize": ("fake_quantize", lambda graph, node, a: {"levels": int(a["levels"])}),
    "Floor": ("floor", None),
    "FloorMod": ("mod", lambda graph, node, a: {"floors": True}),
    "GRN": ("normalize_l2", lambda graph, node, a: {"axes": [1], "epsilon": float(a["bias"]), "added": True}),
    "GRUSequence": ("recurrent", _recurrent),
    "Gather": ("gather", lambda graph, node, a: {"axis": None if a.get("batch_dims") else _axis(graph, node, 2)}),
    "GatherElements": ("gather_elements", _axis_attribute),
    "GatherND": ("gather_nd", lambda graph, node, a: {"batch_dims": int(a.get("batch_dims", 0))}),
    "Gelu": ("gelu", _by_tanh),
    "Greater": ("greater", None),
    "GreaterEqual": ("greater_equal", None),
    "GridSample": ("grid_sample", _grid_sample),
    "GroupConvolution": ("conv", _conv),
    "GroupConvolutionBackpropData": ("conv_transpose", _conv_transpose),
    "GroupNormalization": ("group_norm", _numbers("epsilon", "num_groups")),
    "HSigmoid": ("hard_sigmoid", lambda graph, node, a: {"alpha": 1 / 6, "beta": 0.5}),
    "HSwish": ("hard_swish", None),
    "HardSigmoid": ("hard_sigmoid", _from_operands("alpha", "beta")),
    "Identity": ("identity", None),
    "Interpolate": ("resize", _interpolate),
    "IsNaN": ("is_nan", None),
    "LRN": ("lrn", _axes_operand),
    "LSTMSequence": ("recurrent", _recurrent),
    "Less": ("less", None),
    "LessEqual": ("less_equal", None),
    "Log": ("log", None),
    "LogSoftmax": ("log_softmax", _axes_attribute),
    "LogicalAnd": ("and", None),
    "LogicalNot": ("not", None),
    "LogicalOr": ("or", None),
    "LogicalXor": ("xor", None),
    "MVN": ("layer_norm", _mvn),
    "MatMul": ("matmul", lambda graph, node, a: {key: bool(a[key]) for key in ("transpose_a", "transpose_b")}),
    "MaxPool": ("max_pool", _pool),
    "MatrixNms": ("non_max_suppression", _suppression),
    "Maximum": ("maximum", None),
    "Minimum": ("minimum", None),
    "Mish": ("mish", None),
    "Mod": ("mod", lambda graph, node, a: {"floors": False}),
    "MulticlassNms": ("non_max_suppression", _suppression),
    "Multiply": ("multiply", None),
    "Negative": ("negative", None),
    "NonMaxSuppression": ("non_max_suppression", _suppression),
    "NormalizeL2": ("normalize_l2", _normalize_l2),
    "NotEqual": ("not_equal", None),
    "PRelu": ("prelu", lambda graph, node, a: {"by_channel": True}),
    "Pad": ("pad", _pad),
    "Power": ("power", None),
    "RNNSequence": ("recurrent", _recurrent),
    "Range": ("range", None),
    "ReduceL1": ("l1", _reduce),
    "ReduceL2": ("l2", _reduce),
    "ReduceMax": ("max", _reduce),
    "ReduceMean": ("mean", _reduce),
    "ReduceMin": ("min", _reduce),
    "ReduceProd": ("prod", _reduce),
    "ReduceSum": ("sum", _reduce),
    "Relu": ("relu", None),
    "Reshape": ("reshape", None),
    "Roll": ("roll", lambda graph, node, a: {"axes": known_integers(graph, node, 2)}),
    "Round": ("round", None),
    "ScaledDotProductAttention": ("attention", lambda graph, node, a: {"causal": bool(a["causal"])}),
    "ScatterNDUpdate": ("scatter_rows", lambda graph, node, a: {"replaces": a.get("reduction", "none") == "none" or None}),
    "Select": ("where", None),
    "Selu": ("selu", _from_operands("alpha", "gamma")),
    "ShapeOf": ("shape", None),
    "ShuffleChannels": ("shuffle", lambda graph, node, a: {"axis": int(a["axis"]), "groups": int(a["group"])}),
    "Sigmoid": ("sigmoid", None),
    "Sign": ("sign", None),
    "Sin": ("sin", None),
    "Slice": ("slice", _slice),
    "SoftPlus": ("softplus", None),
    "SoftSign": ("softsign", None),
    "Softmax": ("softmax", _axes_attribute),
    "SpaceToDepth": ("space_to_depth", _in_blocks),
    "Split": ("split", lambda graph, node, a: {"axis": _axis(graph, node, 1)}),
    "Sqrt": ("sqrt", None),
    "SquaredDifference": ("squared_difference", None),
    "Squeeze": ("squeeze", _squeeze),
    "StridedSlice": ("slice", _strided_slice),
    "Subtract": ("subtract", None),
    "Swish": ("silu", _swish),
    "Tan": ("tan", None),
    "Tanh": ("tanh", None),
    "Tile": ("tile", None),
    "TopK": ("top_k", lambda graph, node, a: {"axis": int(a["axis"]) if a["mode"] == "max" else None}),
    "Transpose": ("transpose", _transpose),
    "Unsqueeze": ("unsqueeze", _axes_operand),
    "VariadicSplit": ("split", lambda graph, node, a: {"axis": _axis(graph, node, 1)}),
}
