"""Where a detector can be explained: sets of values, one or more a level, that together separate the image from its rows.

`heads` is the inputs of the heads, {P3, P4, P5}; `backbone` the last values before levels mix, {C3, C4, C5}: what no enlarged
value has reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from openvino_xai.errors import LayerError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import at_one, product, text
from openvino_xai.locate.layers import Candidate, CutValue, layer_name, values_called
from openvino_xai.locate.positions import Place
from openvino_xai.locate.rows import WAY_OUT, Rows
from openvino_xai.locate.separators import paths_through
from openvino_xai.operations.axes import is_1x1
from openvino_xai.operations.table import data_operands, operation_of

Placed = Mapping[Value, Place]
NAMES = ("backbone", "heads")
GROWN = 1.5  # times as many cells: what is enlarged, and not only padded


def level_sets(graph: Graph, image: Value, rows: Rows, placed: Placed) -> dict[str, Candidate]:
    """The sets by name; the two are the same where levels do not mix. Raises LayerError where there is none."""
    heads = _inputs_of_heads(graph, image, rows, placed)
    sets = {"backbone": _before_mixing(graph, heads, placed), "heads": heads}
    return {name: _candidate(graph, image, rows, placed, values) for name, values in sets.items()}


def set_of(graph: Graph, image: Value, rows: Rows, placed: Placed, names: str) -> Candidate:
    """The set whose nodes or tensors are `names`, joined by commas. Raises LayerError for one that has no cells."""
    return _candidate(graph, image, rows, placed, values_called(graph, placed, names))


def _candidate(graph: Graph, image: Value, rows: Rows, placed: Placed, values: Iterable[Value]) -> Candidate:
    """A set as a candidate, the finest level first."""
    order = sorted(dict.fromkeys(values), key=lambda value: (-at_one(product(placed[value].grid)), value.name))
    reason = None
    for value in order:
        if value.dtype is None or value.dtype.kind != "f":
            reason = f"'{layer_name(value)}' holds {value.dtype}, not floating-point features"
        elif placed[value].batch != 0 or len(placed[value].cells) != 2:
            reason = f"'{layer_name(value)}' {text(value.shape)} has no batch, rows and columns on axes of their own"
    if reason is None and (way := way_past(graph, image, rows, order)) is not None:
        reason = f"it does not separate the image from the rows: '{layer_name(way)}' is reached past it"
    return Candidate(",".join(map(layer_name, order)), tuple(CutValue(v, placed[v]) for v in order), reason)


def way_past(graph: Graph, image: Value, rows: Rows, cut: Sequence[Value]) -> Value | None:
    """A head that the image reaches past the cut."""
    reached = {image}
    for node in graph.nodes:
        if any(value in reached for value in data_operands(node)):
            reached.update(value for value in node.outputs if value not in cut)
    return next((head.value for head in rows.heads if head.value in reached), None)


def _inputs_of_heads(graph: Graph, image: Value, rows: Rows, placed: Placed) -> list[Value]:
    """For each level, the last value that all of its heads are made of: of classes, objectness and boxes."""
    by_grid: dict[object, set[Value]] = {}
    for head in rows.heads:
        if head.place is None:
            raise LayerError(
                f"its rows are queries without cells: head '{layer_name(head.value)}' {text(head.value.shape)} is no map; "
                + WAY_OUT,
                node=head.value.name,
            )
        by_grid.setdefault(head.place.grid, {_weighed(head.value)})
        by_grid[head.place.grid].add(_weighed(head.value))
    for value in _last_weighed(graph, placed):
        if placed[value].grid in by_grid:
            by_grid[placed[value].grid].add(value)
    order = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}
    inputs = []
    for ends in by_grid.values():
        through = [{value for value, separates in paths_through(graph, image, end).items() if separates} - ends for end in ends]
        common = [value for value in set.intersection(*through) if value in placed and value in order]
        if not common:
            raise LayerError("no value leads to all heads of a level", node=next(iter(ends)).name)
        inputs.append(max(common, key=order.__getitem__))
    return inputs


def _weighed(value: Value) -> Value:
    """What a convolution made, of what it and an addend made."""
    node = value.producer
    if node is not None and operation_of(node).weights is None:
        inside = [v for _, v in node.operands if v.producer is not None and operation_of(v.producer).weights is not None]
        return inside[0] if inside else value
    return value


def _last_weighed(graph: Graph, placed: Placed) -> list[Value]:
    """What convolutions make that leads to outputs through no other convolution over cells."""
    wanted = set(graph.outputs.values())
    last = []
    for node in reversed(graph.nodes):
        if wanted.isdisjoint(node.outputs):
            continue
        if operation_of(node).weights is not None and node.outputs[0] in placed:
            last.append(node.outputs[0])
        else:
            wanted.update(data_operands(node))
    return last


def _before_mixing(graph: Graph, heads: Sequence[Value], placed: Placed) -> list[Value]:
    """The last values on the ways to the heads that no enlarged value has reached."""
    enlarged: set[Value] = set()
    for node in graph.nodes:
        operands = data_operands(node)
        if any(value in enlarged for value in operands) or enlarges(placed, operands, node.outputs):
            enlarged.update(node.outputs)
    cut, visited, pending = [], set[Value](), list(heads)
    while pending:
        value = pending.pop()
        if value in visited or graph.is_constant(value):
            continue
        visited.add(value)
        if value in enlarged and value.producer is not None:
            pending += data_operands(value.producer)
        else:
            cut.append(value)
    cut = [_ahead_of_lateral(value, placed) for value in dict.fromkeys(cut) if value in placed]
    return [value for value in cut if not is_behind(graph, value, [v for v in cut if v is not value], placed)]


def _ahead_of_lateral(value: Value, placed: Placed) -> Value:
    """What a linear layer of each cell by itself is made of: it belongs to what mixes levels, as in a feature pyramid."""
    before = lateral_operand(value, placed)
    return value if before is None else _ahead_of_lateral(before, placed)


def lateral_operand(value: Value, placed: Placed) -> Value | None:
    """The only operand with cells of a node that is linear in each cell by itself, or moves cells; None of another."""
    node = value.producer
    inside = [] if node is None else [operand for _, operand in node.operands if operand in placed]
    if node is None or value not in placed or len(inside) != 1 or placed[inside[0]].grid != placed[value].grid:
        return None
    operation = operation_of(node)
    adds = operation.pointwise and all(index in operation.addends for index in (0, 1)) and len(node.inputs) == 2
    lays_out = operation.moves == "all"
    is_linear = operation.weights is not None and node.operand(0) is inside[0]
    is_by_cell = is_linear and (is_1x1(node) if node.attributes.get("strides") else operation.lazy_adjoint)
    return inside[0] if adds or lays_out or is_by_cell else None


def enlarges(placed: Placed, operands: Iterable[Value], outputs: Iterable[Value]) -> bool:
    """Whether many more cells come out than the most that went in: a border is no new level."""
    before = [at_one(product(placed[value].grid)) for value in operands if value in placed]
    after = [at_one(product(placed[value].grid)) for value in outputs if value in placed]
    return bool(before and after) and max(after) > GROWN * max(before)


def is_behind(graph: Graph, value: Value, others: Sequence[Value], placed: Placed) -> bool:
    """Whether another value of as many cells is all that a value is made of."""
    for other in others:
        if placed[other].grid == placed[value].grid and other is not value:
            reached, pending, only = set[Value](), [value], True
            while pending and only:
                v = pending.pop()
                if v is other or v in reached or graph.is_constant(v):
                    continue
                reached.add(v)
                if v.producer is None:
                    only = False
                else:
                    pending += data_operands(v.producer)
            if only:
                return True
    return False
