"""A place where a hook can go, and what it costs there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import readable
from openvino_xai.locate.layers import Candidate
from openvino_xai.operations.cost import depth, human, operations, typical_sizes
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.resized import at, resized
from openvino_xai.tables import html_table, text_table


@dataclass(frozen=True)
class Layer:
    """A place where a hook can go, or why it cannot.

    `shape` and `cells` (H, W) are those of the model, with names for sizes that only a run knows; () for a shape of which
    nothing is known. `cost` is the hooked model's operations over the plain one's, `memory` the bytes of the hook's largest
    value for one image; both are None where `reason` tells that no hook fits there. `method` is the one that is taken there
    where none is asked for, and `depth` the share of the plain model's operations, in [0, 1], that lead to the layer. `twin` is
    the name of a layer behind it where `reciprocam` has the same maps: what lies between takes each element by itself and
    keeps 0, so that masks pass it. `instead_of` names a better layer where no hook could be planned, and says why.
    """

    name: str
    shape: tuple[int | str, ...]
    cells: tuple[int | str, ...]
    cost: float | None
    memory: int | None
    reason: str | None
    method: str
    depth: float
    twin: str | None = None
    instead_of: str | None = None


HEADS = ("layer", "shape", "cells", "cost", "memory", "method", "why not")


class Layers(list[Layer]):
    """Layers, best first; a table as text, and in a notebook. `reason` tells why none carries a hook, None where one does."""

    def __init__(self, layers: Iterable[Layer] = (), reason: str | None = None) -> None:
        super().__init__(layers)
        self.reason = reason

    @property
    def _cells(self) -> list[tuple[object, ...]]:
        return [
            (
                layer.name,
                _sizes(layer.shape),
                _sizes(layer.cells),
                layer.cost,
                None if layer.memory is None else human(layer.memory),
                layer.method,
                layer.reason,
            )
            for layer in self
        ]

    def __repr__(self) -> str:
        """A line for each layer."""
        return text_table(HEADS, self._cells)

    def _repr_html_(self) -> str:
        """A table, which notebooks show."""
        return html_table(HEADS, self._cells)


def _sizes(sizes: tuple[int | str, ...]) -> str:
    return " x ".join(map(str, sizes))


def priced(graph: Graph, candidate: Candidate, plan: Plan | None, plain: int) -> Layer:
    """A candidate with what a plan costs there, None for none; `plain` are the operations of the model without it."""
    return Layer(
        candidate.name,
        readable(candidate.value.shape or ()),
        readable(candidate.lengths),
        None if plan is None else 1 + plan.operations / max(plain, 1),
        None if plan is None else plan.largest,
        candidate.reason,
        candidate.method,
        _depth(graph, [part.value for part in candidate.cut], plain),
    )


def _depth(graph: Graph, cut: Sequence[Value], plain: int) -> float:
    """The share of a model's operations that lead to a cut; of an image of a usual size, where the model takes any."""
    sizes = typical_sizes(graph)
    if not sizes:
        return depth(graph.nodes, cut, plain)
    nodes, copies = resized(graph.nodes, at(sizes))
    return depth(nodes, [copies[value] for value in cut], operations(nodes))
