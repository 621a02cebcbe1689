"""Positions: where each value holds the batch and the cells of the image, as rows and columns or as tokens.

The walk goes through the graph once, from the image on. For each node it asks where the batch, the height and the width of the
operands are in the outputs. A convolution or a pool leaves them on their axes, with fewer cells. A reshape may merge them to an
axis of tokens, a join may put other tokens beside these, and a reshape may lay them out again. What a node has in two places is
lost from there on. So is what lies elsewhere than on equal parts of the image, which is where maps are drawn: a network that
lays the image on a larger canvas, or crops it, has cells of the canvas, or of the crop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, Size, product, quotient
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.axes import Axes
from openvino_xai.operations.centres import Centres, evenly
from openvino_xai.operations.families.layout import tiles
from openvino_xai.operations.integers import lays_in_blocks, reverses
from openvino_xai.operations.table import axes_of, operation_of


@dataclass(frozen=True)
class Place:
    """Which axes of a value hold the batch and the cells: (height, width), or one axis of tokens, row by row.

    `grid` is (H, W) of the cells. `prefix` counts the tokens ahead of the cells, as a class token. `mirrored` tells of height
    and width whether the cells lie the other way round than in the image, as in a flipped twin. `shifted` ones lie elsewhere
    than on equal parts of the image, as those of a canvas that it is laid on.

    A signal has `sizes` (L,) and a grid of one row; a video (T, H, W), and a grid of T * H rows, in one or three axes. None is
    for an image. Where the frames of a clip are a batch, [B * T, ...], clip by clip, one axis holds both the batch and time.
    """

    batch: int
    cells: tuple[int, ...]
    grid: tuple[Size, Size]
    prefix: int = 0
    mirrored: tuple[bool, bool] = (False, False)
    sizes: tuple[Size, ...] | None = None
    shifted: bool = False

    @property
    def lengths(self) -> tuple[Size, ...]:
        """How many cells there are along each axis of a map."""
        return self.sizes or self.grid

    @property
    def frames(self) -> Size:
        """T, how many frames of each clip lie one behind the other on the axis of the batch; 1 where none do."""
        return self.sizes[0] if self.sizes is not None and self.folds_frames else 1

    @property
    def folds_frames(self) -> bool:
        """Whether the axis of the batch holds frames of clips."""
        return self.batch in self.cells

    @property
    def unfolded(self) -> Place:
        """The same where frames have an axis of their own, behind that of the clips."""
        if not self.folds_frames:
            return self
        return replace(self, cells=tuple(axis + 1 if axis >= self.batch else axis for axis in self.cells))

    @property
    def span(self) -> Span:
        """Where the images are, or the clips."""
        return Span(self.batch, 1, self.frames)

    def images(self, shape: Sequence[Size]) -> Size:
        """B, how many images, or clips, a value of this shape holds."""
        count = quotient(shape[self.batch], self.frames)
        assert count is not None
        return count

    def tokens(self, length: int) -> slice:
        """The slice of `length` tokens that are cells: all behind the prefix, if only a run tells their number."""
        count = product(self.grid)
        return slice(self.prefix, self.prefix + count if isinstance(count, int) else length)

    def beside(self, shape: Sequence[Size]) -> np.ndarray | None:
        """True for each token of a value of this shape that is no cell, in the value's axes; None where all are cells."""
        count, tokens = product(self.grid), shape[self.cells[0]]
        if len(self.cells) != 1 or count == tokens or not isinstance(count, int) or not isinstance(tokens, int):
            return None
        places = np.arange(tokens)
        outside = (places < self.prefix) | (places >= self.prefix + count)
        return outside.reshape([tokens if axis == self.cells[0] else 1 for axis in range(len(shape))])


