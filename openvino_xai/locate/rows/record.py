"""What the rows of a detector are: heads, the factors of their probabilities, and where each score is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.boxes.gathering import gathered
from openvino_xai.graph.model import Value
from openvino_xai.graph.vocabulary import Array, Namespace
from openvino_xai.locate.positions import Place
from openvino_xai.locate.provenance.returned import OwnRows

WAY_OUT = "the probe d_rise explains boxes from a detector's predictions alone"


@dataclass(frozen=True, eq=False)
class Head:
    """The value that holds the scores of one level before they are squashed, as a convolution or a linear layer made it.

    `place` says where its cells are; None for a head of queries, which have none.
    """

    value: Value
    place: Place | None

    def within(self, values: Mapping[Value, Value]) -> Head:
        """The same in a twin of the model, given its values by those of the model."""
        return replace(self, value=values[self.value])


@dataclass(frozen=True, eq=False)
class Factor:
    """Scores that are squashed in one way: of each row and class, or, for an objectness, of each row.

    Row a's are made of elements `element[a]` [A, C] or [A, 1] of the head `heads[level[a]]`, counted through one image.
    """

    squash: str
    heads: tuple[Head, ...]
    level: np.ndarray
    element: np.ndarray

    def within(self, values: Mapping[Value, Value]) -> Factor:
        """The same in a twin of the model."""
        return replace(self, heads=tuple(head.within(values) for head in self.heads))


@dataclass(frozen=True, eq=False)
class Rows:
    """A rows of C classes: their scores are elements `places` [A, C] of what is read.

    `read` are values [B, ...] by the name of the output that holds them, or what is left of them: one, or one a level. Their
    elements, `size` of an image, are counted one value after the other. The log-odds of a row are the sum of those of its
    `factors`: its class's, and its objectness's, if it has one. `background` is the class that stands for none.
    An `objectness` [A] that is not yet in the scores is elements of what is read, too. Where the model picks some of the rows
    itself, `returned` is the list that it makes of them, or `unlisted` says why that is not known. Of scores that nothing
    squashes, `score` says what makes probabilities of them.
    """

    read: Mapping[str, Value]
    places: np.ndarray
    size: int
    factors: tuple[Factor, ...]
    background: int | None
    objectness: np.ndarray | None
    returned: OwnRows | None = None
    unlisted: str | None = None
    score: str = "sigmoid"

    @property
    def of_queries(self) -> bool:
        """Whether rows are queries, which have no cells."""
        return any(head.place is None for head in self.of_classes.heads)

    @property
    def of_logits(self) -> bool:
        """Whether rows are queries whose scores nothing squashes."""
        return self.of_queries and self.of_classes.squash == "logit"

    def scale(self, factor: Factor) -> str:
        """`softmax` where the scores of a factor are shares among classes, else what squashes them."""
        return "softmax" if factor.squash == "logit" and self.score == "softmax" else factor.squash

    @property
    def name(self) -> str:
        """The outputs that hold the scores, joined by commas."""
        return ",".join(self.read)

    @property
    def count(self) -> int:
        """A."""
        return int(self.places.shape[0])

    @property
    def classes(self) -> int:
        """C."""
        return int(self.places.shape[1])

    @property
    def of_classes(self) -> Factor:
        """The scores of classes."""
        return self.factors[0]

    def probabilities(self, xp: Namespace, arrays: Sequence[Array]) -> Array:
        """[B, A, C] in [0, 1]: the probability of every row and class, of what is read."""
        p = gathered(xp, arrays, self.places)
        if self.of_classes.squash == "logit":
            p = xp.softmax(p, axis=2) if self.score == "softmax" else xp.sigmoid(p)
        if self.objectness is not None:
            objectness = gathered(xp, arrays, self.objectness.reshape(-1, 1))
            p = xp.multiply(p, xp.sigmoid(objectness) if self.factors[1].squash == "logit" else objectness)
        return p

    @property
    def elements(self) -> dict[Value, list[np.ndarray]]:
        """The elements of each head, of an image, that are scores."""
        elements: dict[Value, list[np.ndarray]] = {}
        for factor in self.factors:
            for index, head in enumerate(factor.heads):
                elements.setdefault(head.value, []).append(factor.element[factor.level == index])
        return elements

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads of all factors."""
        return tuple(head for factor in self.factors for head in factor.heads)

    def within(self, values: Mapping[Value, Value]) -> Rows:
        """The same in a twin of the model."""
        read = {name: values[value] for name, value in self.read.items()}
        returned = None if self.returned is None else self.returned.within(values)
        return replace(self, read=read, factors=tuple(factor.within(values) for factor in self.factors), returned=returned)


def cell_axes(shape: tuple[int, ...], place: Place | None) -> tuple[int, ...]:
    """Which axes of one image's item of a head are cells; all but the last, of queries."""
    return tuple(range(len(shape) - 1)) if place is None else tuple(axis - 1 for axis in place.cells)
