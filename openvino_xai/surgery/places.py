"""Where the cells of the image are in a value: its rows and columns, or the tokens that they have become."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openvino_xai.graph.axes import axes_of
from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, Size, product


@dataclass(frozen=True)
class Place:
    """Which axes of a value hold the batch and the cells: (rows, columns), or one axis of tokens, row by row.

    `grid` is (H, W), the rows and columns of cells; `prefix` counts the tokens ahead of them that are none.
    """

    batch: int
    cells: tuple[int, ...]
    grid: tuple[Size, Size]
    prefix: int = 0


@dataclass
class _Roles:
    """What is known of one value: the axis of each role, and the tokens where it has some."""

    axes: dict[str, int]
    grid: tuple[Size, Size] | None = None
    prefix: int = 0

    def place(self, shape: Shape) -> Place | None:
        """The place, where the batch and all cells are known."""
        if "batch" not in self.axes:
            return None
        if "tokens" in self.axes and self.grid is not None:
            return Place(self.axes["batch"], (self.axes["tokens"],), self.grid, self.prefix)
        if {"height", "width"} <= set(self.axes):
            cells = (self.axes["height"], self.axes["width"])
            return Place(self.axes["batch"], cells, (shape[cells[0]], shape[cells[1]]))
        return None


def places(graph: Graph, image: Value, place: Place) -> dict[Value, Place]:
    """For every value that holds the batch and the cells of the image, where.

    Rows and columns that a reshape merges are followed as tokens, also where others are put ahead of them or behind them,
    and found again where tokens are laid out as before.
    """
    known = {image: _Roles({"batch": place.batch, "height": place.cells[0], "width": place.cells[1]})}
    for node in graph.nodes:
        for value, axes in zip(node.outputs, axes_of(node) or (), strict=False):
            found: dict[str, set[int]] = {}
            roles = _Roles({})
            for target, sources in enumerate(axes):
                for source in sources:
                    held = known.get(node.operand(source.operand))
                    for role, axis in held.axes.items() if held else ():
                        if axis == source.axis and (source.exact or role in ("height", "width")):
                            found.setdefault(role, set()).add(target)
                            if role == "tokens" and held:
                                roles.grid, roles.prefix = held.grid, held.prefix
            roles.axes = {role: targets.pop() for role, targets in found.items() if len(targets) == 1}
            first = known.get(node.operand(0))
            if node.kind == "reshape" and first:
                _reshaped(node, first, roles)
            elif node.kind == "concat":
                _joined(node, known, roles)
            elif node.kind == "slice" and first and first.grid and "tokens" not in roles.axes:
                _cut(node, first, roles)
            known[value] = roles
    found_places = {value: roles.place(value.shape or ()) for value, roles in known.items()}
    return {value: where for value, where in found_places.items() if where is not None}


def _reshaped(node: Node, before: _Roles, roles: _Roles) -> None:
    """Rows and columns that become tokens, or tokens that become rows and columns; or blocks of rows and columns."""
    shape, after = node.operand(0).shape or (), node.outputs[0].shape or ()
    if "tokens" in before.axes and "tokens" not in roles.axes and before.grid is not None:
        ahead = product(shape[: before.axes["tokens"]])
        target = next(
            (i for i in range(len(after) - 1) if after[i : i + 2] == before.grid and product(after[:i]) == ahead), None
        )
        if target is not None and not before.prefix:
            roles.axes.update(height=target, width=target + 1)
        return
    rows = before.axes.get("height")
    if rows is None or not {"height", "width"} - set(roles.axes):
        return
    if before.axes.get("width") == rows + 1:
        grid = shape[rows], shape[rows + 1]
        for target, length in enumerate(after):
            if length == product(grid) and product(after[:target]) == product(shape[:rows]):
                roles.axes = {role: axis for role, axis in roles.axes.items() if role == "batch"} | {"tokens": target}
                roles.grid = grid
                return
    for role in {"height", "width"} & set(before.axes) - set(roles.axes):
        for target in _blocks(shape, after, before.axes[role]):
            roles.axes[role] = target


def _blocks(before: Shape, after: Shape, axis: int) -> Iterable[int]:
    """The axis of blocks that a reshape splits an axis into: these are the cells from there on."""
    for target in range(len(after) - 1):
        ahead = product(after[:target]) == product(before[:axis])
        if ahead and after[target] != 1 and product(after[target : target + 2]) == before[axis]:
            yield target


def _joined(node: Node, known: dict[Value, _Roles], roles: _Roles) -> None:
    """Tokens that others are put ahead of, or behind."""
    along = node.attributes["axis"] % len(node.outputs[0].shape or (1,))
    ahead = 0
    for _, value in node.operands:
        held, size = known.get(value), (value.shape or ())[along]
        if held and held.grid and held.axes.get("tokens") == along:
            if "tokens" in roles.axes:  # two of them: neither is the image alone
                del roles.axes["tokens"]
                return
            roles.axes["tokens"], roles.grid, roles.prefix = along, held.grid, held.prefix + ahead
        if not isinstance(size, int):
            roles.axes.pop("tokens", None)
            return
        ahead += size


def _cut(node: Node, before: _Roles, roles: _Roles) -> None:
    """Tokens of which a slice keeps all that are cells."""
    tokens, a = before.axes.get("tokens"), node.attributes
    shape = node.operand(0).shape or ()
    if tokens is None or [axis % len(shape) for axis in a["axes"]] != [tokens] or a["steps"] != [1]:
        return
    length, cells = shape[tokens], product(before.grid or ())
    if not isinstance(length, int) or not isinstance(cells, int):
        return
    start, end, _ = slice(a["starts"][0], a["ends"][0]).indices(length)
    if start <= before.prefix and before.prefix + cells <= end:
        roles.axes["tokens"], roles.grid, roles.prefix = tokens, before.grid, before.prefix - start
