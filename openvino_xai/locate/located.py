"""A model, located: its image, its class scores, and every layer between where a hook can go, each found once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from openvino_xai.arguments import PLACE, TEXT, takes
from openvino_xai.choices import quoted
from openvino_xai.contract import RECORD, REGIONS
from openvino_xai.dialects.open import Model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import AlreadyHooked, InputError, LayerError, ModelError, PlanError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Size, rows_and_columns, text
from openvino_xai.graph.trace import shape_of
from openvino_xai.hooks import METHODS
from openvino_xai.locate.attention_blocks import blocks
from openvino_xai.locate.framing.frame import Frame, find_frame
from openvino_xai.locate.framing.layout import Layout
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import (
    Candidate,
    ahead_of_weights,
    candidates,
    choose,
    cut_of,
    image_as_layer,
    is_among,
    joint_cuts,
    layer_name,
    layers_in_turn,
    layers_on_ways,
    lost_on_a_way,
    placed_as_told,
    refuse_shifted,
    value_called,
    values_called,
    with_bypassed,
)
from openvino_xai.locate.positions import Place, places
from openvino_xai.locate.scores import Scores, find_scores
from openvino_xai.locate.separators import first_without, paths_through
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.locate.tasks.regions import PixelScores, ahead_of_mixing, find_pixel_scores, placed_anew
from openvino_xai.locate.tasks.vector import find_vector
from openvino_xai.locate.tokens import TokenHint, hinted
from openvino_xai.operations.table import operation_of

Task: TypeAlias = Literal["classes", "vector", "regions"]
Placed: TypeAlias = Mapping[Value, Place]


def _find_read(graph: Graph, placed: Placed, task: Task | None, name: str | None) -> Scores:
    """What is explained of a model, for a task, or for None that which the model tells of. Raises ModelError."""
    if task == "vector":
        return find_vector(graph, name)
    if task == "regions":
        return find_pixel_scores(graph, placed_anew(graph, placed), name)
    try:
        return find_scores(graph, name)
    except ModelError as error:
        if task is not None:
            raise
        try:
            return find_pixel_scores(graph, placed_anew(graph, placed), name)
        except ModelError:
            raise error from None


def task_of(record: Mapping[str, str]) -> Task:
    """The task of a hook, by its record: `classes` where that names none."""
    return "vector" if record.get("task") == "vector" else "regions" if record.get("task") == REGIONS else "classes"


def score_of_queries(record: Mapping[str, str]) -> str | None:
    """What makes probabilities of the logits of a detector's queries, by the record of a hook; None where that is not told."""
    score = record.get("score")
    return None if score == "logit" else score


@dataclass(frozen=True)
class Where:
    """What a caller says of a model that the model may not tell: names, and its tokens; None is for the model to tell.

    `layer` is the name of a node or a tensor, `cells` its rows and columns, where these cannot be followed there; `scores`
    that of the output that is explained, `image` that of an input. The
    `task` says what this output holds: scores of classes, of `regions` of pixels, or a vector. `score` is what makes
    probabilities of the logits of a detector's queries.
    """

    layer: str | None = None
    scores: str | None = None
    image: str | None = None
    tokens: TokenHint = field(default_factory=TokenHint)
    task: Task | None = None
    score: str | None = None
    cells: tuple[int, int] | None = None

    @classmethod
    @takes(
        **PLACE,
        task=TEXT.or_none(),
        score=TEXT.or_none(),
    )
    def parse(
        cls,
        layer: str | None = None,
        *,
        scores: str | None = None,
        image_input: str | None = None,
        prefix_tokens: int | None = None,
        token_grid: str | Sequence[int] | None = None,
        task: Task | None = None,
        score: str | None = None,
        cells: str | Sequence[int] | None = None,
    ) -> Where:
        """What a caller wrote, as `14x14` for the rows and columns of tokens. Raises InputError."""
        grid = None if token_grid is None else rows_and_columns("token grid", token_grid)
        if cells is not None and layer is None:
            raise InputError(f"cells are {quoted(cells)}, those of a layer: name it", options=("layer",))
        sizes = None if cells is None else rows_and_columns("cells", cells)
        return cls(layer, scores, image_input, TokenHint(grid, prefix_tokens), task, score, sizes)


