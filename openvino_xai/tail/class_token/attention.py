"""Class-token attention: masked tokens of which only some reach the scores, as the class token does.

Behind the last attention of a transformer the scores read the class token alone. So its queries, residual sums and MLP are
needed for one token of each masked copy. The N copies of S selected tokens stand where the tokens of an image stood, as S * N
queries of the same image.

Keys and values are needed of all tokens. They come from the model's own, as token masks rest + w (v - rest), which affine maps
keep (`token_masks`), and so do the logits of attention and the values that it sums up (`logits`).

The model computes the residual sums and the MLP for every token, and nobody reads the others. Copies take the places of those
dead tokens in the model's own nodes, and cost nothing there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.subaxis import Span, follow, trace_back
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.algebra import repeat_node, zeros
from openvino_xai.tail.batching import of_one_image
from openvino_xai.tail.class_token.dead_tokens import dead_token_nodes
from openvino_xai.tail.class_token.logits import AttentionLogits, SelectedTokens, attended, elementwise, of_copies, scale_of
from openvino_xai.tail.class_token.selection import token_selectors
from openvino_xai.tail.masked import MaskedCells, Rows
from openvino_xai.tail.token_masks import MaskedTokens, TokenRules
from openvino_xai.tail.walk import forward, inside


class ClassTokenAttention:
    """The tail of tokens under masks of `weights` [N, T], from `cuts` up to where tokens are selected for the scores.

    Unless it is `apart`, the copies of a single selected token take the places of dead tokens: `splices` then has operands of
    the model's nodes, and what these are to read.
    """

    def __init__(
        self,
        graph: Graph,
        trace: Trace,
        cuts: Mapping[Value, MaskedCells],
        weights: np.ndarray,
        nodes: Sequence[Node],
        end: Value,
        *,
        apart: bool,
    ) -> None:
        self._graph, self._trace, self._nodes = graph, trace, nodes
        self._cuts, self._weights = cuts, weights
        self._selections: dict[tuple[Value, Span], SelectedTokens | AttentionLogits | None] = {}
        self._spreads: dict[AttentionLogits, SelectedTokens] = {}
        self._inside = inside(nodes, cuts)
        self._all = TokenRules(graph, trace, cuts, self._inside)
        self._selectors = token_selectors(graph, cuts, weights, nodes, end)
        self._tokens = sorted({token for _, tokens in self._selectors.values() for token in tokens})
        self.splices: dict[tuple[Node, int], Value] = {}  # operands of the model's nodes, and what they are to read
        if len(self._tokens) == 1 and not apart:
            self._splice(self._tokens[0])

    def rows(self) -> dict[Value, Rows] | None:
        """The selected tokens as rows, by the value that holds them; None if no rule leads there, or if others matter."""
        if not self._selectors:
            return None
        selected_rows = {}
        for node, (span, tokens) in self._selectors.items():
            item = self._selected(node.operand(0), span)
            if not isinstance(item, SelectedTokens) or not item.span.pure:
                return None
            batch = self._batches.get(node.operand(0))
            if batch is None or not batch.pure:
                return None
            rows = self._as_rows(node, item, batch.axis, tokens)
            if rows is None:
                return None
            selected_rows[node.outputs[0]] = rows
        return selected_rows

    def _as_rows(self, node: Node, item: SelectedTokens, batch: int, tokens: list[int]) -> Rows | None:
        """What a node selects: a row for each copy of each image."""
        xp, span, copies = self._trace, item.span.axis, len(self._weights)
        value = item.value if item.spread else self._spread(item).value
        images = follow(node, 0, Span(batch))
        if images is None:
            return None
        if len(self._tokens) > 1:  # the copies of a token lie side by side, and a row needs the tokens of a copy
            places = [self._tokens.index(token) * copies + copy for copy in range(copies) for token in tokens]
            value = xp.take(value, np.array(places), axis=span)
        shape = shape_of(value)
        others = [axis for axis in range(len(shape)) if axis not in (batch, span)]
        rows = [shape[batch] * copies]
        moved = xp.permute_dims(value, (batch, span, *others))
        if len(shape_of(node.outputs[0])) < len(shape):  # a single token, without its axis
            laid = xp.reshape(moved, (*rows, *(shape[axis] for axis in others)))
            order = [batch, *others]
        else:
            laid = xp.reshape(moved, (*rows, len(tokens), *(shape[axis] for axis in others)))
            order = [batch, span, *others]
        return Rows(xp.permute_dims(laid, tuple(order.index(axis) for axis in sorted(order))), images)

    # -- copies in the places of tokens that nobody reads

    def _splice(self, token: int) -> None:
        """Let the model's own nodes compute the copies of `token`, from the first node with weights on.

        All copies have to fit into the places behind the token, in each node, or none is spliced.
        """
        dead_nodes = dead_token_nodes(
            self._graph, self._nodes, {node: span for node, (span, _) in self._selectors.items()}, self._inside
        )
        splices: dict[tuple[Node, int], Value] = {}
        computed: dict[Value, Span] = {}  # the model's values that hold copies
        for node, span in dead_nodes.items():
            behind = any(value in computed for _, value in node.operands)
            if not behind and operation_of(node).weights is None:
                continue  # without weights there is little to save
            entering = self._entering(node, span, computed)
            if not behind and not any(isinstance(item, SelectedTokens) and item.spread for _, _, item in entering.values()):
                continue  # it is the same for all copies
            for index, (value, back, item) in entering.items():
                among = self._among(value, back, item, token) if isinstance(item, SelectedTokens) else None
                if among is None:
                    return
                splices[node, index] = among
            computed.update(dict.fromkeys(node.outputs, span))
        self.splices = splices
        places = np.arange(token + 1, token + 1 + len(self._weights))
        for value, span in computed.items():
            self._selections[value, span] = SelectedTokens(self._trace.take(value, places, axis=span.axis), span, spread=True)

    def _entering(
        self, node: Node, span: Span, computed: Collection[Value]
    ) -> dict[int, tuple[Value, Span, SelectedTokens | AttentionLogits | None]]:
        """The operands that hold tokens, and no copies yet: the value, where its tokens are, and the selected ones."""
        entries = {}
        for index, value in node.operands:
            back = trace_back(node, index, span) if value in self._inside and value not in computed else None
            if back is not None:
                entries[index] = (value, back, self._selected(value, back))
        return entries

    def _among(self, value: Value, span: Span, item: SelectedTokens, token: int) -> Value | None:
        """All tokens of a value, with the copies of `token` in the places behind it; None if they do not fit."""
        xp, length, behind = self._trace, span.length(shape_of(value)), token + 1 + len(self._weights)
        if not isinstance(length, int) or behind > length or not item.span.pure:
            return None
        copies = item if item.spread else self._spread(item)
        parts = [xp.take(value, np.arange(token + 1), axis=span.axis), copies.value]
        if behind < length:
            parts.append(xp.take(value, np.arange(behind, length), axis=span.axis))
        return xp.splice(parts, axis=span.axis)

    # -- the selected tokens

    def _selected(self, value: Value, span: Span) -> SelectedTokens | AttentionLogits | None:
        """The selected tokens of a value that holds all tokens along `span`; None if no rule leads there."""
        if (value, span) not in self._selections:
            masked = self._all.of(value)
            if masked is not None and masked.tokens == span and span.pure and set(self._tokens) <= set(masked.index):
                places = [masked.index.index(token) for token in self._tokens]
                taken = self._trace.take(masked.value, np.array(places), axis=span.axis)
                self._selections[value, span] = SelectedTokens(
                    taken, span, spread=False
                )  # with a weight of 1, rest + w (v - rest) is v
            else:
                self._selections[value, span] = None
                if value.producer is not None and value in self._inside:
                    outputs = self._step(value.producer, span) or []
                    self._selections.update(
                        {(output, span): item for output, item in zip(value.producer.outputs, outputs, strict=False)}
                    )
        return self._selections[value, span]

    def _step(self, node: Node, span: Span) -> Sequence[SelectedTokens | AttentionLogits] | None:
        """All outputs of a node for the selected tokens; None if no rule applies."""
        operands: dict[int, SelectedTokens | AttentionLogits] = {}
        for index, value in node.operands:
            back = trace_back(node, index, span) if value in self._inside else None
            if back is not None:
                selection = self._selected(value, back)
                if selection is None:
                    return None
                operands[index] = selection
        unselected = [index for index, value in node.operands if value in self._inside and index not in operands]
        if not operands:
            return None
        if unselected or any(isinstance(item, AttentionLogits) for item in operands.values()):
            outcome = self._attention(node, operands, span) if unselected else self._attend(node, operands, span)
            if outcome is not None or unselected:
                return None if outcome is None else [outcome]
        # what is not affine, as the softmax, needs the logits of each copy
        items = {i: self._spread_out(item) if isinstance(item, AttentionLogits) else item for i, item in operands.items()}
        selections = {index: item for index, item in items.items() if item is not None}
        return self._repeat(node, selections, span) if len(selections) == len(items) else None

    def _repeat(self, node: Node, operands: Mapping[int, SelectedTokens], span: Span) -> list[SelectedTokens] | None:
        """The outputs of a node that treats every token alike; None if another operand depends on the input."""
        spread = any(item.spread for item in operands.values())
        if spread and len(self._tokens) > 1:
            operands = {i: item if item.spread else self._spread(item) for i, item in operands.items()}
        items = self._count(spread=spread)
        inputs: list[Value | None] = []
        for index, value in enumerate(node.inputs):
            if index in operands:
                inputs.append(operands[index].value)
            elif value is None or operation_of(node).tells(index):
                inputs.append(value)
            else:
                beside = self._beside(node, index, span, spread=spread)
                if beside is None:
                    return None
                inputs.append(beside)
        shapes = [span.resized(shape_of(output), items) for output in node.outputs]
        as_before = operation_of(node).pointwise and operation_of(node).moves == "all" and operands[0].normalised
        rank = len(shapes[0])
        normalised = as_before or (node.kind == "softmax" and [axis % rank for axis in node.attributes["axes"]] == [rank - 1])
        return [SelectedTokens(result, span, spread, normalised) for result in repeat_node(self._trace, node, inputs, shapes)]

    def _beside(self, node: Node, index: int, span: Span, *, spread: bool) -> Value | None:
        """An operand that no mask reaches, for the selected tokens; None if it depends on the input."""
        value: Value | None = node.operand(index)
        assert value is not None
        if not is_fixed(self._graph, value):  # what is repeated for every image, as a mask of attention
            value = of_one_image(self._graph, self._trace, value, 0) if shape_of(value) else None
        if value is None:
            return None
        back = trace_back(node, index, span)
        if back is None or shape_of(value)[back.axis] == 1:
            return value
        if not back.pure or not span.pure:
            return None
        taken = self._trace.take(value, np.array(self._tokens), axis=back.axis)
        return self._spread(SelectedTokens(taken, back, spread=False)).value if spread and len(self._tokens) > 1 else taken

    def _count(self, *, spread: bool) -> int:
        return len(self._tokens) * (len(self._weights) if spread else 1)

    def _spread(self, item: SelectedTokens) -> SelectedTokens:
        """Each selected token, once for every copy."""
        xp, shape, axis = self._trace, shape_of(item.value), item.span.axis
        assert item.span.pure
        copies = len(self._weights)
        apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
        each = xp.broadcast_to(xp.reshape(item.value, apart), (*shape[: axis + 1], copies, *shape[axis + 1 :]))
        return replace(item, value=xp.reshape(each, item.span.resized(shape, self._count(spread=True))), spread=True)

    # -- attention

    def _attention(
        self, node: Node, operands: Mapping[int, SelectedTokens | AttentionLogits], span: Span
    ) -> SelectedTokens | AttentionLogits | None:
        """Queries of the selected tokens times keys of all, or their attention weights times values of all."""
        first = operands.get(0)
        rank = len(shape_of(node.outputs[0]))
        if first is None or len(operands) != 1 or not span.pure or span.axis != rank - 2:
            return None
        if operation_of(node).attends:
            return self._fused(node, first, span)
        if node.kind != "matmul" or (len(node.inputs) > 2 and node.inputs[2] is not None):
            return None
        other = self._all.of(node.operand(1))
        if other is None or not self._all.is_complete(other):
            return None
        transposed = bool(node.attributes.get("transpose_b"))
        tokens = len(shape_of(node.operand(1))) - (2 if transposed else 1)
        if other.tokens == Span(tokens):
            return self._compared(node, first, other, span)
        return self._attended(first, other, span, transposed=transposed)

    def _compared(
        self, node: Node, queries: SelectedTokens | AttentionLogits, keys: MaskedTokens, span: Span
    ) -> AttentionLogits | None:
        """q k for all tokens: for a given q affine in the keys, so the logits are token masks like these."""
        if not isinstance(queries, SelectedTokens) or queries.spread:
            return None  # queries that masks have changed differ from copy to copy
        shape = span.resized(shape_of(node.outputs[0]), len(self._tokens))
        tokens = Span(len(shape) - 1)
        (value,) = self._trace.repeat(node, [queries.value, keys.value], [shape])
        rest = None
        if keys.rest is not None:
            count = keys.tokens.length(shape_of(keys.rest))
            (rest,) = self._trace.repeat(node, [queries.value, keys.rest], [tokens.resized(shape, count)])
        return AttentionLogits(MaskedTokens(value, rest, Span(0), tokens, self._all.all_tokens), span)

    def _attend(
        self, node: Node, operands: Mapping[int, SelectedTokens | AttentionLogits], span: Span
    ) -> AttentionLogits | None:
        """Attention logits behind an affine map, as a scale or a bias of positions; None if it is none."""
        ((index, item),) = operands.items() if len(operands) == 1 else ((0, None),)
        how = operation_of(node).linearity(node, {index}) if operation_of(node).pointwise else None
        if not isinstance(item, AttentionLogits) or how is None:
            return None
        inputs: dict[int, Value] = {}
        for other, _ in node.operands:
            beside = None if other == index else self._beside(node, other, span, spread=False)
            if beside is None and other != index:
                return None
            inputs[other] = item.logits.value if beside is None else beside
        value, rest = elementwise(self._trace, node, inputs), item.logits.rest
        if rest is not None or how == "affine":
            base = rest if rest is not None else zeros((1,) * len(shape_of(item.logits.value)), item.logits.value)
            rest = elementwise(self._trace, node, {**inputs, index: base})
        return AttentionLogits(replace(item.logits, value=value, rest=rest), span)

    def _spread_out(self, item: AttentionLogits) -> SelectedTokens | None:
        """The logits of every copy, computed once however many nodes read them."""
        if item not in self._spreads and (selection := of_copies(self._trace, item, self._weights)) is not None:
            self._spreads[item] = selection
        return self._spreads.get(item)

    def _attended(
        self, weights: SelectedTokens | AttentionLogits, values: MaskedTokens, span: Span, *, transposed: bool = False
    ) -> SelectedTokens | None:
        """[..., S * N, D]: what the copies attend to; None for attention weights that are not those of every copy."""
        if not isinstance(weights, SelectedTokens) or not weights.spread:
            return None
        # one row of masks for each row of attention: those of all copies, once for each selected token
        return attended(
            self._trace, weights, values, np.tile(self._weights, (len(self._tokens), 1)), span, transposed=transposed
        )

    def _fused(self, node: Node, queries: SelectedTokens | AttentionLogits, span: Span) -> SelectedTokens | None:
        """Attention in one operation: softmax(scale * queries keys + mask) values."""
        keys, values = self._all.of(node.operand(1)), self._all.of(node.operand(2))
        if (
            not isinstance(queries, SelectedTokens)
            or queries.spread
            or node.attributes["causal"]
            or keys is None
            or values is None
        ):
            return None
        if not self._all.is_complete(keys) or not self._all.is_complete(values) or keys.tokens != Span(span.axis):
            return None
        xp, rank = self._trace, span.axis + 2
        swap = (*range(rank - 2), rank - 1, rank - 2)
        scale = scale_of(self._graph, node)
        mask = self._mask(node, span)
        if scale is None or mask is False:
            return None
        turned = xp.permute_dims(xp.multiply(queries.value, scale), swap)  # [..., D, S]: fewer than the keys
        value = xp.permute_dims(xp.matmul(keys.value, turned), swap)
        rest = None if keys.rest is None else xp.permute_dims(xp.matmul(keys.rest, turned), swap)
        # a mask of attention is added whatever a token weighs: it is a part of the rest, too
        if isinstance(mask, Value):
            value = xp.add(value, mask)
            rest = mask if rest is None else xp.add(rest, mask)
        spread = self._spread_out(
            AttentionLogits(MaskedTokens(value, rest, Span(0), Span(rank - 1), self._all.all_tokens), span)
        )
        if spread is None:
            return None
        weights = replace(spread, value=xp.softmax(spread.value, axis=rank - 1), normalised=True)
        return self._attended(weights, values, span)

    def _mask(self, node: Node, span: Span) -> Value | bool:
        """What is added to the logits of the selected tokens; True for nothing, False if it is not known."""
        if len(node.inputs) < 4 or node.inputs[3] is None or not shape_of(node.operand(3)):
            return True  # a scalar stands for none
        mask = node.operand(3)
        if mask.dtype is None or mask.dtype.kind != "f":
            return False
        return self._beside(node, 3, span, spread=False) or False

    @cached_property
    def _batches(self) -> dict[Value, Span]:
        """Where the values that tokens are selected from hold the batch."""

        def followed(node: Node, operands: Mapping[int, Span]) -> list[Span] | None:
            spans = (follow(node, index, span) for index, span in operands.items())
            span = next((span for span in spans if span is not None), None)
            return None if span is None else [span] * len(node.outputs)

        return forward(self._nodes, {value: Span(cut.place.batch) for value, cut in self._cuts.items()}, followed)
