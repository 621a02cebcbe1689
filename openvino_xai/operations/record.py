"""What one kind of operation does, as a record: each column is a law, which a test proves.

Every interpretation of a model (cells, tokens, channels, classes, costs, derivatives) asks records, and knows no operation by
its name. `openvino_xai.operations.table` has the records of all kinds; a dialect names members of it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import KW_ONLY, dataclass
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.sizes import Shape, Size, at_one
from openvino_xai.operations.adjoint import Rule
from openvino_xai.operations.axes import Axes
from openvino_xai.operations.centres import CentreRule
from openvino_xai.operations.contents import IntegerRule

Contents: TypeAlias = Callable[[int], "tuple[Size, ...] | None"]  # what an operand holds, where that is sizes
Constant: TypeAlias = Callable[["Value | None"], "np.ndarray | None"]

AxesRule: TypeAlias = Callable[[Node], "Axes | None"]
ZeroRule: TypeAlias = Callable[[Node, Collection[int], Constant], bool]
Cost: TypeAlias = Callable[[Node], int]
ShapeRule: TypeAlias = Callable[[Node, Contents], "Sequence[Shape] | None"]
RankRule: TypeAlias = Callable[[Node, Contents], "int | None"]
Reduction: TypeAlias = Literal["mean", "sum", "max", "min"]
Linearity: TypeAlias = Literal["linear", "affine"]

# operands
IN_FIRST, IN_SECOND = frozenset({0}), frozenset({1})
ALL: Container[int] = range(2**31)


def mixed(node: Node) -> None:
    """No axis of the output is known to come from an operand's."""
    return


def never(node: Node, zeros: Collection[int], constant: Constant) -> bool:
    """Zeros become something else, or that is not known."""
    return False


def always(node: Node, zeros: Collection[int], constant: Constant) -> bool:
    """Zeros in these operands are zeros in the outputs."""
    return True


def in_data(node: Node, zeros: Collection[int], constant: Constant) -> bool:
    """Zeros in the first operand are zeros in the outputs, whatever the others hold."""
    return 0 in zeros


def together(node: Node, zeros: Collection[int], constant: Constant) -> bool:
    """The outputs are zeros where all operands are."""
    return len(zeros) == sum(1 for _ in node.operands)


def elements(shape: Shape | None) -> int:
    """How many elements a shape has for one image."""
    return prod(at_one(size) for size in shape or ())


def each(node: Node) -> int:
    """One for each element that is computed."""
    return sum(elements(value.shape) for value in node.outputs)


def each_read(node: Node) -> int:
    """One for each element of the first operand, of which fewer are made."""
    return max(each(node), elements(node.operand(0).shape))


def nothing(node: Node) -> int:
    """What is looked at in another way is not computed."""
    return 0


@dataclass(frozen=True)
class Operation:
    """What one kind of operation does. Operands are named by their index; what a column leaves out holds of none.

    What it computes: it is linear in each set of `factors` while its other operands are constant, and adds its `addends`. Zeros
    in operands are zeros in the outputs where `keeps_zero` says so, or where it is linear in them. It is `pointwise` where an
    element comes from one element of each operand, as NumPy broadcasts. It `reduces` as NumPy's function of that name does. It
    `normalises` where positions are scaled by what is beside them, and `quantises` where it rounds to levels, or undoes that.
    It `attends` where it is all of attention: softmax(q k^T s + mask) v, of queries, keys, values, a mask and a scale.

    How it moves what it reads: it `moves` all elements of its first operand where each stands in an output once, and some where
    they are picked or repeated. Along an axis that it makes coarser or finer, `centres` tell where items lie among those of the
    first operand; without them items are equal parts. `later_axes` are those of further outputs, where they differ. It `joins`
    operands along an axis, or `splits` one. With `equal_batches` its operands have as many images each: none is stretched to
    another. `controls` are operands that hold shapes, axes or counts, and no data; of one that `takes_shape` the second is the
    shape of the output. `selectors` choose what is taken, without a slope. It `ranks` where its last output tells where the
    largest items of the first operand are.

    What it costs and leads to: `weights` is the operand that holds what was learned, `macs` counts. `rank`, `shape` and
    `integers` tell what is known before the model runs. With a `lazy_adjoint` the adjoint reads no data, and is the same along
    an axis where that of the output is. An `adjoint` of None is a derivative that is not known here; of what is `stepwise` it
    is 0, but for the steps.
    """

    name: str
    _: KW_ONLY
    axes: AxesRule
    later_axes: AxesRule | None = None
    centres: CentreRule | None = None
    factors: tuple[frozenset[int], ...] = ()
    addends: Container[int] = ()
    keeps_zero: ZeroRule = never
    pointwise: bool = False
    moves: Literal["all", "some"] | None = None
    reduces: Reduction | None = None
    normalises: bool = False
    quantises: bool = False
    controls: Container[int] = ()
    takes_shape: bool = False
    joins: bool = False
    equal_batches: bool = False
    attends: bool = False
    splits: bool = False
    selectors: frozenset[int] = frozenset()
    ranks: bool = False
    weights: int | None = None
    macs: Cost
    rank: RankRule | None = None
    shape: ShapeRule | None = None
    integers: IntegerRule | None = None
    stepwise: bool = False
    lazy_adjoint: bool = False
    adjoint: Rule | None = None

    def linearity(self, node: Node, varying: Collection[int]) -> Linearity | None:
        """How the outputs depend on the `varying` operands while the others are constant: None for neither.

        An affine map of zeros is what the operation adds.
        """
        factors = frozenset(index for index in varying if index not in self.addends)
        if factors and factors not in self.factors:
            return None
        constant = any(index in self.addends and index not in varying for index, _ in node.operands)
        return "affine" if constant or (self.factors and not factors) else "linear"

    def gives_zero(self, node: Node, zeros: Collection[int], constant: Constant) -> bool:
        """Whether zeros in some operands are zeros in the outputs."""
        return self.linearity(node, zeros) == "linear" or self.keeps_zero(node, zeros, constant)

    @property
    def lays_out(self) -> bool:
        """Whether axes are merged and split: only counting elements tells where items are."""
        return self.takes_shape and self.moves == "all"

    @property
    def multiplies(self) -> bool:
        """Whether it multiplies two operands, element by element."""
        return self.pointwise and self.factors == (IN_FIRST, IN_SECOND)

    def tells(self, index: int) -> bool:
        """Whether an operand says how elements are moved, and is none of them."""
        return index in self.controls or (self.moves is not None and index in self.selectors)


def by_name(*operations: Operation) -> dict[str, Operation]:
    """Records by their names, which are different."""
    table = {operation.name: operation for operation in operations}
    assert len(table) == len(operations)
    return table
