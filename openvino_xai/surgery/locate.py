"""Where a hook can go: the image, the scores, and the layers that separate the one from the other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from openvino_xai.errors import LayerError, ModelError
from openvino_xai.graph.neutral import Graph, Node, Value
from openvino_xai.graph.sizes import Size, at_one, product, text
from openvino_xai.surgery.places import Place

IMAGE_CHANNELS = (1, 3, 4)
LAYOUT = frozenset("reshape transpose squeeze unsqueeze identity cast".split())
MOST_CELLS, MOST_TOKENS = 2**24, 2**13  # of tokens, masks are written down for every pair
QUANTISERS = frozenset("fake_quantize quantize dequantize".split())


@dataclass(frozen=True, eq=False)
class Scores:
    """The class output: K `classes`; `activation` is the node that squashes logits inside the model, if one does."""

    name: str
    value: Value
    classes: int
    activation: Node | None

    @property
    def scale(self) -> str:
        """What the output holds: `softmax`, `sigmoid` or `logit`."""
        return "logit" if self.activation is None else self.activation.kind

    def read_at(self, score: str) -> Value:
        """Where a score is read: at the output; before the activation for `logit`; or right behind it, ahead of a quantiser.

        What one cell leaves of a probability is often less than a quantiser's step, and would be rounded to nothing.
        """
        if self.activation is None:
            return self.value
        return self.activation.operand(0) if score == "logit" else self.activation.outputs[0]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A value with cells; `reason` says why no hook can go there, None where it can.

    For an attention block the value is what its projections read, and `residual` what enters it; `untold` where nothing but
    the cells of its tokens is not known.
    """

    name: str
    value: Value
    place: Place
    reason: str | None
    residual: Value | None = None
    untold: bool = False

    @property
    def method(self) -> str:
        """The method that is taken here where none is asked for."""
        return "reciprocam" if self.residual is None else "vit_reciprocam"

    @property
    def cells(self) -> tuple[Size, Size]:
        """(H, W)."""
        return self.place.grid

    @property
    def channels(self) -> int:
        """The axis that is neither batch nor cells. Raises LayerError where there is not one of its own."""
        others = [a for a in range(self.value.rank or 0) if a != self.place.batch and a not in self.place.cells]
        if len(others) != 1 or self.place.batch != 0:
            raise LayerError(
                f"layer '{self.name}' {text(self.value.shape)} has {len(others)} axes beside batch and cells; "
                "one, of channels, is expected: choose another with --layer",
                node=self.name,
            )
        return others[0]


def is_quantised(graph: Graph) -> bool:
    """Whether a model rounds to levels somewhere."""
    return any(node.kind in QUANTISERS for node in graph.nodes)


def find_image(graph: Graph, name: str | None = None) -> tuple[Value, Place]:
    """The input that holds the image, called `name` or the only one that can be it, and its axes. Raises ModelError."""
    found = [(value, place) for value in graph.inputs if (place := _image_place(value)) is not None]
    if name is not None:
        found = [(value, place) for value, place in found if name in (value.name, *value.aliases)]
    if len(found) != 1:
        which = f"called '{name}' " if name else ""
        given = ", ".join(f"'{value.name}' {text(value.shape)}" for value in graph.inputs) or "none"
        raise ModelError(
            f"the model has {len(found)} inputs {which}that can be an image, 1 is expected: "
            f"[B, C, H, W] or [B, H, W, C] with C of 1, 3 or 4; the inputs are {given}"
            + ("; say which with --image-input NAME" if len(found) > 1 else "")
        )
    return found[0]


def _image_place(value: Value) -> Place | None:
    if value.shape is None or len(value.shape) != 4:
        return None
    _, second, third, last = value.shape
    if second in IMAGE_CHANNELS and not (last in IMAGE_CHANNELS and third not in IMAGE_CHANNELS and second != 3):
        return Place(0, (2, 3), (third, last))
    return Place(0, (1, 2), (second, third)) if last in IMAGE_CHANNELS else None


