"""The slopes of tails by torch's autograd, in f64: each ONNX operation is written anew in torch, from its specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from tails import CASES, doubled, slopes
from tiny import CLASSES


def autograd(torch: Any, name: str) -> np.ndarray:
    """The slopes of the logits [B, K, C, H, W] at the tail's features `x`."""
    model = doubled(CASES[name].model())
    values = {tensor.name: torch.tensor(onnx.numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
    x = values["x"] = torch.tensor(slopes(name).values["x"], requires_grad=True)
    table = operations(torch)
    for node in model.graph.node[1:]:  # the first node computes x from the image
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        results = table[node.op_type](attributes, *(values[operand] if operand else None for operand in node.input))
        values.update(zip(node.output, results if isinstance(results, tuple | list) else [results], strict=True))
    slope = [torch.autograd.grad(values["logits"][:, k].sum(), x, retain_graph=True)[0] for k in range(CLASSES)]
    return torch.stack(slope, dim=1).numpy()


def operations(torch: Any) -> dict[str, Callable[..., Any]]:
    f = torch.nn.functional

    def padded(a: dict[str, Any], x: Any, sizes: Any, value: float = 0.0) -> Any:
        """`x` with ONNX's pads around its last two axes."""
        if a.get("auto_pad") == b"SAME_UPPER":
            lacking = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(x.shape[2:], a["strides"], sizes, strict=True)]
            pads = [*(n // 2 for n in lacking), *(n - n // 2 for n in lacking)]
        else:
            pads = a.get("pads", [0, 0, 0, 0])
        return f.pad(x, (pads[1], pads[3], pads[0], pads[2]), value=value)

    def conv(a: dict[str, Any], x: Any, w: Any, b: Any = None) -> Any:
        steps = {"stride": a.get("strides", 1), "dilation": a.get("dilations", 1), "groups": a.get("group", 1)}
        return f.conv2d(padded(a, x, w.shape[2:]), w, b, **steps)

    def mean_pool(a: dict[str, Any], x: Any) -> Any:
        size, step = a["kernel_shape"], a.get("strides", [1, 1])
        total = f.avg_pool2d(padded(a, x, size), size, step, divisor_override=1)
        inside = torch.ones_like(x) if not a.get("count_include_pad") else None
        area = size[0] * size[1] if inside is None else f.avg_pool2d(padded(a, inside, size), size, step, divisor_override=1)
        return total / area

    def max_pool(a: dict[str, Any], x: Any) -> Any:
        size = a["kernel_shape"]
        return f.max_pool2d(padded(a, x, size, -np.inf), size, a.get("strides", [1, 1]))

    def gemm(a: dict[str, Any], x: Any, w: Any, b: Any) -> Any:
        return a.get("alpha", 1.0) * x @ (w.T if a.get("transB") else w) + a.get("beta", 1.0) * b

    def reduced(how: Callable[..., Any]) -> Callable[..., Any]:
        def call(a: dict[str, Any], x: Any, axes: Any = None) -> Any:
            axes = a.get("axes", axes if axes is None else axes.tolist())
            return how(x, dim=tuple(range(x.ndim)) if axes is None else tuple(axes), keepdim=bool(a.get("keepdims", 1)))

        return call

    def sliced(a: dict[str, Any], x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
        count = len(starts)
        for axis, *part in zip(
            range(count) if axes is None else axes.tolist(), starts.tolist(), ends.tolist(),
            [1] * count if steps is None else steps.tolist(), strict=True,
        ):  # fmt: skip
            x = x.index_select(axis, torch.arange(x.shape[axis])[slice(*part)] if part[2] > 0 else reverse(x.shape[axis], part))
        return x

    def reverse(size: int, part: list[int]) -> Any:
        return torch.tensor(range(size)[slice(part[0], None if part[1] < -size else part[1], part[2])])

    def around(a: dict[str, Any], x: Any, pads: Any, value: Any = None) -> Any:
        half = len(pads) // 2
        pairs = [(int(pads[i]), int(pads[i + half])) for i in reversed(range(half))]
        mode = a.get("mode", b"constant").decode()
        return f.pad(x, [n for pair in pairs for n in pair], mode=mode, **({} if value is None else {"value": float(value)}))

    def clip(a: dict[str, Any], x: Any, low: Any = None, high: Any = None) -> Any:
        return torch.clip(x, low, high)

    def groups(a: dict[str, Any], x: Any, scale: Any, shift: Any) -> Any:
        return f.group_norm(x, a["num_groups"], scale, shift, a.get("epsilon", 1e-5))

    def layer_norm(a: dict[str, Any], x: Any, scale: Any, shift: Any = None) -> Any:
        axes = tuple(range(a["axis"] % x.ndim, x.ndim))
        spread = x.var(dim=axes, keepdim=True, correction=0) + a.get("epsilon", 1e-5)
        return (x - x.mean(dim=axes, keepdim=True)) / spread.sqrt() * scale + (0 if shift is None else shift)

    def variance_norm(a: dict[str, Any], x: Any) -> Any:
        axes = tuple(a["axes"])
        return (x - x.mean(dim=axes, keepdim=True)) / (x.std(dim=axes, keepdim=True, correction=0) + 1e-9)

    def squeezed(a: dict[str, Any], x: Any, axes: Any) -> Any:
        return torch.squeeze(x, tuple(axes.tolist()))

    def unsqueezed(a: dict[str, Any], x: Any, axes: Any) -> Any:
        for axis in sorted(axes.tolist()):
            x = torch.unsqueeze(x, axis)
        return x

    def laid(a: dict[str, Any], x: Any, sizes: Any) -> Any:
        return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(sizes.tolist())])

    def plain(how: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, *xs: how(*xs)

    alike = {
        "Abs": torch.abs, "Add": torch.add, "Div": torch.div, "Erf": torch.erf, "Exp": torch.exp, "Greater": torch.gt,
        "HardSwish": f.hardswish, "Identity": lambda x: x, "Log": torch.log, "MatMul": torch.matmul, "Max": torch.maximum,
        "Min": torch.minimum, "Mish": f.mish, "Mul": torch.mul, "Neg": torch.neg,
        "PRelu": lambda x, s: torch.where(x > 0, x, s * x),
        "Pow": torch.pow, "Reciprocal": torch.reciprocal, "Relu": torch.relu, "Selu": f.selu, "Sigmoid": torch.sigmoid,
        "Softplus": f.softplus, "Softsign": f.softsign, "Sqrt": torch.sqrt, "Sub": torch.sub, "Tanh": torch.tanh,
        "Where": torch.where, "Expand": lambda x, sizes: x * torch.ones(sizes.tolist(), dtype=x.dtype),
        "GlobalAveragePool": lambda x: x.mean(dim=(2, 3), keepdim=True),
        "GlobalMaxPool": lambda x: x.amax(dim=(2, 3), keepdim=True),
        "BatchNormalization": lambda x, s, b, m, v: f.batch_norm(x, m, v, s, b),
        "InstanceNormalization": lambda x, s, b: f.instance_norm(x, weight=s, bias=b),
    }  # fmt: skip
    return {
        **{kind: plain(how) for kind, how in alike.items()},
        "AveragePool": mean_pool,
        "Clip": clip,
        "Concat": lambda a, *xs: torch.cat(xs, dim=a["axis"]),
        "Conv": conv,
        "Elu": lambda a, x: f.elu(x, a["alpha"]),
        "Flatten": lambda a, x: x.flatten(1),
        "Gather": lambda a, x, ids: (
            x.index_select(a["axis"], ids % x.shape[a["axis"]]) if ids.ndim else x.select(a["axis"], int(ids))
        ),
        "Gelu": lambda a, x: f.gelu(x, approximate=a.get("approximate", b"none").decode()),
        "Gemm": gemm,
        "GroupNormalization": groups,
        "HardSigmoid": lambda a, x: torch.clip(a["alpha"] * x + a["beta"], 0, 1),
        "LayerNormalization": layer_norm,
        "LeakyRelu": lambda a, x: f.leaky_relu(x, a["alpha"]),
        "LogSoftmax": lambda a, x: torch.log_softmax(x, a["axis"]),
        "LpNormalization": lambda a, x: x / torch.linalg.vector_norm(x, a["p"], a["axis"], keepdim=True),
        "MaxPool": max_pool,
        "MeanVarianceNormalization": variance_norm,
        "Pad": around,
        "ReduceL1": reduced(lambda x, dim, keepdim: x.abs().sum(dim, keepdim)),
        "ReduceL2": reduced(lambda x, dim, keepdim: x.square().sum(dim, keepdim).sqrt()),
        "ReduceLogSumExp": reduced(torch.logsumexp),
        "ReduceMax": reduced(torch.amax),
        "ReduceMean": reduced(torch.mean),
        "ReduceMin": reduced(torch.amin),
        "ReduceSum": reduced(torch.sum),
        "ReduceSumSquare": reduced(lambda x, dim, keepdim: x.square().sum(dim, keepdim)),
        "Reshape": laid,
        "Slice": sliced,
        "Softmax": lambda a, x: torch.softmax(x, a["axis"]),
        "Split": lambda a, x, sizes=None: torch.split(
            x, x.shape[a["axis"]] // 2 if sizes is None else sizes.tolist(), a["axis"]
        ),
        "Squeeze": squeezed,
        "Transpose": lambda a, x: x.permute(a["perm"]),
        "Unsqueeze": unsqueezed,
    }