@dataclass(frozen=True, eq=False)
class Location:
    """One layer of a model, with the image on the one side and the scores on the other.

    Where the graph crops the image, or lays it on a canvas, the layer has cells of a `frame`.
    """

    graph: Graph
    image: Value
    image_place: Place
    scores: Scores
    layer: Candidate
    frame: Frame | None = None

    @property
    def source(self) -> tuple[Value, Place]:
        """What the layer's cells are parts of, and where that has its batch and pixels: the image, or what is in the frame."""
        return (self.image, self.image_place) if self.frame is None else (self.frame.value, self.frame.place)

    def layout(self, grid: tuple[Size, Size]) -> Layout | None:
        """Where a grid of the layer's cells lies on a map of the image; None where it is the map. Raises PlanError."""
        if self.frame is None or self.layer.place is self.image_place:  # of the image itself, all is there
            return None
        return self.frame.layout(grid, f"layer '{self.layer.name}'")

    def within(self, twin: Graph) -> Location:
        """The same in a twin of the model, where every node has its counterpart. Raises PlanError."""
        values = counterparts(self.graph, twin)
        image, scores, layer = values[self.image], self.scores.within(values), self.layer.within(values)
        frame = None if self.frame is None else self.frame.within(values)
        return replace(self, graph=twin, image=image, scores=scores, layer=layer, frame=frame)


def counterparts(graph: Graph, twin: Graph) -> Mapping[Value, Value]:
    """The values of a twin, by those of the model: inputs, and all that nodes compute, in the same order. Raises PlanError."""
    if [node.name for node in graph.nodes] != [node.name for node in twin.nodes] or len(graph.inputs) != len(twin.inputs):
        raise PlanError("a copy of the model has other nodes than the model, or in another order")
    pairs = list(zip(graph.inputs, twin.inputs, strict=True))
    for node, other in zip(graph.nodes, twin.nodes, strict=True):
        pairs += zip(node.outputs, other.outputs, strict=True)
    return dict(pairs)


class _Ends(NamedTuple):
    """The image of a model, where it has its batch and pixels, and the scores."""

    image: Value
    place: Place
    scores: Scores


def _as_drawn(places: Placed) -> Placed:
    """Those places whose cells lie where a map is drawn, and not mirrored."""
    return {value: where for value, where in places.items() if not any(where.mirrored) and not where.shifted}