def find_scores(graph: Graph, name: str | None = None) -> Scores:
    """The class scores: the output called `name`, or the only one that can be them. Raises ModelError."""
    possible = {key: value for key, value in graph.outputs.items() if _can_be_scores(graph, value)}
    listing = ", ".join(f"'{key}' {text(value.shape)}" for key, value in graph.outputs.items())
    if name is not None:
        if name not in graph.outputs:
            raise ModelError(f"the model has no output '{name}'; its outputs are {listing}", node=name)
        if name not in possible:
            raise ModelError(f"output '{name}' cannot be class scores: [B, K] floats are expected; outputs: {listing}")
    elif len(possible) != 1:
        brief = [key for key, value in graph.outputs.items() if value.dtype is not None and value.dtype.name == "bfloat16"]
        if brief and not possible:
            raise ModelError(
                f"output '{brief[0]}' holds bfloat16, which hooks are not made for: write the model in f32 or f16, "
                "and let the runtime compute in bf16 if that is wanted"
            )
        raise ModelError(
            f"{len(possible)} of the model's outputs can be class scores ([B, K] floats), 1 is expected; "
            f"the outputs are {listing}" + ("; say which with --scores NAME" if possible else "")
        )
    else:
        (name,) = possible
    value = possible[name]
    shape = value.shape or ()
    classes = shape[1]
    assert isinstance(classes, int)
    return Scores(name, value, classes, _activation(value))


def _can_be_scores(graph: Graph, value: Value) -> bool:
    shape = value.shape
    if shape is None or value.dtype is None or graph.is_constant(value):
        return False
    if value.dtype.kind != "f" and value.dtype != np.uint8:  # bytes: what a fully quantised model returns
        return False
    if value.producer is not None and value.producer.kind == "top_k":  # the best scores, taken from others
        return False
    return len(shape) in (2, 4) and isinstance(shape[1], int) and product(shape[2:]) == 1


def _activation(value: Value) -> Node | None:
    """The softmax or sigmoid that ends the model, looked for behind changes of layout and type."""
    while (node := value.producer) is not None:
        if node.kind == "sigmoid" or (node.kind == "softmax" and _over_classes(node)):
            return node
        if node.kind not in LAYOUT | QUANTISERS:
            return None
        value = node.operand(0)
    return None


def _over_classes(node: Node) -> bool:
    shape = node.outputs[0].shape or ()
    return [axis % len(shape) for axis in node.attributes["axes"]] == [1] if shape else False


def paths_through(graph: Graph, image: Value, scores: Value) -> dict[Value, bool]:
    """The values on a way from the image to the scores; True for those on every way, which separate the two.

    The ways through a value are the ways to it times the ways from it; a value on all of them has as many as there are.
    Ways through a shape carry sizes, not data, and do not count.
    """
    to: dict[Value, int] = {image: 1}
    for node in graph.nodes:
        if node.kind != "shape":
            ways = sum(to.get(value, 0) for _, value in node.operands)
            to.update((value, ways) for value in node.outputs if ways)
    since: dict[Value, int] = {scores: 1}
    for node in reversed(graph.nodes):
        ways = sum(since.get(value, 0) for value in node.outputs)
        if ways and node.kind != "shape":
            for _, value in node.operands:
                since[value] = since.get(value, 0) + ways
    total = to.get(scores, 0)
    if not total:
        raise ModelError("the class scores do not depend on the image input")
    return {value: to[value] * since[value] == total for value in to if value in since}


