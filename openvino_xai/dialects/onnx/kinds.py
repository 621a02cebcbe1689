"""What ONNX's operators are called in the neutral form: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from openvino_xai.graph.model import Graph, Node
from openvino_xai.operations.integers import known_integers, resized_by, resized_to

Attributes = Mapping[str, Any]
Reader = Callable[[Graph, Node, Attributes], dict[str, Any]]


def neutral(graph: Graph, node: Node, domain: str, attributes: Attributes) -> tuple[str, dict[str, Any]]:
    """The kind and neutral attributes of a node with ONNX's `attributes`; "" where the table has no entry, or where
    what decides (axes, a permutation) is known only when the model runs."""
    kind, reader = KINDS.get(node.op, ("", None)) if domain in ("", "ai.onnx", "com.microsoft") else ("", None)
    read = reader(graph, node, attributes) if reader else {}
    return ("", {}) if None in read.values() else (kind, read)


def _rank(node: Node) -> int:
    return node.operand(0).rank or 0


def _has_operand(node: Node, index: int) -> bool:
    return index < len(node.inputs) and node.inputs[index] is not None


def _axes(graph: Graph, node: Node, a: Attributes) -> list[int] | None:
    """Axes as an input (newer opsets) or an attribute (older ones); every axis where neither is given."""
    if _has_operand(node, 1):
        return known_integers(graph, node, 1)
    return list(a["axes"]) if "axes" in a else list(range(_rank(node)))


def _reduce(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """Without axes, or of none, all are reduced, or none where the node says so."""
    axes = _axes(graph, node, a)
    if not axes or not (_has_operand(node, 1) or "axes" in a):
        axes = axes if axes is None else [] if a.get("noop_with_empty_axes") else list(range(_rank(node)))
    return {"axes": axes, "keepdims": bool(a.get("keepdims", 1))}


def _global_pool(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {"axes": list(range(2, _rank(node))), "keepdims": True}


def _global_lp_pool(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """The root of the sum of squares; other powers are rare, and refused by name."""
    return _global_pool(graph, node, a) | ({} if a.get("p", 2) == 2 else {"axes": None})


def _squeeze(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """Without axes, all of size 1 go; what an operand with none of them means, runtimes do not agree on."""
    if _has_operand(node, 1) or "axes" in a:
        return {"axes": _axes(graph, node, a) or None}
    return {"axes": [i for i, size in enumerate(node.operand(0).shape or ()) if size == 1]}


def _window(node: Node, kernel: list[int], a: Attributes) -> dict[str, Any]:
    """Kernel, strides, dilations and pads (all begins, then all ends); SAME padding resolved from the shapes."""
    n = len(kernel)
    strides, dilations = list(a.get("strides", [1] * n)), list(a.get("dilations", [1] * n))
    shape, auto = node.operand(0).shape, a.get("auto_pad", "NOTSET")
    pads = list(a.get("pads", [0] * 2 * n)) if auto != "VALID" else [0] * 2 * n
    if auto.startswith("SAME") and shape is not None:
        for i in range(n):
            size, reach = shape[i + 2], (kernel[i] - 1) * dilations[i] + 1
            total = reach - 1
            if isinstance(size, int):
                total = max((-(-size // strides[i]) - 1) * strides[i] + reach - size, 0)
            small, large = total // 2, total - total // 2
            pads[i], pads[i + n] = (small, large) if auto == "SAME_UPPER" else (large, small)
    return {"kernel": kernel, "strides": strides, "dilations": dilations, "pads": pads}


def _conv(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    kernel = [size if isinstance(size, int) else 0 for size in (node.operand(1).shape or ())[2:]]
    return {**_window(node, kernel, a), "groups": int(a.get("group", 1))}


def _conv_transpose(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """As a convolution; `resolved` where its padding is told as such, and does not follow from the size of the output."""
    return {**_conv(graph, node, a), "resolved": a.get("auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in a}


def _pool(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    exclude = not a.get("count_include_pad", 0)
    return {**_window(node, list(a["kernel_shape"]), a), "exclude_pad": exclude, "ceil": bool(a.get("ceil_mode", 0))}


def _last_axis(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {"axes": [int(a.get("axis", -1))]}


def _lp_norm(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {**_last_axis(graph, node, a), "order": int(a.get("p", 2))}


def _from_axis(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    rank = _rank(node)
    return {
        "axes": list(range(int(a.get("axis", -1)) % max(rank, 1), rank)),
        "epsilon": float(a.get("epsilon", 1e-5)),
        "scaled": True,
    }


def _mean_variance(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """1e-9 is added to the root of the variance, where others add an epsilon below it: of importance only where that is 0."""
    return {"axes": list(a.get("axes", (0, 2, 3))), "epsilon": 1e-18}


def _slice(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    starts, ends = known_integers(graph, node, 1), known_integers(graph, node, 2)
    count = len(starts or ())
    axes = known_integers(graph, node, 3) if _has_operand(node, 3) else list(range(count))
    steps = known_integers(graph, node, 4) if _has_operand(node, 4) else [1] * count
    return {"starts": starts, "ends": ends, "steps": steps, "axes": axes}


def _pad(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    pads, rank = known_integers(graph, node, 1), _rank(node)
    if pads is not None and _has_operand(node, 3):
        axes = known_integers(graph, node, 3)
        if axes is None:
            return {"pads": None}
        amounts, pads = pads, [0] * 2 * rank
        for i, axis in enumerate(axes):
            pads[axis % rank], pads[axis % rank + rank] = amounts[i], amounts[i + len(axes)]
    return {"pads": pads, "mode": a.get("mode", "constant")}


def _resize(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """The axes that are resized, by factors or to `sizes`, which is then the operand that tells them."""
    axes = [axis % _rank(node) for axis in a.get("axes") or range(_rank(node))]
    if (
        a.get("coordinate_transformation_mode") == "tf_crop_and_resize"
        or a.get("keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        return {"axes": None}
    if _has_operand(node, 3):
        return _interpolation(a) | resized_to(graph, node, 3, axes)
    return _interpolation(a) | resized_by(graph, node, min(len(node.inputs) - 1, 2), axes)


def _interpolation(a: Attributes) -> dict[str, Any]:
    """How new elements are made of old ones."""
    return {
        "mode": a.get("mode", "nearest"),
        "coordinates": a.get("coordinate_transformation_mode", "half_pixel"),
        "rounding": a.get("nearest_mode", "round_prefer_floor"),
        "antialias": bool(a.get("antialias", 0)),
    }


def _suppression(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """How boxes are told; the first output holds `triples` of image, class and box, for each box that is left."""
    return {"encoding": "center" if a.get("center_point_box", 0) else "corner", "triples": True}


def _gemm(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {
        "transpose_a": bool(a.get("transA", 0)),
        "transpose_b": bool(a.get("transB", 0)),
        "alpha": float(a.get("alpha", 1.0)),
        "beta": float(a.get("beta", 1.0)),
    }


def _transpose(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {"perm": list(a.get("perm", reversed(range(_rank(node)))))}


def _batch_norm(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """One that is being trained normalises by the batch that it sees, and returns what it saw."""
    trains = a.get("training_mode", 0) or len(node.outputs) > 1
    return {"epsilon": None if trains else float(a.get("epsilon", 1e-5))}


def _dropout(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """Drops nothing, unless it is being trained."""
    trains = graph.constant(node.inputs[2]) if _has_operand(node, 2) else np.zeros(1)
    return {} if trains is not None and not trains.any() else {"ratio": None}


def _group_norm(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """With a scale and a shift for each channel: before opset 21 there was one for each group."""
    scale, data = node.operand(1).shape, node.operand(0).shape
    by_channel = scale is not None and data is not None and scale == data[1:2]
    return {"epsilon": float(a.get("epsilon", 1e-5)), "num_groups": float(a["num_groups"]) if by_channel else None}


def _by_axis(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """The axis that scales belong to; those of blocks belong to none."""
    return {"axis": None if a.get("block_size", 0) else int(a.get("axis", 1))}


def _grid_sample(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    mode = a.get("mode", "bilinear")
    return {
        "mode": None if _rank(node) != 4 else {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode),
        "padding": a.get("padding_mode", "zeros"),
        "align_corners": bool(a.get("align_corners", 0)),
    }


def _cumsum(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    axis = known_integers(graph, node, 1)
    return {
        "axis": axis[0] if axis else None,
        "exclusive": bool(a.get("exclusive", 0)),
        "reverse": bool(a.get("reverse", 0)),
    }


def _col2im(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """Of images: volumes have windows of another rank."""
    kernel = known_integers(graph, node, 2) if _rank(node) == 3 else None
    strides, dilations = (list(a.get(name) or [1, 1]) for name in ("strides", "dilations"))
    are_windows = kernel is not None and len(kernel) == 2 and min(kernel) > 0
    return {
        "kernel": kernel if are_windows else None,
        "strides": strides,
        "dilations": dilations,
        "pads": list(a.get("pads") or [0] * 4),
    }


def _recurrent(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    if a.get("layout", 0):
        return {"data": "bti", "states": "bdh", "result": "btdh"}
    return {"data": "tbi", "states": "dbh", "result": "tdbh"}


def _shape(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {key: int(a[key]) for key in ("start", "end") if key in a}


def _size(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """All sizes of a shape, one times the other: how many elements there are."""
    return {"product": True}


def _clip(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    """The limits, infinite where there is none; nothing where one is known only when the model runs."""
    limits = {"min": -np.inf, "max": np.inf}
    for index, name in enumerate(limits, start=1):
        if _has_operand(node, index):
            data = graph.constant(node.inputs[index])
            if data is None:
                return {}
            limits[name] = float(data.item())
    return limits


def _in_blocks(graph: Graph, node: Node, a: Attributes) -> dict[str, Any]:
    return {"block": int(a["blocksize"]), "depth_first": a.get("mode", "DCR") == "CRD"}


def _numbers(**defaults: float) -> Reader:
    """Attributes that are numbers, with the value that each has where it is not told."""
    return lambda graph, node, a: {name: float(a.get(name, default)) for name, default in defaults.items()}


def _axis(default: int) -> Reader:
    return lambda graph, node, a: {"axis": int(a.get("axis", default))}


KINDS: dict[str, tuple[str, Reader | None]] = {
    "Abs": ("abs", None),
    "Add": ("add", None),
    "And": ("and", None),
    "Asin": ("asin", None),
    "ArgMax": ("argmax", _axis(0)),
    "AveragePool": ("avg_pool", _pool),
    "BatchNormalization": ("batch_norm", _batch_norm),
    "Cast": ("cast", None),
    "CastLike": ("cast", None),
    "Ceil": ("ceil", None),
    "Clip": ("clip", _clip),
    "Col2Im": ("col2im", _col2im),
    "Concat": ("concat", _axis(0)),
    "ConstantOfShape": ("full", lambda graph, node, a: {"value": a["value"].numpy().item() if "value" in a else 0.0}),
    "Conv": ("conv", _conv),
    "ConvTranspose": ("conv_transpose", _conv_transpose),
    "Cos": ("cos", None),
    "CumSum": ("cumsum", _cumsum),
    "DepthToSpace": ("depth_to_space", _in_blocks),
    "DequantizeLinear": ("dequantize", _by_axis),
    "Div": ("divide", None),
    "Dropout": ("identity", _dropout),
    "Einsum": ("einsum", lambda graph, node, a: {"equation": a["equation"]}),
    "Elu": ("elu", _numbers(alpha=1.0)),
    "Equal": ("equal", None),
    "Erf": ("erf", None),
    "Exp": ("exp", None),
    "Expand": ("broadcast", None),
    "Flatten": ("reshape", None),
    "Floor": ("floor", None),
    "Gather": ("gather", _axis(0)),
    "GatherElements": ("gather_elements", _axis(0)),
    "GRU": ("recurrent", _recurrent),
    "GatherND": ("gather_nd", lambda graph, node, a: {"batch_dims": a.get("batch_dims", 0)}),
    "Gelu": ("gelu", lambda graph, node, a: {"by_tanh": a.get("approximate", "none") == "tanh"}),
    "Gemm": ("matmul", _gemm),
    "GlobalAveragePool": ("mean", _global_pool),
    "GlobalLpPool": ("l2", _global_lp_pool),
    "GlobalMaxPool": ("max", _global_pool),
    "Greater": ("greater", None),
    "GridSample": ("grid_sample", _grid_sample),
    "GreaterOrEqual": ("greater_equal", None),
    "GroupNormalization": ("group_norm", _group_norm),
    "HardSigmoid": ("hard_sigmoid", _numbers(alpha=0.2, beta=0.5)),
    "HardSwish": ("hard_swish", None),
    "Identity": ("identity", None),
    "InstanceNormalization": ("instance_norm", _numbers(epsilon=1e-5)),
    "IsNaN": ("is_nan", None),
    "LRN": ("lrn", lambda graph, node, a: {"axes": [1]}),
    "LSTM": ("recurrent", _recurrent),
    "LayerNormalization": ("layer_norm", _from_axis),
    "LeakyRelu": ("leaky_relu", _numbers(alpha=0.01)),
    "Less": ("less", None),
    "LessOrEqual": ("less_equal", None),
    "Log": ("log", None),
    "LogSoftmax": ("log_softmax", _last_axis),
    "LpNormalization": ("normalize_l2", _lp_norm),
    "MatMul": ("matmul", None),
    "Max": ("maximum", None),
    "MaxPool": ("max_pool", _pool),
    "MeanVarianceNormalization": ("layer_norm", _mean_variance),
    "Min": ("minimum", None),
    "Mish": ("mish", None),
    "Mod": ("mod", lambda graph, node, a: {"floors": not a.get("fmod", 0)}),
    "Mul": ("multiply", None),
    "Neg": ("negative", None),
    "NonMaxSuppression": ("non_max_suppression", _suppression),
    "Not": ("not", None),
    "Or": ("or", None),
    "PRelu": ("prelu", lambda graph, node, a: {"by_channel": False}),
    "Pad": ("pad", _pad),
    "Pow": ("power", None),
    "QuantizeLinear": ("quantize", _by_axis),
    "RNN": ("recurrent", _recurrent),
    "Range": ("range", None),
    "Reciprocal": ("reciprocal", None),
    "ReduceL1": ("l1", _reduce),
    "ReduceL2": ("l2", _reduce),
    "ReduceLogSumExp": ("log_sum_exp", _reduce),
    "ReduceMax": ("max", _reduce),
    "ReduceMean": ("mean", _reduce),
    "ReduceMin": ("min", _reduce),
    "ReduceProd": ("prod", _reduce),
    "ReduceSum": ("sum", _reduce),
    "ReduceSumSquare": ("sum_square", _reduce),
    "Relu": ("relu", None),
    "Reshape": ("reshape", None),
    "Resize": ("resize", _resize),
    "Round": ("round", None),
    "ScatterND": ("scatter_rows", lambda graph, node, a: {"replaces": a.get("reduction", "none") == "none" or None}),
    "Selu": ("selu", _numbers(alpha=1.67326319217681884765625, gamma=1.05070102214813232421875)),
    "Shape": ("shape", _shape),
    "Size": ("shape", _size),
    "Sigmoid": ("sigmoid", None),
    "Sign": ("sign", None),
    "Sin": ("sin", None),
    "Slice": ("slice", _slice),
    "Softmax": ("softmax", _last_axis),
    "Softplus": ("softplus", None),
    "Softsign": ("softsign", None),
    "SpaceToDepth": ("space_to_depth", _in_blocks),
    "Split": ("split", _axis(0)),
    "Sqrt": ("sqrt", None),
    "Squeeze": ("squeeze", _squeeze),
    "Sub": ("subtract", None),
    "Sum": ("add", None),
    "Swish": ("silu", _numbers(alpha=1.0)),
    "Tan": ("tan", None),
    "Tanh": ("tanh", None),
    "ThresholdedRelu": ("thresholded_relu", None),
    "Tile": ("tile", None),
    "TopK": ("top_k", lambda graph, node, a: {"axis": int(a.get("axis", -1)) if a.get("largest", 1) else None}),
    "Transpose": ("transpose", _transpose),
    "Unsqueeze": ("unsqueeze", lambda graph, node, a: {"axes": _axes(graph, node, a)}),
    "Where": ("where", None),
    "Xor": ("xor", None),
}
