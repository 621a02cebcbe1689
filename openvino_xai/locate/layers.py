"""Where a hook can go: the image, the scores, and the layers that separate the one from the other."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from openvino_xai.contract import listed
from openvino_xai.errors import LayerError, PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Size, at_one, product, text
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.separators import branches, first_without, last_on_each_way, paths_through, reached_from
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.locate.tokens import cells_reach, made_of_cells
from openvino_xai.operations.table import data_operands, operation_of

MOST_CELLS, MOST_TOKENS = 2**24, 2**13  # of tokens, masks are written down for every pair
MOST_BRANCHES = 16
MADE_OF_CELLS = "tokens beside its cells are made of these, as their mean is: a layer ahead has the cells alone"
UNREAD = "of its tokens, the scores read those alone that are no cells, as a class token"
ELSEWHERE = (
    "cells that lie elsewhere than a map of them is drawn, on equal parts of the image: choose a layer ahead of what lays the "
    "image on a canvas, or crops it, or let that stand ahead of it"
)


@dataclass(frozen=True, eq=False)
class CutValue:
    """A value of a cut, and where its cells are."""

    value: Value
    place: Place


@dataclass(frozen=True, eq=False)
class Candidate:
    """A cut: values with cells that together separate the image from the scores; `reason` says why no hook can go there.

    The layer is called after the first value, which is what methods read that mask no cells. If it `attends`, the cut is that
    of an attention block: what its projections read, and what enters it, if that is another value. If `grid_unknown` is true,
    all that is not known is which of its tokens are cells. If it is `in_turn`, each of its values has a map of its own, the
    first ahead. Around one that is `bypassed` there are other ways from the image to the scores: it carries methods of
    `any_layer` alone. All that is in the way of an `unlaid` one is that no map of the image shows where its cells lie.
    """

    name: str
    cut: tuple[CutValue, ...]
    reason: str | None
    attends: bool = False
    grid_unknown: bool = False
    in_turn: bool = False
    bypassed: bool = False
    unlaid: bool = False

    def within(self, values: Mapping[Value, Value]) -> Candidate:
        """The same in a twin of the model, given its values by those of the model."""
        return replace(self, cut=tuple(replace(part, value=values[part.value]) for part in self.cut))

    @property
    def value(self) -> Value:
        """The first value of the cut."""
        return self.cut[0].value

    @property
    def place(self) -> Place:
        """Where the cells of the first value are."""
        return self.cut[0].place

    @property
    def joint(self) -> bool:
        """Whether it is of several branches, of which none is the layer alone."""
        return len(self.cut) > 1 and not self.attends and not self.in_turn

    @property
    def method(self) -> str:
        """The method that is taken here where none is asked for."""
        return "vit_reciprocam" if self.attends else "reciprocam"

    @property
    def options(self) -> tuple[str, ...]:
        """The options that would tell what is not known."""
        return ("token_grid", "prefix_tokens") if self.grid_unknown else ()

    @property
    def cells(self) -> tuple[Size, Size]:
        """(H, W), of the value that has the fewest; of layers in turn as many rows and columns as any has."""
        if self.in_turn:
            return _finest([part.place.grid for part in self.cut])
        # one mask serves all values of a cut: a cell of the coarsest is a block of cells of the others
        return min((part.place.grid for part in self.cut), key=lambda grid: at_one(product(grid)))

    @property
    def lengths(self) -> tuple[Size, ...]:
        """How many cells there are along each axis of a map: (H, W), or (L,) of a signal, or (T, H, W) of a video."""
        return self.cells if self.place.sizes is None else self.place.sizes

    @property
    def channels(self) -> int:
        """The axis that is neither batch nor cells. Raises LayerError where there is not one of its own."""
        others = [a for a in range(self.value.rank or 0) if a != self.place.batch and a not in self.place.cells]
        if len(others) != 1 or self.place.batch != 0:
            raise LayerError(
                f"layer '{self.name}' {text(self.value.shape)} has {len(others)} axes beside batch and cells; "
                "one, of channels, is expected: choose another layer",
                node=self.name,
                options=("layer",),
            )
        return others[0]

    def mask_grid(self, grid: tuple[int, int] | None) -> tuple[Size, Size]:
        """The rows and columns of masks: those of `grid`, which must divide the cells, or one mask a cell. Raises PlanError."""
        if self.in_turn:
            if grid is not None:
                raise PlanError(
                    f"layers '{self.name}' have maps of their own, and no masks: leave the grid out", options=("grid",)
                )
            return self.cells
        rows, columns = grid or self.cells
        if grid is not None and any(len(part.place.cells) != 2 for part in self.cut):
            what = "tokens" if self.place.sizes is None else "a signal or a video"
            raise PlanError(
                f"layer '{self.name}' holds {what}: a coarser grid is for rows and columns of cells; leave the grid out",
                options=("grid",),
            )
        for height, width in (part.place.grid for part in self.cut):
            if (height, width) != (rows, columns) and not (_divides(rows, height) and _divides(columns, width)):
                raise PlanError(
                    f"layer '{self.name}' has {height}x{width} cells, which a grid of {rows}x{columns} does not divide evenly"
                )
        return rows, columns


def _finest(grids: Sequence[tuple[Size, Size]]) -> tuple[Size, Size]:
    """As many rows and columns as any grid has; those of the first, where only a run tells some of them."""
    sizes = [(rows, columns) for rows, columns in grids if isinstance(rows, int) and isinstance(columns, int)]
    return (max(rows for rows, _ in sizes), max(columns for _, columns in sizes)) if len(sizes) == len(grids) else grids[0]


def _divides(masks: Size, cells: Size) -> bool:
    return isinstance(cells, int) and isinstance(masks, int) and cells % masks == 0


def is_quantised(graph: Graph) -> bool:
    """Whether a model rounds to levels somewhere."""
    return any(operation_of(node).quantises for node in graph.nodes)


def candidates(graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place]) -> list[Candidate]:
    """Every value with cells on the way from the image to the scores: those that can carry a hook first, the last ahead."""
    end = _end(scores)
    separates = paths_through(graph, image, end)
    cuts = []
    for value in _in_order(graph):
        where = placed.get(value)
        if where is None or value not in separates or value is scores.value:
            continue
        reason = _unfit(value, where)
        cuts.append(
            Candidate(layer_name(value), (CutValue(value, where),), reason, bypassed=reason is None and not separates[value])
        )
    bypasses = iter(_bypasses(graph, [[cut.value] for cut in cuts if cut.bypassed], separates))
    why = "it does not separate the image from the scores"
    cuts = [replace(cut, reason=f"{why}: {next(bypasses)}") if cut.bypassed else cut for cut in cuts]
    cuts.reverse()
    varying = reached_from(graph, image)
    for i, candidate in enumerate(cuts):  # the last first: what is ahead of cells that reach the scores reaches them, too
        if candidate.reason is not None or candidate.place.beside(shape_of(candidate.value)) is None:
            continue
        if made_of_cells(graph, candidate.value, placed, varying):
            cuts[i] = replace(candidate, reason=MADE_OF_CELLS)
            continue
        if cells_reach(graph, candidate.value, candidate.place, end):
            break
        cuts[i] = replace(candidate, reason=UNREAD)
    # sorting is stable: those that can carry a hook stay in this order
    return sorted(cuts, key=lambda candidate: candidate.reason is not None)


def _end(scores: Scores) -> Value:
    """Where the layers end: behind the logits there are classes, and no channels to make a map of."""
    return scores.read_at("logit")


def _unfit(value: Value, where: Place) -> str | None:
    """Why a value can be no part of a cut, whatever ways there are around it; None where it can."""
    if 0 in where.grid:
        return "it has no cells"
    if 0 in (value.shape or ()):
        return f"its shape is {text(value.shape)}: it holds nothing"
    if product(where.grid) == 1:
        return "it has a single cell"
    if at_one(product(where.grid)) > MOST_CELLS:
        return f"it has {text(where.grid)} cells, more than can be told apart"
    if len(where.cells) == 1 and value.shape and not _holds(value.shape[where.cells[0]], where):
        return f"it holds {value.shape[where.cells[0]]} tokens for {where.grid[0]} x {where.grid[1]} cells"
    if value.dtype is None or value.dtype.kind != "f":
        return f"it holds {value.dtype}, not floating-point features"
    return None


def _holds(length: Size, where: Place) -> bool:
    """Whether so many tokens are the cells, alone or with others beside them."""
    count = product(where.grid)
    return length == count or (isinstance(length, int) and isinstance(count, int) and where.prefix + count <= length)


def values_called(graph: Graph, placed: Mapping[Value, Place], names: str) -> list[Value]:
    """The values whose nodes or tensors are `names`, joined by commas. Raises LayerError for one that has no cells."""
    by_name = {alias: value for value in placed for alias in value.aliases}
    by_name |= {value.producer.name: value for value in placed if value.producer and value is value.producer.outputs[0]}
    by_name |= {value.name: value for value in placed} | {layer_name(value): value for value in placed}
    values = []
    for name in listed(names, by_name):
        if name not in by_name:
            raise _unknown(graph, name, by_name)
        values.append(by_name[name])
    return values


def _unknown(graph: Graph, name: str, with_cells: Iterable[str]) -> LayerError:
    """The refusal of a name, with the nearest of those that a layer of a set may have."""
    if any(name in (node.name, *(value.name for value in node.outputs)) for node in graph.nodes):
        why = f"layer '{name}' has no cells: the rows and columns of the image do not reach it"
    else:
        near = difflib.get_close_matches(name, with_cells, n=3, cutoff=0.3)
        hint = "; the nearest names are " + ", ".join(f"'{other}'" for other in near) if near else ""
        why = f"the model has no layer '{name}'{hint}; `ovxai layers` lists them"
    return LayerError(why, node=name, options=("layer",))


def refuse_shifted(graph: Graph, places: Mapping[Value, Place], layer: str | None) -> None:
    """Raise LayerError where the layer that is called `layer` has cells that lie elsewhere than a map of them is drawn."""
    value = None if layer is None else value_called(graph, layer)
    if value is not None and value in places and places[value].shifted:
        raise LayerError(
            f"layer '{layer}' {text(value.shape)} has {ELSEWHERE}",
            node=layer,
            options=("layer",),
        )


def placed_as_told(graph: Graph, layer: str, cells: tuple[int, int]) -> dict[Value, Place]:
    """Where the layer that is called `layer` has so many rows and columns of `cells`. Raises LayerError where it has not.

    They are two axes side by side, or one axis that holds them row by row, behind the batch on axis 0.
    """
    value = value_called(graph, layer)
    if value is None:
        return {}  # choosing it tells the nearest names
    shape, (height, width) = value.shape or (), cells
    places = [Place(0, (axis, axis + 1), cells) for axis in range(1, len(shape) - 1) if shape[axis : axis + 2] == cells]
    places += [Place(0, (axis,), cells) for axis in range(1, len(shape)) if shape[axis] == height * width]
    if len(places) != 1:
        raise LayerError(
            f"layer '{layer}' {text(shape)} has {len(places) or 'no'} places for {height} x {width} cells, 1 is expected: two "
            f"axes of {height} and {width} side by side, or one of {height * width}, behind the batch",
            node=layer,
            options=("cells",),
        )
    return {value: places[0]}


def joint_cuts(
    graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place]
) -> tuple[Candidate | None, Candidate | None]:
    """Layers that separate the image from the scores together: of several branches, as those of an ensemble, and of levels.

    Branches share the image alone; None where one layer separates it alone. Levels are all last layers on a way, as those that
    are pooled side by side, of which one may lead to the others; None where they are the branches. Both are None where cells
    are lost on a way. Nor are keys and values any, which an attention makes of each cell alone: the layer ahead of both
    separates the image from the scores, too.
    """
    usable = {value for value in _usable(image, placed) if placed[value].beside(shape_of(value)) is None}
    last, behind = last_on_each_way(graph, image, _end(scores), usable)
    if image in behind or not 2 <= len(last) <= MOST_BRANCHES:
        return None, None
    parallel = branches(graph, image, last)
    cuts = (parallel if len(parallel) > 1 else [], last if len(last) > len(parallel) else [])
    of_branches, of_levels = (
        None if not values or _made_of_one(graph, image, scores, placed, values) else _joint(values, placed) for values in cuts
    )
    return of_branches, of_levels


def with_bypassed(graph: Graph, scores: Scores, choices: Sequence[Candidate], value: Value | None) -> list[Candidate]:
    """The candidates for a method of `any_layer`, which may look at `value` whatever ways there are around it."""
    passed = []
    for candidate in choices:
        if candidate.bypassed and candidate.value is value:
            reached = _is_read(graph, candidate.value, candidate.place, scores)
            candidate = replace(candidate, reason=None) if reached else replace(candidate, reason=UNREAD, bypassed=False)
        passed.append(candidate)
    return passed


def _is_read(graph: Graph, value: Value, place: Place, scores: Scores) -> bool:
    """Whether cells of a value reach the scores, and not only the tokens beside them."""
    return place.beside(shape_of(value)) is None or cells_reach(graph, value, place, _end(scores))


def layers_on_ways(graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place]) -> list[Candidate]:
    """Layers that together are on all ways to the scores: the last of each branch, or of each level; none where there are none.

    What makes several of them, as keys and values, is one.
    """
    usable, varying = _usable(image, placed), reached_from(graph, image)
    for _ in range(MOST_BRANCHES):
        last, behind = last_on_each_way(graph, image, _end(scores), usable)
        if image in behind or len(last) > MOST_BRANCHES:
            return []
        unread = [value for value in last if not _is_read(graph, value, placed[value], scores)]
        if not unread:
            break
        usable.difference_update(unread)
    for some in (branches(graph, image, last), last):  # levels that lead to each other, where there are no branches
        chains = {value: _chain(value, usable, varying, placed) for value in some}
        values = list(dict.fromkeys(_met(value, chains) for value in some))
        values = branches(graph, image, values) if some is not last else values
        _, behind = last_on_each_way(graph, image, _end(scores), values)
        if image not in behind and len(values) > 1:
            return [Candidate(layer_name(value), (CutValue(value, placed[value]),), None, bypassed=True) for value in values]
    return []


def _met(value: Value, chains: Mapping[Value, Sequence[Value]]) -> Value:
    """What a value and another are both made of alone, as keys and values are; else the value, ahead of what only moves it."""
    others = {part for other, chain in chains.items() if other is not value for part in chain}
    for part in chains[value]:
        if part in others or part.producer is None or operation_of(part.producer).moves is None:
            break
    return next((other for other in chains[value] if other in others), part)


def _chain(value: Value, usable: set[Value], varying: set[Value], placed: Mapping[Value, Place]) -> list[Value]:
    """A value, and ahead of it what it is made of alone, with as many cells."""
    chain = [value]
    while (node := chain[-1].producer) is not None:
        operands = [operand for operand in data_operands(node) if operand in varying]
        if len(operands) != 1 or operands[0] not in usable or placed[operands[0]].grid != placed[value].grid:
            break
        chain += operands
    return chain


def _usable(image: Value, placed: Mapping[Value, Place]) -> set[Value]:
    """The values that can be a part of a cut."""
    return {value for value, where in placed.items() if value is not image and _unfit(value, where) is None}


def _made_of_one(graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place], values: Sequence[Value]) -> bool:
    """Whether each cell of some values is made of the same cell of the last value that separates image and scores alone."""
    separates = paths_through(graph, image, _end(scores))
    usable = _usable(image, placed)
    alone = [value for value in _in_order(graph) if separates.get(value) and value in usable]
    spans = {alone[-1]: [Span(axis) for axis in placed[alone[-1]].cells]} if alone else {}
    varying = reached_from(graph, alone[-1]) if alone else set()
    for node in graph.nodes:
        places = []
        for index, value in node.operands:
            if value in varying and value in data_operands(node):
                # a softmax over the keys of one query weighs cells, and each weight stays with its cell
                stays = operation_of(node).normalises and index == 0
                places.append([follow(node, index, span) or (span if stays else None) for span in spans.get(value, [])])
        along = [span for span in places[0] if span is not None] if places else []
        if along and all(place == along for place in places):
            spans.update((output, along) for output in node.outputs)
    return all(value in spans for value in values)


def lost_on_a_way(graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place]) -> Node | None:
    """The first node behind which nothing has cells on a way from the image to the scores; None where each way has some."""
    _, behind = last_on_each_way(graph, image, _end(scores), _usable(image, placed))
    return first_without(graph, behind, placed) if image in behind else None


def cut_of(graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place], values: Sequence[Value]) -> Candidate:
    """The cut that a caller names by its values, with the reason where these do not separate the image together."""
    candidate = _joint(values, placed)
    unfit = [(value, reason) for value in values if (reason := _unfit(value, placed[value])) is not None]
    _, behind = last_on_each_way(graph, image, _end(scores), values)
    if unfit:
        candidate = replace(candidate, reason=f"of '{layer_name(unfit[0][0])}', {unfit[0][1]}")
    elif image in behind:
        (bypass,) = _bypasses(graph, [values], behind.union(values))
        candidate = replace(candidate, reason=f"they do not separate the image from the scores: {bypass}")
    return candidate


def _joint(values: Sequence[Value], placed: Mapping[Value, Place]) -> Candidate:
    """Several values as one cut, with the reason where one grid does not serve all of them."""
    cut = tuple(CutValue(value, placed[value]) for value in values)
    candidate = Candidate(",".join(map(layer_name, values)), cut, None)
    finer = [part for part in cut if len(part.place.cells) == 1 and part.place.grid != candidate.cells]
    if finer:
        grids = text(finer[0].place.grid), text(candidate.cells)
        return replace(
            candidate, reason=f"of '{layer_name(finer[0].value)}', it holds tokens of {grids[0]} cells, and others {grids[1]}"
        )
    try:
        candidate.mask_grid(None)
    except PlanError as error:
        return replace(candidate, reason=str(error))
    return candidate


def _in_order(graph: Graph) -> Iterable[Value]:
    """The values that nodes compute, in the order of the graph."""
    for node in graph.nodes:
        yield from node.outputs


def layer_name(value: Value) -> str:
    """What a user calls the layer: the node, or the tensor where a node has several outputs."""
    node = value.producer
    return value.name if node is None or len(node.outputs) > 1 else node.name


def _bypasses(graph: Graph, cuts: Sequence[Collection[Value]], on_the_way: Container[Value]) -> list[str]:
    """Which value reaches the scores beside each of some cuts, and where it enters."""
    words, open_cuts = ["other layers carry the image past it"] * len(cuts), (1 << len(cuts)) - 1
    behind: dict[Value, int] = defaultdict(int)  # bit i: the value is of cut i, or reads it
    for i, cut in enumerate(cuts):
        for value in cut:
            behind[value] |= 1 << i
    for node in graph.nodes:
        operands = [operand for _, operand in node.operands if operand in on_the_way]
        reached = reduce(or_, (behind[operand] for operand in operands), 0)
        for operand in operands:
            past = reached & ~behind[operand] & open_cuts
            open_cuts &= ~past
            for i in (i for i in range(past.bit_length()) if past >> i & 1):
                what = "it" if len(cuts[i]) == 1 else "them"
                words[i] = f"'{layer_name(operand)}' bypasses {what} and enters {node}"
        for output in node.outputs:
            behind[output] |= reached
    return words


def ahead_of_weights(graph: Graph, end: Value) -> set[Value]:
    """The values that reach the end through a convolution or a linear layer."""
    # nodes are in order, so whoever reads a value is gone through before the node that computes it
    reached, weighed = {end}, set[Value]()
    for node in reversed(graph.nodes):
        if not reached.isdisjoint(node.outputs):
            operands = data_operands(node)
            reached.update(operands)
            if operation_of(node).weights is not None or not weighed.isdisjoint(node.outputs):
                weighed.update(operands)
    return weighed


def choose(choices: Sequence[Candidate], layer: str | None, graph: Graph) -> Candidate:
    """The candidate called `layer`, by node or tensor name, or the first that can carry a hook, for None.

    Raises LayerError if the layer is not in the model or has no cells, or for the reason why a hook cannot go there.
    """
    if layer is None:
        for candidate in choices:
            if candidate.reason is None:
                return candidate
        # where none is usable, the first is the last of the network: the one that is most likely meant
        worst = choices[0] if choices else None
        raise LayerError(
            "no layer can carry a hook: "
            + (f"the last with cells, '{worst.name}', cannot: {worst.reason}" if worst else "no layer is known to have cells"),
            options=worst.options if worst else (),
        )
    value = value_called(graph, layer)
    for candidate in choices:
        if candidate.value is value and not candidate.joint:
            if candidate.reason is not None:
                other = (
                    "; grad_cam, layer_cam and other methods by gradients look at such a layer" if candidate.bypassed else ""
                )
                raise LayerError(
                    f"layer '{layer}' cannot carry a hook: {candidate.reason}{other}", node=layer, options=candidate.options
                )
            return candidate
    if value is None:
        names = [name for v in _in_order(graph) for name in {layer_name(v), v.name}]
        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.3)
        hint = "; the nearest names are " + ", ".join(f"'{name}'" for name in near) if near else ""
        raise LayerError(f"the model has no layer '{layer}'{hint}; `ovxai layers` lists them", node=layer)
    raise LayerError(
        f"layer '{layer}' {text(value.shape)} has no cells: the rows and columns of the image do not reach it; "
        "`ovxai layers` lists those that have; where you know its rows and columns, say them",
        node=layer,
        options=("cells",),
    )


def image_as_layer(graph: Graph, image: Value, place: Place) -> Candidate:
    """The image itself, for a method that looks at no layer; where it holds whole numbers, the floats made of them.

    Raises LayerError, naming the node, where the model makes several things of whole numbers, or lays them out anew first.
    """
    if image.dtype is not None and image.dtype.kind == "f":
        return Candidate(image.name, (CutValue(image, place),), None)
    readers = [node for node, _ in graph.consumers.get(image, [])]
    first = readers[0].outputs[0] if readers else None
    is_float = first is not None and first.dtype is not None and first.dtype.kind == "f" and first.shape == image.shape
    if first is None or len(readers) > 1 or not is_float or operation_of(readers[0]).moves != "all":
        named = " and ".join(map(str, readers[:3])) or "nothing"
        raise LayerError(
            f"'{image.name}' holds {image.dtype}, which has a derivative only where the model makes floats of it first; here "
            f"{named} read{'s' if len(readers) < 2 else ''} it: convert it to floats ahead of all else",
            node=readers[0].name if readers else image.name,
        )
    return Candidate(image.name, (CutValue(first, place),), None)


def layers_in_turn(choices: Sequence[Candidate], values: Sequence[Value], method: str) -> Candidate:
    """Several layers as one candidate, each by itself among `choices`; the `values` in their order.

    Raises LayerError, naming the layer, where no hook can look at one of them, or one is named twice.
    """
    parts: list[CutValue] = []
    for value in values:
        name, alone = layer_name(value), [item for item in choices if item.value is value and len(item.cut) == 1]
        if value in [part.value for part in parts]:
            raise LayerError(f"layer '{name}' is named twice: once is enough", node=name, options=("layer",))
        candidate = next((item for item in alone if item.reason is None), alone[0] if alone else None)
        if candidate is None or candidate.reason is not None:
            why = (
                candidate.reason if candidate is not None else "no hook can go there alone; `ovxai layers` lists where one can"
            )
            raise LayerError(
                f"{method} joins the maps of several layers, and '{name}' is none of these: {why}",
                node=name,
                options=("layer",),
            )
        parts.append(candidate.cut[0])
    return Candidate(",".join(layer_name(part.value) for part in parts), tuple(parts), None, in_turn=True)


def is_among(choices: Sequence[Candidate], layer: str, graph: Graph) -> bool:
    """Whether one of the candidates is called `layer`."""
    value = value_called(graph, layer)
    return any(candidate.value is value and not candidate.joint for candidate in choices)


def value_called(graph: Graph, layer: str) -> Value | None:
    """The value that a user calls `layer`: the first output of a node, or a tensor; None if there is none."""
    by_node = {node.name: node.outputs[0] for node in graph.nodes}
    by_tensor = {value.name: value for value in _in_order(graph)}
    if layer in by_node or layer in by_tensor:  # of a node and a tensor with one name, the node: layers are called after nodes
        return by_node.get(layer) or by_tensor[layer]
    return next((value for value in _in_order(graph) if layer in value.aliases), None)