def candidates(graph: Graph, image: Value, scores: Scores, placed: Mapping[Value, Place]) -> list[Candidate]:
    """Every value with cells on the way from the image to the scores, best first: the last that separate come first."""
    end = scores.value if scores.activation is None else scores.activation.operand(0)
    separates = paths_through(graph, image, end)
    found = []
    for value in _in_order(graph):
        where = placed.get(value)
        if where is None or value not in separates or value is scores.value:
            continue
        reason = None
        if 0 in where.grid:
            reason = "it has no cells"
        elif 0 in (value.shape or ()):
            reason = f"its shape is {text(value.shape)}: it holds nothing"
        elif product(where.grid) == 1:
            reason = "it has a single cell"
        elif at_one(product(where.grid)) > MOST_CELLS:
            reason = f"it has {text(where.grid)} cells, more than can be told apart"
        elif len(where.cells) == 1 and value.shape and value.shape[where.cells[0]] != product(where.grid):
            reason = (
                f"it holds tokens that are no cells, {value.shape[where.cells[0]]} for {where.grid[0]} x {where.grid[1]} cells"
            )
        elif value.dtype is None or value.dtype.kind != "f":
            reason = f"it holds {value.dtype}, not floating-point features"
        elif not separates[value]:
            reason = f"it does not separate the image from the scores: {_bypass(graph, value, separates)}"
        found.append(Candidate(layer_name(value), value, where, reason))
    found.reverse()
    return sorted(found, key=lambda candidate: candidate.reason is not None)


def _in_order(graph: Graph) -> Iterable[Value]:
    for node in graph.nodes:
        yield from node.outputs


def layer_name(value: Value) -> str:
    """What a user calls the layer: the node, or the tensor where a node has several outputs."""
    node = value.producer
    return value.name if node is None or len(node.outputs) > 1 else node.name


def _bypass(graph: Graph, value: Value, on_the_way: Iterable[Value]) -> str:
    """Which value reaches the scores beside `value`, and where it enters."""
    after = {value}
    known = set(on_the_way)
    for node in graph.nodes:
        operands = [operand for _, operand in node.operands if operand in known]
        if any(operand in after for operand in operands):
            for operand in operands:
                if operand not in after:
                    return f"'{layer_name(operand)}' bypasses it and enters {node}"
            after.update(node.outputs)
    return "other layers carry the image past it"


def choose(found: list[Candidate], layer: str | None, graph: Graph) -> Candidate:
    """The candidate called `layer`, by node or tensor name, or the best one. Raises LayerError."""
    if layer is None:
        for candidate in found:
            if candidate.reason is None:
                return candidate
        worst = found[0] if found else None
        raise LayerError(
            "no layer can carry a hook: "
            + (f"the last with cells, '{worst.name}', cannot: {worst.reason}" if worst else "no layer is known to have cells")
        )
    value = _named(graph, layer)
    for candidate in found:
        if candidate.value is value:
            if candidate.reason is not None:
                raise LayerError(f"layer '{layer}' cannot carry a hook: {candidate.reason}", node=layer)
            return candidate
    if value is None:
        names = [name for v in _in_order(graph) for name in {layer_name(v), v.name}]
        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.3)
        hint = "; the nearest names are " + ", ".join(f"'{name}'" for name in near) if near else ""
        raise LayerError(f"the model has no layer '{layer}'{hint}; `ovxai layers` lists them", node=layer)
    raise LayerError(
        f"layer '{layer}' {text(value.shape)} has no cells: the rows and columns of the image do not reach it; "
        "`ovxai layers` lists those that have",
        node=layer,
    )


def is_among(found: list[Candidate], layer: str, graph: Graph) -> bool:
    """Whether one of the candidates is called `layer`."""
    value = _named(graph, layer)
    return any(candidate.value is value for candidate in found)


def _named(graph: Graph, layer: str) -> Value | None:
    by_node = {node.name: node.outputs[0] for node in graph.nodes}
    by_tensor = {value.name: value for value in _in_order(graph)}
    if layer in by_node or layer in by_tensor:
        return by_node.get(layer) or by_tensor[layer]
    return next((value for value in _in_order(graph) if layer in value.aliases), None)