@dataclass(frozen=True)
class _Lattice:
    """Where the cells along a side of the image lie on it, in pixels, and the largest step between cells on the way there."""

    centres: Centres
    coarsest: float

    def shift(self, size: Size, count: Size) -> float:
        """How far an end lies from where it is in equal parts, in pixels, of an image of `size` pixels and `count` cells."""
        part = size / count if isinstance(size, int) and isinstance(count, int) and count else self.centres.step
        return self.centres.shift(part)

    def fits(self, size: Size, count: Size) -> bool:
        """Whether both ends lie where they are drawn, to a cell or to what is little of the image."""
        if not isinstance(size, int):
            return self.shift(size, count) <= max(self.centres.step, OPEN_SHIFT)
        return self.shift(size, count) <= max(size / count if isinstance(count, int) and count else 0, size * SHIFT)


@dataclass
class _Roles:
    """Where a value has its batch, height and width; or its tokens, once other tokens stand beside the cells."""

    spans: dict[str, Span]
    grid: tuple[Size, Size] | None = None  # (H, W) of the tokens; the prefix counts those ahead of them
    prefix: int = 0
    mirrored: frozenset[str] = frozenset()  # height, width, or both
    lattices: dict[str, _Lattice] = field(default_factory=dict)  # of height and width, also once these are tokens

    def place(self, shape: Shape, roles: Sequence[str]) -> Place | None:
        """The place, where the batch and all cells are known and have axes of their own; `roles` are the axes of the image."""
        if len(roles) != 2:
            return self._place_of_sizes(shape, roles)
        batch, tokens, height, width = (self.spans.get(role) for role in ("batch", "tokens", "height", "width"))
        if batch is None or not batch.pure:
            return None
        if tokens is not None and tokens.pure and self.grid is not None:
            return Place(batch.axis, (tokens.axis,), self.grid, self.prefix)
        if height is None or width is None or not height.fits(shape) or not width.fits(shape):
            return None
        grid = height.length(shape), width.length(shape)
        mirrored = "height" in self.mirrored, "width" in self.mirrored
        if height.pure and width.pure:
            return Place(batch.axis, (height.axis, width.axis), grid, mirrored=mirrored)
        merged = height == Span(height.axis, 1, grid[1]) and width == Span(height.axis, grid[0], 1)
        return Place(batch.axis, (height.axis,), grid, mirrored=mirrored) if merged else None

    def _place_of_sizes(self, shape: Shape, roles: Sequence[str]) -> Place | None:
        """As `place`, of a signal or a video: each of its axes alone, or all merged into one, in their order.

        Time may share the axis of the batch, where frames lie clip by clip, and the file tells their number.
        """
        batch, spans = self.spans.get("batch"), [self.spans[role] for role in roles if role in self.spans]
        if batch is None or len(spans) < len(roles) or not all(span.fits(shape) for span in (batch, *spans)):
            return None
        sizes = tuple(span.length(shape) for span in spans)
        grid = product(sizes[:-1]), sizes[-1]
        time, *others = spans
        if time.axis == batch.axis and others:
            clip_by_clip = isinstance(sizes[0], int) and batch.outer == 1 and batch.inner == sizes[0] and time.inner == 1
            if not clip_by_clip or not all(span.pure for span in others):
                return None
            return Place(batch.axis, tuple(span.axis for span in spans), grid, sizes=sizes)
        if not batch.pure:
            return None
        if all(span.pure for span in spans):
            return Place(batch.axis, tuple(span.axis for span in spans), grid, sizes=sizes)
        merged = [Span(spans[0].axis, product(sizes[:i]), product(sizes[i + 1 :])) for i in range(len(sizes))]
        return Place(batch.axis, (spans[0].axis,), grid, sizes=sizes) if spans == merged else None


SHIFT = 1 / 8  # of a side: windows without padding, one behind the other, leave out that much
OPEN_SHIFT = 16  # pixels, of a side that only a run knows
ROLES = {1: ("width",), 2: ("height", "width"), 3: ("time", "height", "width")}  # of a signal, an image, a video