@dataclass(frozen=True, eq=False)
class Located:
    """The image and the scores of a model, and the candidates between them: values with `cells`, and attention `blocks`.

    `branches` has the last layers of several branches, as of an ensemble, where none of those separates the image alone. Of
    these some may hold the image mirrored: they are in `anywhere`, and not in `placed`. `levels` has the last layers on every
    way, as those of levels that are pooled side by side, where one leads to the others. The `frame` is the part of the image
    that all of these are made of, where it is not the image itself.
    """

    deployed: Deployed
    where: Where
    image: Value
    image_place: Place
    scores: Scores
    cells: tuple[Candidate, ...]
    blocks: tuple[Candidate, ...]
    branches: tuple[Candidate, ...]
    levels: tuple[Candidate, ...]
    placed: Placed = field(repr=False)
    anywhere: Placed = field(repr=False)
    frame: Frame | None = None

    @classmethod
    def of(cls, deployed: Deployed, where: Where) -> Located:
        """An open model, located. Raises AlreadyHooked, ModelError."""
        refuse_hooked(deployed)  # first: what a hook adds may look like class scores
        graph = deployed.graph
        image, place = find_image(graph, where.image, planar=False)
        everywhere, planar = places(graph, image, place, anywhere=True), len(place.cells) == 2
        scores = (
            _find_read(graph, _as_drawn(everywhere), where.task, where.scores) if planar else find_scores(graph, where.scores)
        )
        ends = _Ends(image, place, scores)
        if planar and not isinstance(scores, PixelScores):
            frame = find_frame(graph, image, place, scores.read_at("logit"))
            framed = None if frame is None else cls._in(frame, deployed, where, ends)
            # windows may lie off the image by less than a cell: what no map shows exactly is drawn so, where it has a border
            if framed is not None and frame is not None and (frame.crops or framed.unlaid is None):
                return framed
        return cls._of_cells(deployed, where, ends, everywhere)

    @classmethod
    def _in(cls, frame: Frame, deployed: Deployed, where: Where, ends: _Ends) -> Located:
        """An open model of which the cells are followed from a part of the image on."""
        within = places(deployed.graph, frame.value, frame.place, anywhere=True)
        located = cls._of_cells(deployed, where, ends, within, frame)
        cells, attention, branches, levels = (
            tuple(map(frame.laid, some)) for some in (located.cells, located.blocks, located.branches, located.levels)
        )
        return replace(located, cells=cells, blocks=attention, branches=branches, levels=levels)

    @classmethod
    def _of_cells(
        cls, deployed: Deployed, where: Where, ends: _Ends, everywhere: Placed, frame: Frame | None = None
    ) -> Located:
        """An open model of which the cells are known, and what these are parts of where that is not the image."""
        graph, (image, place, scores) = deployed.graph, ends
        planar = len(place.cells) == 2
        refuse_shifted(graph, everywhere, where.layer)
        source, at = (image, place) if frame is None else (frame.value, frame.place)
        anywhere = {value: there for value, there in everywhere.items() if not there.shifted}
        placed = _as_drawn(everywhere)
        placed = placed_anew(graph, placed) if isinstance(scores, PixelScores) else placed
        placed = hinted(graph, placed, where.tokens, shape_of(source)[at.batch]) if where.tokens != TokenHint() else placed
        if where.layer is not None and where.cells is not None:
            placed = {**placed, **placed_as_told(graph, where.layer, where.cells)}
        cells = tuple(candidates(graph, source, scores, placed))
        attention = tuple(blocks(graph, source, scores, placed, where.tokens)) if planar else ()
        alone = isinstance(scores, PixelScores) or not planar
        cuts = (None, None) if alone else joint_cuts(graph, source, scores, anywhere)
        branches, levels = (() if cut is None else (cut,) for cut in cuts)
        return cls(deployed, where, image, place, scores, cells, attention, branches, levels, placed, anywhere, frame)

    def __repr__(self) -> str:
        """The image, the scores, and the last few layers where a hook can go."""
        usable = self.usable
        names = ", ".join(quoted(layer.name) for layer in usable[:3]) + (", ..." if len(usable) > 3 else "")
        return (
            f"<{type(self).__name__}: image {quoted(self.image.name)}, {self.scores.classes} classes in "
            f"{quoted(self.scores.name)}, {len(usable)} layers for a hook ({names or 'none'})>"
        )

    @property
    def graph(self) -> Graph:
        """The model in the neutral form."""
        return self.deployed.graph

    @property
    def _source(self) -> Value:
        """What all cells are parts of: the image, or a part of it."""
        return self.image if self.frame is None else self.frame.value

    @cached_property
    def order(self) -> Mapping[Value, int]:
        """How many nodes come before the one that computes a value."""
        return {value: i for i, node in enumerate(self.graph.nodes) for value in node.outputs}

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate, those first that the best one is among; those that cannot carry a hook come last."""
        # one block behind all branches, where class tokens meet what these make, separates the image alone
        first = (self._alone, self.branches) if self._blocks_first() else (self.branches, self._alone)
        some = [candidate for part in (*first, self.levels) for candidate in part]
        return tuple(sorted(some, key=lambda item: item.reason is not None))

    @cached_property
    def _alone(self) -> list[Candidate]:
        """The candidates that separate the image from the scores alone, in the order of `candidates`."""
        both = [self.blocks, self.cells] if self._blocks_first() else [self.cells, self.blocks]
        return sorted((candidate for some in both for candidate in some), key=lambda item: item.reason is not None)

    @property
    def usable(self) -> list[Candidate]:
        """The candidates that can carry a hook."""
        return [candidate for candidate in self.candidates if candidate.reason is None]

    @property
    def unlaid(self) -> Candidate | None:
        """The last candidate that would do, where no map of the image shows its cells; None where one does."""
        fit = [item for item in self.candidates if item.reason is None or item.unlaid]
        last = max(fit, key=lambda item: self._last([item]), default=None)
        return last if last is not None and last.unlaid else None

    def choose(self, method: str | None = None) -> Candidate:
        """The candidate that is named, or the best one for `method`, or for the one that suits the model. Raises LayerError."""
        if method is not None and METHODS[method].of_elements is not None:
            if self.where.layer is not None:
                raise LayerError(
                    f"{method} explains the image itself, and looks at no layer: leave layer '{self.where.layer}' out",
                    node=self.where.layer,
                    options=("layer",),
                )
            return image_as_layer(self.graph, self.image, self.image_place)
        if method is not None and METHODS[method].attention:
            return self.first_block(method)
        if self.where.layer is not None and (layers := self._named_in_turn(self.where.layer, method)) is not None:
            return layers
        if self.where.layer is not None and (cut := self._named_cut(self.where.layer)) is not None:
            _refuse_joint(cut, method)
            if cut.reason is not None:
                raise LayerError(f"layers '{cut.name}' cannot carry a hook: {cut.reason}", node=cut.name, options=("layer",))
            return cut
        if self.where.layer is None and (unlaid := self.unlaid) is not None:
            raise LayerError(f"layer '{unlaid.name}' cannot carry a hook: {unlaid.reason}", node=unlaid.name)
        try:
            return self._with_hinted_grid(self._chosen(method))
        except LayerError as error:
            if self.where.layer is not None:
                raise
            if self.branches and self.branches[0].reason is None:
                _refuse_joint(self.branches[0], method)
            lost, ways = self._way_without_cells(), self.ways()
            if (way_out := lost or self.way_out(ways)) is None:
                raise
            ways = None if lost else ways
            raise LayerError(error.why, node=error.node, options=error.options, way_out=way_out, ways=ways) from error

    def first_block(self, method: str) -> Candidate:
        """The first attention block, for a method that looks at all of them. Raises LayerError where one is not known well."""
        if self.where.layer is not None:
            raise LayerError(
                f"{method} looks at all attention blocks: leave layer '{self.where.layer}' out",
                node=self.where.layer,
                options=("layer",),
            )
        if not self.blocks:
            raise LayerError(
                f"{method} follows the class token through attention blocks, and none leads from the image to the scores: "
                "reciprocam and grad_cam explain networks without"
            )
        for block in self.blocks:
            if block.reason is not None:
                raise LayerError(
                    f"{method} looks at all attention blocks, and of '{block.name}' {block.reason}; the method that "
                    "suits the model, or grad_cam, needs no such block",
                    node=block.name,
                    options=block.options,
                )
        return self.blocks[-1]

    def _with_hinted_grid(self, layer: Candidate) -> Candidate:
        """The layer, where its cells are those that a user says. Raises LayerError where they are not."""
        grid = self.where.tokens.grid
        if grid is not None and (len(layer.place.cells) != 1 or layer.place.grid != grid):
            raise LayerError(
                f"no layer near the scores has tokens of {grid[0]} x {grid[1]} cells: '{layer.name}' {text(layer.value.shape)} "
                f"has {text(layer.place.grid)}; leave the token grid out, or give that of its tokens",
                node=layer.name,
                options=("token_grid",),
            )
        return layer

    def _chosen(self, method: str | None) -> Candidate:
        layer = self.where.layer
        masks = "nothing" if method is None else METHODS[method].masks
        if masks == "tokens" and not self.blocks:
            raise LayerError(f"{method} needs an attention block, and none leads from the image to the scores")
        if isinstance(self.scores, PixelScores) and layer is None and masks != "tokens":
            mixed = ahead_of_mixing(self.graph, self.placed, self.scores.value)
            suited = [candidate for candidate in self.usable if candidate.value in mixed]
            return choose(suited or self.candidates, None, self.graph)
        if masks != "nothing":
            return choose(self.blocks if masks == "tokens" else (*self.branches, *self.cells), layer, self.graph)
        if layer is not None:
            alone = self._with_bypassed(method, value_called(self.graph, layer))
            usable = [candidate for candidate in alone if candidate.reason is None]
            return choose(usable if is_among(usable, layer, self.graph) else alone, layer, self.graph)
        if method is not None and METHODS[method].per_class:
            # behind the last weights each channel is a class, and weighing channels by a class's gradient picks that class's
            return choose(self._ahead_of_weights() or self._alone, None, self.graph)
        # a block behind all that is usable is likely what is meant: it is refused with what is missing, and not passed over
        grid_unknown = [block for block in self.blocks if block.grid_unknown]
        is_behind = self._last(grid_unknown) > self._last(self.usable)
        return choose(grid_unknown if is_behind else self._alone if method else self.candidates, None, self.graph)

    def behind(self, passed: Candidate, method: str | None = None) -> list[Candidate]:
        """The candidates that come after one for `method`, best first, where no hook can be planned at that.

        None where the method says itself where it looks: a gradient by a layer is another one than by the image.
        """
        if method is not None and not METHODS[method].takes_layer:
            return []
        masks = "nothing" if method is None else METHODS[method].masks
        suited = {"tokens": self.blocks, "cells": (*self.branches, *self.cells, *self.levels)}.get(
            masks, self._alone if method else self.candidates
        )
        usable = [candidate for candidate in suited if candidate.reason is None]
        return usable[usable.index(passed) + 1 :] if passed in usable else []  # of the image itself none is the next

    def together(self, passed: Candidate, method: str | None = None) -> list[Candidate]:
        """The cut of all levels that are pooled, for `method`, where a hook at the layer that leads to them is too dear."""
        masks = "cells" if method is None else METHODS[method].masks
        return [cut for cut in self.levels if masks == "cells" and cut.reason is None and cut is not passed]

    def _named_in_turn(self, names: str, method: str | None) -> Candidate | None:
        """Layers that are named with commas between, the first ahead, for a method that joins their maps; else None."""
        if method is None or METHODS[method].of_layers is None or not self._are_several(names):
            return None
        values = sorted(values_called(self.graph, self.placed, names), key=lambda value: self.order.get(value, -1))
        choices = [item for value in values for item in self._with_bypassed(method, value) if item.value is value]
        return layers_in_turn(choices, values, method)

    def _with_bypassed(self, method: str | None, value: Value | None) -> list[Candidate]:
        """The candidates that separate image and scores alone, and for a method of `any_layer` a `value` that does not."""
        if method is None or not METHODS[method].any_layer:
            return self._alone
        return with_bypassed(self.graph, self.scores, self._alone, value)

    def ways(self) -> str | None:
        """The names of the last layers on all ways of an image to the scores, with commas between."""
        if isinstance(self.scores, PixelScores) or len(self.image_place.cells) != 2:
            return None
        ways = layers_on_ways(self.graph, self._source, self.scores, self.placed)
        return ",".join(candidate.name for candidate in ways) or None

    def way_out(self, ways: str | None) -> str | None:
        """What explains a network where no layer is on all `ways` to the scores, or why nothing does of a video, in words."""
        if self._takes_video:
            node = first_without(self.graph, paths_through(self.graph, self.image, self.scores.value), self.placed)
            return None if node is None or not operation_of(node).lays_out else self._frames_lost(node)
        joining = " or ".join(name for name, traits in METHODS.items() if traits.of_layers is not None and traits.any_layer)
        return None if ways is None else f"method {joining} joins the maps of layers beside each other: name layer '{ways}'"

    def _are_several(self, names: str) -> bool:
        """Whether a text is no name of a value, and has commas."""
        values = [value for node in self.graph.nodes for value in node.outputs]
        return "," in names and names not in {
            name for value in values for name in (value.name, layer_name(value), *value.aliases)
        }

    def _named_cut(self, names: str) -> Candidate | None:
        """The cut of several values that are named with commas between; None where the name is that of one value."""
        if not self._are_several(names) or isinstance(self.scores, PixelScores):
            return None
        cut = list(dict.fromkeys(values_called(self.graph, self.anywhere, names)))
        return cut_of(self.graph, self._source, self.scores, self.anywhere, cut) if len(cut) > 1 else None

    def _way_without_cells(self) -> str | None:
        """Where the cells are lost on a way from the image to the scores that no candidate is on, in words."""
        node = lost_on_a_way(self.graph, self._source, self.scores, self.placed)
        if node is None:
            return None
        if self._takes_video:
            return self._frames_lost(node)
        return (
            f"behind {node} rows and columns of the image are not followed, as where it turns or crops them, or lays them on a "
            "canvas: what crops or pads photos can stand ahead of the model"
        )

    @property
    def _takes_video(self) -> bool:
        """Whether the image is a video, or a clip."""
        return len(self.image_place.cells) == 3

    def _frames_lost(self, node: Node) -> str:
        """Why frames are not followed behind a node, in words."""
        where = f"behind {node} frames of '{self.image.name}' {text(self.image.shape)} are not followed"
        frames = shape_of(self.image)[self.image_place.cells[0]]
        if not isinstance(frames, int):
            return f"{where}, as their number is open: export the model with a fixed number of frames"
        if not operation_of(node).lays_out:
            return f"{where}, as where it picks or reorders them: let that stand ahead of the model"
        return (
            f"{where}: as a batch they have to lie clip by clip, [B * {frames}, ...], and no frame of one clip between "
            "those of another: export the model so, or what takes one frame, and explain each"
        )

    def at(self, layer: Candidate) -> Location:
        """The location of a hook at a candidate."""
        return Location(self.graph, self.image, self.image_place, self.scores, layer, self.frame)

    def _ahead_of_weights(self) -> list[Candidate]:
        """The candidates that weights lead from to the scores: where the channels are no classes yet."""
        weighed = ahead_of_weights(self.graph, self.scores.read_at("logit"))
        return [candidate for candidate in self._alone if candidate.reason is None and candidate.value in weighed]

    def _blocks_first(self) -> bool:
        """Whether the last attention block lies behind the last cells, those of branches too."""
        some = [c for c in self.blocks if c.reason is None], [c for c in (*self.cells, *self.branches) if c.reason is None]
        block, cells = map(self._last, some)
        return block >= cells and block >= 0

    def _last(self, some: Iterable[Candidate]) -> int:
        """How far behind the last value of some candidates lies, -1 for none."""
        return max((self.order[part.value] for candidate in some for part in candidate.cut), default=-1)


def _refuse_joint(cut: Candidate, method: str | None) -> None:
    """Raise LayerError for a method that looks at one layer, where several branches are one cut."""
    if method is not None and METHODS[method].masks != "cells":
        masking = " and ".join(name for name, traits in METHODS.items() if traits.masks == "cells")
        joining = " or ".join(name for name, traits in METHODS.items() if traits.of_layers is not None)
        raise LayerError(
            f"{method} looks at one layer, and '{cut.name}' are {len(cut.cut)}: {masking} explain those of several branches "
            f"together, and {joining} joins the maps of layers one behind the other",
            node=cut.name,
            options=("method",),
        )


def locate(model: Model, where: Where | None = None) -> Located:
    """The image, the scores and the layers of a model: a path, an `ov.Model` or an `onnx.ModelProto`, which is not changed.

    Raises InputError for what is no model, AlreadyHooked for one with a hook, and ModelError where the image or the scores are
    not known, or not among the inputs and outputs.
    """
    if where is not None and not isinstance(where, Where):
        raise InputError(f"where is {quoted(where)}: an openvino_xai.Where is expected")
    return Located.of(opened(model), where or Where())


def refuse_hooked(deployed: Deployed) -> None:
    """Raise AlreadyHooked where the model carries a hook."""
    record = deployed.info(RECORD)
    if record:
        hook = (
            f"of {record['heads']} heads"
            if "heads" in record
            else f"{record.get('method')} at layer '{record.get('layer')}', score {record.get('score')}"
        )
        raise AlreadyHooked(
            f"the model carries a hook already ({hook}, by ovxai {record.get('version')}): insert into the original",
            record=record,
        )
