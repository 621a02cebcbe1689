"""What operations come to in sums, products and maxima alone, for runtimes that have no others.

Truth and whole numbers are f32: 1 and 0 for truth, and indices exact up to 2^24. What is picked is multiplied by 1 and the rest
by 0, so that it has the bits that it had. A maximum is pooled: converters read ReduceMax of some opsets alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape, Size, concrete, product
from openvino_xai.graph.trace import Trace, as_value, shape_of

Operands: TypeAlias = Sequence[Value]  # of a node, in f32 where it has whole numbers or truth

PICKED = 16  # at most, of a top K: each is a search among all
REDUCED = 4  # axes of a value, of which ncnn reduces some
STORED = 2**12  # elements: a larger table of what is picked is computed when the model is loaded
LARGEST = 2**24  # whole numbers up to here are exact in f32
FAR = np.float32(1e38)  # times the smallest normal difference this is 1 or more
LOWEST = np.float32(-3e38)  # of what was picked already
UNIT, ZERO = np.float32(1), np.float32(0)


def portable_form(xp: Trace, node: Node, operands: Operands) -> Value:
    """What stands for the value of a node that a plan adds. Raises PlanError where there is nothing."""
    if node.kind not in FORMS and node.kind not in PLAIN:
        raise refused(node, f"an operation '{node.kind}'")
    return FORMS.get(node.kind, _same)(xp, node, operands)


def as_float(node: Node, value: Value) -> Value:
    """An operand that no node of the plan computes, in f32 where it is whole numbers. Raises PlanError."""
    if _is_float(value):
        return value
    if value.data is None:
        raise refused(node, f"'{value.name}' as {value.dtype}")
    if np.abs(value.data.astype(np.float64)).max(initial=0) > LARGEST:
        raise refused(node, f"numbers over {LARGEST}")
    return as_value(value.data.astype(np.float32), [])


def refused(node: Node, what: str) -> PlanError:
    """What is said of a node that has no portable form."""
    return PlanError(
        f"no portable form is known of a hook that needs {what} ({node}): leave portable out, or choose other targets or "
        "another method",
        node=node.name,
        options=("portable",),
    )


def _is_float(value: Value) -> bool:
    return value.dtype is not None and value.dtype.kind == "f"


def _same(xp: Trace, node: Node, operands: Operands) -> Value:
    """The same node, of which whole numbers and truth are f32."""
    old = node.outputs[0]
    if node.kind == "divide" and not _is_float(old):
        raise refused(node, "a quotient of whole numbers")
    dtype = old.dtype if _is_float(old) else np.float32
    return xp.record(node.kind, operands, shape_of(old), dtype, dict(node.attributes))


def _unequal(xp: Trace, distance: Value) -> Value:
    """1 where a distance is not 0, else 0; without a number that is too large for f32."""
    return xp.minimum(xp.multiply(xp.minimum(distance, UNIT), FAR), UNIT)


def _one_at(xp: Trace, a: Value, b: Any) -> Value:
    """1 where whole numbers are the same, else 0."""
    apart = xp.subtract(a, b)
    return xp.subtract(UNIT, xp.minimum(xp.maximum(apart, xp.subtract(ZERO, apart)), UNIT))


def _equal(xp: Trace, node: Node, operands: Operands) -> Value:
    a, b = (xp.astype(value, np.float32) for value in operands)
    if not _is_float(node.operand(0)):
        return _one_at(xp, a, b)
    apart = xp.subtract(a, b)
    return xp.subtract(UNIT, _unequal(xp, xp.maximum(apart, xp.subtract(ZERO, apart))))


def _greater(xp: Trace, node: Node, operands: Operands) -> Value:
    a, b = (xp.astype(value, np.float32) for value in operands)
    return _unequal(xp, xp.maximum(xp.subtract(a, b), ZERO))


def _where(xp: Trace, node: Node, operands: Operands) -> Value:
    condition, a, b = operands
    for value in (a, b):
        if value.data is not None and not np.isfinite(value.data).all():
            raise refused(node, "an infinite number")
    condition = xp.astype(condition, a.dtype)
    others = xp.subtract(as_value(np.ones((), a.dtype), []), condition)
    return xp.add(xp.multiply(condition, a), xp.multiply(others, b))


def _cast(xp: Trace, node: Node, operands: Operands) -> Value:
    (x,), after = operands, node.outputs[0].dtype
    if _is_float(node.outputs[0]):
        return xp.astype(x, after)
    if _is_float(node.operand(0)):
        raise refused(node, f"{after}, which is made by a cast (of u8: leave the scale)")
    return x


def _last(xp: Trace, x: Value, axis: int) -> tuple[Value, tuple[int, ...]]:
    """The value with an axis at the end, and what puts it back."""
    rank = len(shape_of(x))
    order = (*(i for i in range(rank) if i != axis), axis)
    back = tuple(order.index(i) for i in range(rank))
    return xp.permute_dims(x, order), back


def _along(xp: Trace, x: Value, axes: list[int]) -> tuple[Value, int]:
    """[B, M, R]: what is reduced together on the last axis, and R."""
    sizes = shape_of(x)
    left = [axis for axis in range(len(sizes)) if axis not in axes]
    count = product(concrete([sizes[axis] for axis in axes], "what is reduced"))
    first = sizes[left[0]] if left else 1
    rest = product([sizes[axis] for axis in left[1:]])
    assert isinstance(count, int)
    return xp.reshape(xp.permute_dims(x, (*left, *axes)), (first, rest, count)), count


def _largest(xp: Trace, x: Value, axes: list[int], shape: Shape) -> Value:
    """The largest along axes, in a shape: a pool over all of them, of an image [B, M, R, 1]."""
    laid, count = _along(xp, x, axes)
    image = xp.reshape(laid, (*shape_of(laid), 1))
    window = {"kernel": [count, 1], "strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "exclude_pad": True, "ceil": False}
    pooled = xp.record("max_pool", [image], (*shape_of(laid)[:2], 1, 1), x.dtype, window)
    return xp.reshape(pooled, shape)


def _weighed(xp: Trace, node: Node, operands: Operands, weight: Callable[[int], float]) -> Value:
    """A sum, as a product where it has more axes than some runtimes reduce."""
    (x,) = operands
    if len(shape_of(x)) <= REDUCED:
        return _same(xp, node, operands)
    laid, count = _along(xp, x, node.attributes["axes"])
    weights = np.full((count, 1), weight(count), x.dtype)
    return xp.reshape(xp.matmul(laid, weights), shape_of(node.outputs[0]))


def _sum(xp: Trace, node: Node, operands: Operands) -> Value:
    return _weighed(xp, node, operands, lambda count: 1)


def _mean(xp: Trace, node: Node, operands: Operands) -> Value:
    return _weighed(xp, node, operands, lambda count: 1 / count)


def _max(xp: Trace, node: Node, operands: Operands) -> Value:
    return _largest(xp, operands[0], node.attributes["axes"], shape_of(node.outputs[0]))


def _min(xp: Trace, node: Node, operands: Operands) -> Value:
    (x,) = operands
    zero = as_value(np.zeros((), x.dtype), [])
    largest = _largest(xp, xp.subtract(zero, x), node.attributes["axes"], shape_of(node.outputs[0]))
    return xp.subtract(zero, largest)


def _top_k(xp: Trace, node: Node, operands: Operands) -> Value:
    """The places of the largest, one after the other; of equals the first, as TopK takes them."""
    axis, k = node.attributes["axis"], node.attributes["k"]
    if k > PICKED:
        raise refused(node, f"the {k} largest, more than {PICKED}")
    x, back = _last(xp, xp.astype(operands[0], np.float32), axis)
    *sizes, count = shape_of(x)
    numbers = _numbers(count)
    number = len(numbers)
    places = numbers.reshape(*[1] * len(sizes), number)
    picked = []
    for turn in range(k):
        largest = _largest(xp, x, [len(sizes)], (*sizes, 1))
        is_largest = xp.subtract(UNIT, _unequal(xp, xp.subtract(largest, x)))
        first = xp.subtract(
            np.float32(number), _largest(xp, xp.multiply(is_largest, number - places), [len(sizes)], (*sizes, 1))
        )
        picked.append(first)
        if turn + 1 < k:
            taken = _one_at(xp, first, places)
            x = xp.add(xp.multiply(x, xp.subtract(UNIT, taken)), xp.multiply(taken, LOWEST))
    return xp.permute_dims(xp.concat(picked, axis=len(sizes)) if k > 1 else picked[0], back)


def _gather_elements(xp: Trace, node: Node, operands: Operands) -> Value:
    (x, index), axis = operands, node.attributes["axis"]
    if index.producer is not None and index.producer.native is None and index.producer.kind == "broadcast":
        shorter = index.producer.operand(0)
        if len(shape_of(shorter)) == len(shape_of(index)) and shape_of(shorter)[axis] == shape_of(index)[axis]:
            index = shorter  # the same places for many rows
    x, back = _last(xp, x, axis)
    places, _ = _last(xp, index, axis)
    *sizes, number = shape_of(x)
    *_, count = shape_of(places)
    if not sizes or shape_of(places)[-2] != 1:
        x = xp.reshape(x, (*sizes, 1, number))
        places = xp.reshape(places, (*shape_of(places)[:-1], 1, count))
    row = _numbers(number).reshape(-1, 1)
    taken = xp.matmul(x, xp.astype(_one_at(xp, places, row), x.dtype))
    return xp.permute_dims(xp.reshape(taken, (*sizes, count)), back)


def _gather(xp: Trace, node: Node, operands: Operands) -> Value:
    (x, index), axis = operands, node.attributes["axis"]
    sizes, wanted, count = shape_of(x), shape_of(node.outputs[0]), product(shape_of(index))
    number = len(_numbers(sizes[axis]))
    if axis == 0:  # as a linear layer has its weights, which all converters know
        one_hot = _one_hot(xp, index, number, x.dtype, by_row=True)
        return xp.reshape(xp.matmul(one_hot, xp.reshape(x, (number, product(sizes[1:])))), wanted)
    x, back = _last(xp, x, axis)
    lead = shape_of(x)[:-1]
    taken = xp.matmul(xp.reshape(x, (product(lead), number)), _one_hot(xp, index, number, x.dtype, by_row=False))
    return xp.reshape(xp.permute_dims(xp.reshape(taken, (*lead, count)), back), wanted)


def _one_hot(xp: Trace, index: Value, number: int, dtype: Any, *, by_row: bool) -> Value:
    """[M, number], or [number, M] where not `by_row`: 1 at each place of M that are picked; stored where it is small."""
    count = product(shape_of(index))
    if index.data is not None and index.data.size * number <= STORED:
        rows = np.eye(number, dtype=dtype)[index.data.astype(np.int64).reshape(-1)]
        return as_value(np.ascontiguousarray(rows if by_row else rows.T), [])
    if index.data is not None:
        index = as_value(index.data % number, [])  # from the end
    ids, places = ((count, 1), (1, -1)) if by_row else ((1, count), (-1, 1))
    return xp.astype(_one_at(xp, xp.reshape(index, ids), _numbers(number).reshape(places)), dtype)


def _numbers(size: Size) -> np.ndarray:
    """[size], f32: 0, 1 and so on."""
    return np.arange(*concrete([size], "what is picked of"), dtype=np.float32)


PLAIN = frozenset(
    "add subtract multiply divide maximum minimum exp log sqrt tanh sin cos erf round sigmoid softmax reshape transpose "
    "broadcast concat matmul conv conv_transpose".split()
)
FORMS: dict[str, Callable[[Trace, Node, Operands], Value]] = {
    "equal": _equal,
    "greater": _greater,
    "where": _where,
    "cast": _cast,
    "max": _max,
    "min": _min,
    "sum": _sum,
    "mean": _mean,
    "top_k": _top_k,
    "gather": _gather,
    "gather_elements": _gather_elements,
}