def places(graph: Graph, image: Value, place: Place, *, anywhere: bool = False) -> dict[Value, Place]:
    """For every value that holds the batch and all cells of the image on axes of their own, where: as they lie in the image, or
    `anywhere`, with the mirrored and the shifted ones.

    Rows and columns that a reshape merges are followed as tokens, with others joined ahead of them or behind. They are found
    again where tokens are laid out as before.
    """
    cell_roles = ROLES[len(place.cells)]
    sizes = {role: shape_of(image)[axis] for role, axis in zip(cell_roles, place.cells, strict=True)}
    spans = dict(zip(("batch", *cell_roles), map(Span, (place.batch, *place.cells)), strict=True))
    roles_of = {image: _Roles(spans, lattices=dict.fromkeys(cell_roles, _Lattice(Centres(), 1.0)))}
    single = shape_of(image)[place.batch] == 1
    for node in graph.nodes:
        for value, axes in zip(node.outputs, axes_of(node) or (), strict=False):
            if value is image:  # of a part of what the model is given, as it crops it
                continue
            roles_of[value] = roles = _followed(graph, node, axes, roles_of, planar=len(cell_roles) == 2)
            roles.lattices = _lattices(node, value, roles, roles_of)
            if single:
                _found_again(roles, value.shape or ())
    placed = {value: _placed(roles, value.shape or (), sizes) for value, roles in roles_of.items()}
    there = {value: where for value, where in placed.items() if where is not None}
    return there if anywhere else {v: where for v, where in there.items() if not any(where.mirrored) and not where.shifted}


def _placed(roles: _Roles, shape: Shape, sizes: Mapping[str, Size]) -> Place | None:
    """The place of a value, shifted where its cells do not lie on equal parts of an image of these sizes."""
    where = roles.place(shape, tuple(sizes))
    if where is None:
        return None
    counts, lattices = zip(sizes, where.lengths, strict=True), roles.lattices
    fits = all(lattices[role].fits(sizes[role], count) for role, count in counts if role in lattices)
    return where if fits else replace(where, shifted=True)


def _lattices(node: Node, value: Value, roles: _Roles, roles_of: Mapping[Value, _Roles]) -> dict[str, _Lattice]:
    """Where the cells of a node's output lie along each side, by the operand that holds the most of them.

    What is pooled to few cells, and laid beside finer ones again, is what surrounds these.
    """
    lattices: dict[str, _Lattice] = {}
    for index, operand in node.operands:
        before = roles_of.get(operand)
        for role, lattice in before.lattices.items() if before else ():
            assert before is not None
            here, there = before.spans.get(role), roles.spans.get(role)
            after = _behind(lattice, node, index, (here, there), value) if here and there else lattice
            if (role in roles.mirrored) != (role in before.mirrored):
                after = _Lattice(after.centres.mirrored, after.coarsest)
            if role not in lattices or _nearness(after) < _nearness(lattices[role]):
                lattices[role] = after
    return lattices


def _nearness(lattice: _Lattice) -> tuple[float, float]:
    """The finest first, and of those the one that lies where it is drawn, as what a shifted branch is added to."""
    return lattice.coarsest, lattice.centres.shift(lattice.centres.step)


def _behind(lattice: _Lattice, node: Node, index: int, spans: tuple[Span, Span], value: Value) -> _Lattice:
    """Where the cells of a node's output lie, by the `spans` of a side in an operand and there."""
    (before, after), shapes = spans, (shape_of(node.operand(index)), value.shape or ())
    if not before.fits(shapes[0]) or not after.fits(shapes[1]):
        return lattice
    sizes = before.length(shapes[0]), after.length(shapes[1])
    rule = operation_of(node).centres if index == 0 and before.pure and after.pure else None
    centres = rule(node, before.axis) if rule is not None else None
    if centres is None and sizes[0] == sizes[1]:
        return lattice
    even = evenly(*sizes)
    there = (centres.ending(*sizes) if centres is not None else even).on(lattice.centres)
    # one window that covers all makes cells as coarse as one of blocks does, whatever its stride
    return _Lattice(there, max(lattice.coarsest, there.step, even.step * lattice.centres.step))


def _found_again(roles: _Roles, shape: Shape) -> None:
    """Give `roles` the batch of a single image that was taken out of it and put back: it has an axis of 1, and which one says
    nothing."""
    taken = {span.axis for span in roles.spans.values()}
    if roles.spans and "batch" not in roles.spans and shape[:1] == (1,) and 0 not in taken:
        roles.spans["batch"] = Span(0)


