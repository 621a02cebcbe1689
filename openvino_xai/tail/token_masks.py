"""Token masks: what affine maps of each token make of masked tokens.

A mask multiplies token t of copy n by w[n, t]. Written as rest + w (v - rest), with the tokens v of the model and a rest of 0,
it keeps this form under an affine map A of each token:

    A(rest + w (v - rest)) = A(rest) + w (A(v) - A(rest))

The model computes A(v) already, and A(rest) is a constant, which is folded when the hook is inserted. So the copies cost
nothing up to the attention, where tokens meet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Size, at_one
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, follow
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.algebra import MaskRules
from openvino_xai.tail.masked import MaskedCells


@dataclass(frozen=True, eq=False)
class MaskedTokens:
    """Copy n is `rest` + w[n, t] * (`value` - `rest`) at token t. A rest of None stands for 0.

    `batch` and `tokens` say where images and tokens are in the value. The rest has size 1 along what it is the same for.
    """

    value: Value
    rest: Value | None
    batch: Span
    tokens: Span
    index: tuple[int, ...]  # which tokens of the cut they are

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the images and the tokens are."""
        return self.batch, self.tokens


class TokenRules(MaskRules[MaskedTokens]):
    """The masked tokens between `cuts` and the attention, where tokens meet; values `inside` depend on the cuts."""

    def __init__(self, graph: Graph, trace: Trace, cuts: Mapping[Value, MaskedCells], inside: Collection[Value]) -> None:
        super().__init__(graph, trace)
        self._inside = inside
        first = next(iter(cuts.values()))
        self.all_tokens = tuple(range(at_one(shape_of(first.value)[first.place.cells[0]])))
        self._batch_size: Size = shape_of(first.value)[first.place.batch]
        self._masked: dict[Value, MaskedTokens | None] = {
            value: MaskedTokens(value, None, Span(cut.place.batch), Span(cut.place.cells[0]), self.all_tokens)
            for value, cut in cuts.items()
        }

    def of(self, value: Value) -> MaskedTokens | None:
        """The tokens of a value under masks; None unless affine maps of each token lead to it from the cuts."""
        if value not in self._masked:
            self._masked[value] = None
            node = value.producer
            if node is not None and value in self._inside:
                candidates = {index: self.of(item) for index, item in node.operands if item in self._inside}
                operands = {index: masked for index, masked in candidates.items() if masked is not None}
                if len(operands) == len(candidates):
                    for output, masked in zip(node.outputs, self._affine(node, operands) or (), strict=False):
                        self._masked[output] = masked
        return self._masked[value]

    def _affine(self, node: Node, operands: Mapping[int, MaskedTokens]) -> list[MaskedTokens] | None:
        """The outputs of an affine map of each token; None if it is none, or reads another value that is not fixed."""
        how = operation_of(node).linearity(node, operands.keys())
        if how is None:
            return None
        if operands.get(0) is not None and operands[0].tokens == Span(_along(node)):
            return self._along_tokens(node, operands)
        spans = {(follow(node, i, masked.batch), follow(node, i, masked.tokens)) for i, masked in operands.items()}
        if len(spans) != 1:
            return None
        ((batch, tokens),) = spans
        # operands have to hold the same tokens: a rest and a weight belong to a token, not to a place
        if batch is None or tokens is None or len({masked.index for masked in operands.values()}) > 1:
            return None
        beside = [value for index, value in node.operands if index not in operands and not operation_of(node).tells(index)]
        if any(not is_fixed(self._graph, value) for value in beside):
            return None
        values = self._values(node, operands)
        rests = self._rests(node, operands, (batch, tokens), keeps_zero=how == "linear")
        index = next(iter(operands.values())).index
        return [MaskedTokens(value, rest, batch, tokens, index) for value, rest in zip(values, rests, strict=True)]

    def _along_tokens(self, node: Node, operands: Mapping[int, MaskedTokens]) -> list[MaskedTokens] | None:
        """Some of the tokens, or tokens joined again, as where rotary positions turn all of them but the class token."""
        first = operands[0]
        axis = first.tokens.axis
        if any(masked.tokens != first.tokens or masked.value is not node.operand(index) for index, masked in operands.items()):
            return None
        if operation_of(node).joins:
            index = tuple(token for masked in operands.values() for token in masked.index)
            if all(masked.rest is None for masked in operands.values()):
                return [replace(first, value=node.outputs[0], index=index)]
            rests = [
                self._stretched(self._rest(masked), (masked.tokens,), (masked.tokens.length(shape_of(masked.value)),))
                for masked in operands.values()
            ]
            return [MaskedTokens(node.outputs[0], self._trace.concat(rests, axis=axis), first.batch, first.tokens, index)]
        if first.rest is not None and shape_of(first.rest)[axis] != 1:
            return None  # there is no rule for a rest that differs from token to token
        # tokens that are picked keep v, the rest and their weights: only which ones they are changes
        if "steps" in node.attributes:
            a = node.attributes
            return [
                replace(first, value=node.outputs[0], index=first.index[slice(a["starts"][0], a["ends"][0], a["steps"][0])])
            ]
        parts, start = [], 0
        for value in node.outputs:
            size = shape_of(value)[axis]
            assert isinstance(size, int)
            parts.append(replace(first, value=value, index=first.index[start : start + size]))
            start += size
        return parts

    def is_complete(self, masked: MaskedTokens) -> bool:
        """Whether these are all tokens of the cut, with a rest that broadcasts over images."""
        if masked.index != self.all_tokens:
            return False
        # on an axis that images share with others, a rest of one image does not broadcast
        return masked.rest is None or masked.batch.pure or self._batch_size == 1


def _along(node: Node) -> int:
    """The one axis that a node slices, splits or joins along; -1 where there is none, or several."""
    rank = len(shape_of(node.operand(0)))
    if operation_of(node).joins or operation_of(node).splits:
        return int(node.attributes["axis"]) % rank
    axes = node.attributes["axes"] if "steps" in node.attributes else []
    return int(axes[0]) % rank if len(axes) == 1 else -1