def _followed(graph: Graph, node: Node, axes: Axes, roles_of: dict[Value, _Roles], *, planar: bool) -> _Roles:
    """The roles of a node's output; where the image is not `planar`, tokens beside its cells and blocks of these are none."""
    destinations: dict[str, set[tuple[Span, bool]]] = {}
    roles = _Roles({})
    for index, value in node.operands:
        before = roles_of.get(value)
        for role, span in before.spans.items() if before else ():
            assert before is not None
            after, is_mirrored = follow(node, index, span), role in before.mirrored
            if after is None and role in ROLES[3]:
                after = _mixed(node, axes, index, span)
                if after is None and planar and index == 0 and span.pure and reverses(graph, node, span.axis):
                    after, is_mirrored = span, not is_mirrored
                elif after is None and planar and index == 0 and span.pure and lays_in_blocks(graph, node, span.axis):
                    after = Span(span.axis + 1)
            if after is not None and not (role in destinations and _is_of_keys(node, index, after)):
                destinations.setdefault(role, set()).add((after, is_mirrored))
                if role == "tokens":
                    roles.grid, roles.prefix = before.grid, before.prefix
    followed = {role: ends.pop() for role, ends in destinations.items() if len(ends) == 1}
    roles.spans = {role: span for role, (span, _) in followed.items()}
    roles.mirrored = frozenset(role for role, (_, is_mirrored) in followed.items() if is_mirrored)
    if not planar or any(roles_of[value].mirrored for _, value in node.operands if value in roles_of):
        return roles  # what is found again below lies as in the image
    if operation_of(node).joins:
        _joined(node, roles_of, roles)
    elif node.kind == "slice" and "tokens" not in roles.spans:
        _cut(node, roles_of, roles)
    elif node.kind == "col2im" and (windows := roles_of.get(node.operand(0))):
        _put_together(node, windows, roles)
    elif operation_of(node).lays_out and (first := roles_of.get(node.operand(0))):
        _refined(roles, shape_of(node.outputs[0]))
        for role in {"height", "width"} & set(first.spans) - set(roles.spans):
            shapes, span = (shape_of(node.operand(0)), shape_of(node.outputs[0])), first.spans[role]
            block = _blocks(*shapes, span) or _split_anew(*shapes, span)
            roles.spans.update({} if block is None else {role: block})
    return roles


def _is_of_keys(node: Node, index: int, span: Span) -> bool:
    """Whether a span of a product lies in its columns, which keys become: queries, its rows, stay where they were.

    Windows are no keys. They lie on an axis ahead of rows and columns, along which the operands meet item by item.
    """
    return node.kind == "matmul" and index == 1 and span.axis == len(shape_of(node.outputs[0])) - 1


def _refined(roles: _Roles, shape: Shape) -> None:
    """Give `roles` finer cells, where a reshape merges height and width with what was split off them, or off channels."""
    height, width = roles.spans.get("height"), roles.spans.get("width")
    if not height or not width or height.outer != 1:
        return
    if height.axis != width.axis and width.outer == 1:
        roles.spans.update(height=Span(height.axis), width=Span(width.axis))
    elif (
        height.axis == width.axis and len(shape) > 2 and height.fits(shape) and width.fits(shape)
    ):  # channels have another axis
        grid_height, length = width.outer, shape[height.axis]
        grid_width = quotient(length, grid_height)
        if grid_width is not None and quotient(grid_height, height.length(shape)) is not None:
            roles.spans.update(height=Span(height.axis, 1, grid_width), width=Span(height.axis, grid_height, 1))


def _put_together(node: Node, windows: _Roles, roles: _Roles) -> None:
    """Give `roles` the rows and columns that windows tile, where these stand in the order of the image."""
    sizes, count = shape_of(node.outputs[0])[2:], shape_of(node.operand(0))[2]
    down, across = (quotient(size, side) for size, side in zip(sizes, node.attributes["kernel"], strict=True))
    if down is None or across is None or not tiles(node) or product((down, across)) != count:
        return
    if windows.spans.get("height") == Span(2, 1, across) and windows.spans.get("width") == Span(2, down, 1):
        roles.spans.update(height=Span(2), width=Span(3))


def _mixed(node: Node, axes: Axes, index: int, span: Span) -> Span | None:
    """Where the height or the width is that a norm mixes, that a window slides over, or that a step skips."""
    # mixed with its neighbours, a cell still is where it was: only masks need more than that
    if operation_of(node).normalises and index == 0:
        return span
    targets = [target for target, sources in enumerate(axes) if any(s[:2] == (index, span.axis) for s in sources)]
    return Span(targets[0]) if len(targets) == 1 and span.pure else None


def _blocks(before: Shape, after: Shape, span: Span) -> Span | None:
    """The blocks that a reshape splits the height or the width into, as windows do: the cells from there on."""
    if not span.fits(before):
        return None
    # windows of h rows: [..., H, ...] becomes [..., H / h, h, ...], and the blocks stand where the rows stood
    items, ahead = span.length(before), product(before[: span.axis]) * span.outer
    for axis, size in enumerate(after):
        outer = quotient(ahead, product(after[:axis]))
        blocks = None if outer is None else quotient(size, outer)
        if (
            outer is not None
            and isinstance(blocks, int)
            and isinstance(items, int)
            and 1 < blocks < items
            and items % blocks == 0
        ):
            return Span(axis, outer)
    return None


def _split_anew(before: Shape, after: Shape, span: Span) -> Span | None:
    """The blocks of rows or columns, for a reshape that merges them with what was split off, and splits them in another way."""
    # the rows lie where they lay if as many elements as before are ahead of them, and of what follows the split
    ahead = product(before[: span.axis])
    ends = [product(before[:axis]) for axis in range(span.axis + 2, len(before) + 1)]
    for axis, size in enumerate(after):
        there = span.pure and isinstance(size, int) and size > 1 and product(after[:axis]) == ahead
        if there and any(product(after[:end]) in ends for end in range(axis + 2, len(after) + 1)):
            return Span(axis)
    return None


def _joined(node: Node, roles_of: dict[Value, _Roles], roles: _Roles) -> None:
    """Give `roles` the tokens of a join: those of the one operand that holds the cells, behind the tokens ahead of it."""
    along = node.attributes["axis"] % len(shape_of(node.outputs[0]))
    ahead: int | None = 0
    grids = []
    for _, value in node.operands:
        before = roles_of.get(value)
        place = before.place(shape_of(value), ROLES[2]) if before else None
        if place is not None and place.cells == (along,) and ahead is not None:
            grids.append((place.grid, place.prefix + ahead))
        size = shape_of(value)[along]
        # behind an operand of which only a run knows the length, nobody knows the prefix
        ahead = ahead + size if ahead is not None and isinstance(size, int) else None
    if len(grids) == 1:  # of two, neither is the image alone
        roles.spans["tokens"] = Span(along)
        roles.grid, roles.prefix = grids[0]


def _cut(node: Node, roles_of: dict[Value, _Roles], roles: _Roles) -> None:
    """Give `roles` the tokens of a slice that keeps all cells: height and width if it keeps nothing else."""
    before, a, shape = roles_of.get(node.operand(0)), node.attributes, shape_of(node.operand(0))
    place = before.place(shape, ROLES[2]) if before else None
    if place is None or [axis % len(shape) for axis in a["axes"]] != list(place.cells) or a["steps"] != [1]:
        return
    (tokens,) = place.cells
    length, (height, width) = shape[tokens], place.grid
    if not isinstance(length, int) or not isinstance(height, int) or not isinstance(width, int):
        return
    start, end, _ = slice(a["starts"][0], a["ends"][0]).indices(length)
    if start == place.prefix and end == start + height * width:  # they alone are left
        roles.spans.update(height=Span(tokens, 1, width), width=Span(tokens, height, 1))
    elif start <= place.prefix and place.prefix + height * width <= end:
        roles.spans["tokens"], roles.grid, roles.prefix = Span(tokens), place.grid, place.prefix - start
