"""Cells as tokens that queries attend to: masked cells (v, rest) in the layouts that attention gives them.

A head that pools by attention asks all cells with one query, or with a few. Keys and values come from each cell alone, so those
of copy n are v at cell n and a rest elsewhere, and cost nothing. What a copy needs is its own query's product with these:

    logits of copy n       q_n v_t where mask n keeps token t, and q_n rest_t elsewhere
    what it attends to     sum over t of p_t v_t where it keeps t, and p_t rest_t elsewhere

which are two products of matrices over all copies. A query may be the same for all copies, as a weight or a class token that
no mask has reached yet, or differ, as the mean of the cells does, and what a first such layer has made of a class token. Tokens
like these, which each copy has of its own, stand ahead of the cells, and are computed for every copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape, Size, at_one, product
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.positions import Place
from openvino_xai.locate.subaxis import Span, follow, trace_back
from openvino_xai.locate.tokens import picked_tokens
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.table import operation_of
from openvino_xai.tail.algebra import MaskRules
from openvino_xai.tail.batching import repeat_over_rows
from openvino_xai.tail.class_token.logits import scale_of
from openvino_xai.tail.masked import CellTokens, Masked, MaskedCells, Rows, Unmasked
from openvino_xai.tail.masks import BlockMask

ALL, EACH = -1, -2  # tokens that all masks keep, and those that each copy has of its own


class CellTokenRules(MaskRules[CellTokens]):
    """What nodes make of cells as tokens, for `batch` images of which each has a copy for each block of a `mask`."""

    def __init__(self, graph: Graph, trace: Trace, batch: Size, mask: BlockMask) -> None:
        super().__init__(graph, trace)
        self._batch, self._mask = batch, mask

    def step(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked] | None:
        """The outputs of `node`; None if no rule applies."""
        if not isinstance(self._mask.count, int):
            return None
        items = {index: self.tokens_of(value) for index, value in operands.items()}
        tokens = {index: item for index, item in items.items() if item is not None}
        if not tokens:
            return None
        outcome: list[Masked] | None = None
        if operation_of(node).joins:
            outcome = self._joined(node, tokens, operands)
        elif set(tokens) - {0} and not operation_of(node).pointwise:
            rows = self._attention(node, tokens, operands)
            outcome = None if rows is None else [rows]
        if outcome is None and len(tokens) == len(operands):
            outcome = self._picked(node, tokens) or self._merged(node, operands) or self._alike(node, tokens)
        return outcome

    def tokens_of(self, value: Masked) -> CellTokens | None:
        """Masked cells along one axis as tokens; None for another form."""
        if isinstance(value, CellTokens):
            return value
        if not isinstance(value, MaskedCells) or len(value.place.cells) != 1 or any(value.place.mirrored):
            return None
        length = shape_of(value.value)[value.place.cells[0]]
        if not isinstance(length, int) or not isinstance(self._mask.count, int):
            return None
        index = np.full(length, ALL)
        index[value.place.tokens(length)] = np.arange(self._mask.count)
        return CellTokens(value.value, value.rest, Span(value.place.batch), Span(value.place.cells[0]), tuple(index.tolist()))

    def rows(self, tokens: CellTokens) -> Rows:
        """All tokens of every copy."""
        xp, span, axis = self._trace, tokens.batch, tokens.tokens.axis
        rest = np.zeros((), tokens.value.dtype) if tokens.rest is None else self._with_copies(tokens.rest, span)
        mask = self._keeps(tokens, shape_of(tokens.value), span, tokens.tokens)
        value = xp.where(mask, self._with_copies(tokens.value, span), rest)
        shape = span.resized(shape_of(tokens.value), self._batch * self._mask.count)
        laid = xp.reshape(value, shape)
        if tokens.ahead is not None:
            cells = np.flatnonzero(np.array(tokens.index) != EACH)
            laid = xp.concat([tokens.ahead.value, xp.take(laid, cells, axis=axis)], axis=axis)
        return Rows(laid, span)

    # -- layouts

    def _with_copies(self, value: Value, span: Span) -> Value:
        """A value with an axis of copies behind that of its images."""
        shape, axis = shape_of(value), span.axis
        inner = () if span.inner == 1 else (span.inner,)
        outer = shape[axis] if not inner else span.outer * span.length(shape)
        return self._trace.reshape(value, (*shape[:axis], outer, 1, *inner, *shape[axis + 1 :]))

    def _keeps(self, tokens: CellTokens, shape: Shape, batch: Span, along: Span) -> np.ndarray:
        """True where a copy keeps a token: laid out as `_with_copies` lays out a value of this shape."""
        index = np.array(tokens.index)
        keeps = (index == np.arange(at_one(self._mask.count))[:, None]) | (index == ALL)  # [N, T]
        spread = np.broadcast_to(keeps[:, None, :, None], (len(keeps), at_one(along.outer), len(index), at_one(along.inner)))
        behind = batch.axis + 2 + (batch.inner != 1)  # the first axis behind those of images and copies
        rank = len(shape) + 1 + (batch.inner != 1)
        axis = along.axis if along.axis < batch.axis else along.axis + behind - batch.axis - 1
        sizes = [1] * rank
        sizes[batch.axis + 1], sizes[axis] = len(keeps), spread[0].size
        flat = spread.reshape(len(keeps), -1)
        return (flat if batch.axis + 1 < axis else flat.T).reshape(sizes)

    # -- what treats tokens alike

    def _alike(self, node: Node, tokens: Mapping[int, CellTokens]) -> list[Masked] | None:
        """The outputs of a node that treats every token alike, beside operands that are the same for all images."""
        spans = {(follow(node, i, item.batch), follow(node, i, item.tokens)) for i, item in tokens.items()}
        if len(spans) != 1 or len({item.index for item in tokens.values()}) != 1:
            return None
        ((batch, along),) = spans
        if batch is None or along is None or batch.axis == along.axis:
            return None
        replaced: dict[int, Value] = {}
        first = next(iter(tokens.values()))
        ahead = first.index.count(EACH)
        for index, value in node.operands:
            if index in tokens or operation_of(node).tells(index):
                continue
            at_batch, at_tokens = trace_back(node, index, batch), trace_back(node, index, along)
            if not is_fixed(self._graph, value) or (at_batch is not None and shape_of(value)[at_batch.axis] != 1):
                return None
            if ahead and at_tokens is not None and shape_of(value)[at_tokens.axis] != 1:
                if not at_tokens.pure:
                    return None
                replaced[index] = self._trace.take(value, np.arange(ahead), axis=at_tokens.axis)
        values = self._values(node, tokens)
        keeps_zero = operation_of(node).gives_zero(node, tokens, self._graph.constant)
        rests = self._rests(node, tokens, (batch, along), keeps_zero=keeps_zero)
        owns: Sequence[Rows | None] = [None] * len(values)
        if ahead:
            if not along.pure or any(item.ahead is None for item in tokens.values()):
                return None
            rows = {index: item.ahead for index, item in tokens.items() if item.ahead is not None}
            owns = repeat_over_rows(
                self._graph,
                self._trace,
                node,
                rows,
                shape=lambda value: along.resized(shape_of(value), ahead),
                replaced=replaced,
            )
        return [
            self._simplest(CellTokens(value, rest, batch, along, first.index, rows))
            for value, rest, rows in zip(values, rests, owns, strict=True)
        ]

    def _simplest(self, tokens: CellTokens) -> Masked:
        """Tokens with axes of their own as masked cells, for which there are more rules."""
        count, index = self._mask.count, tokens.index
        assert isinstance(count, int)
        if tokens.ahead is not None or not tokens.batch.pure or not tokens.tokens.pure or 0 not in index:
            return tokens
        prefix = index.index(0)
        if index != (*[ALL] * prefix, *range(count), *[ALL] * (len(index) - prefix - count)):
            return tokens
        place = Place(tokens.batch.axis, (tokens.tokens.axis,), self._mask.grid, prefix)
        return MaskedCells(tokens.value, tokens.rest, place)

    def _merged(self, node: Node, operands: Mapping[int, Masked]) -> list[Masked] | None:
        """Rows and columns of cells that a reshape makes tokens of."""
        cells = operands.get(0)
        if not isinstance(cells, MaskedCells) or len(cells.place.cells) != 2 or not operation_of(node).lays_out:
            return None
        place, shape = cells.place, shape_of(cells.value)
        if (
            cells.value is not node.operand(0)
            or any(place.mirrored)
            or any(not isinstance(shape[axis], int) for axis in place.cells)
        ):
            return None
        height, width = (at_one(shape[axis]) for axis in place.cells)
        batch, rows, columns = (follow(node, 0, Span(axis)) for axis in (place.batch, *place.cells))
        if batch is None or rows is None or columns is None:
            return None
        if rows.axis != columns.axis or rows.inner != width * columns.inner or columns.outer != rows.outer * height:
            return None  # not merged, or columns ahead of rows
        along = Span(rows.axis, rows.outer, columns.inner)
        down, across = (size // at_one(masks) for size, masks in zip((height, width), self._mask.grid, strict=True))
        numbers = np.arange(height)[:, None] // down * at_one(self._mask.grid[1]) + np.arange(width) // across
        rest = cells.rest
        if rest is not None:
            differs = any(shape_of(rest)[axis] != 1 for axis in place.cells)
            sizes = [size if axis in place.cells else shape_of(rest)[axis] for axis, size in enumerate(shape)]
            rest = self._trace.broadcast_to(rest, tuple(sizes)) if differs else rest
            laid = along.resized(batch.resized(shape_of(node.outputs[0]), 1), numbers.size if differs else 1)
            rest = self._trace.reshape(rest, laid)
        index = tuple(numbers.reshape(-1).tolist())
        return [self._simplest(CellTokens(node.outputs[0], rest, batch, along, index))]

    # -- tokens beside each other

    def _joined(self, node: Node, tokens: Mapping[int, CellTokens], operands: Mapping[int, Masked]) -> list[Masked] | None:
        """Tokens behind others: those that no mask changes, or those that each copy has of its own."""
        output, axis = node.outputs[0], node.attributes["axis"] % len(shape_of(node.outputs[0]))
        first = next(iter(tokens.values()))
        for at, item in tokens.items():
            alike = item.tokens == Span(axis) and item.batch == first.batch and item.value is node.operand(at)
            if not alike or item.ahead is not None:
                return None
        index: list[int] = []
        ahead: Rows | None = None
        for at, value in node.operands:
            other, length = operands.get(at), shape_of(value)[axis]
            if not isinstance(length, int) or not (at in tokens or isinstance(other, Rows | Unmasked | None)):
                return None
            if isinstance(other, Rows):
                ahead = self._along(other, first.batch)
                if index or ahead is None:  # ahead of all others
                    return None
                index += [EACH] * length
            else:
                index += tokens[at].index if at in tokens else [ALL] * length
        rest = self._joined_rest(node, tokens, axis)
        return [self._simplest(CellTokens(output, rest, first.batch, first.tokens, tuple(index), ahead))]

    def _along(self, rows: Rows, span: Span) -> Rows | None:
        """The same rows along another axis, where the model has a single image, and both are of size 1; None where not."""
        shape, axis = shape_of(rows.value), rows.span.axis
        if rows.span == span:
            return rows
        if self._batch != 1 or not rows.span.pure or not span.pure or shape[span.axis] != 1:
            return None
        order = list(range(len(shape)))
        order[axis], order[span.axis] = span.axis, axis
        return Rows(self._trace.permute_dims(rows.value, tuple(order)), span)

    def _joined_rest(self, node: Node, tokens: Mapping[int, CellTokens], axis: int) -> Value | None:
        """The rest of joined tokens: of those that no mask takes out none is read, so that it may be anything there."""
        first = next(iter(tokens.values()))
        if all(item.rest is None for item in tokens.values()):
            return None
        if len(tokens) == 1 and first.rest is not None and shape_of(first.rest)[axis] == 1:
            return first.rest
        parts = []
        for at, value in node.operands:
            rest = self._rest(tokens.get(at, first))
            sizes = (*shape_of(rest)[:axis], shape_of(value)[axis], *shape_of(rest)[axis + 1 :])
            if at not in tokens:
                rest = self._trace.take(rest, np.array([0]), axis=axis)
            parts.append(self._trace.broadcast_to(rest, sizes))
        return self._trace.concat(parts, axis=axis)

    def _picked(self, node: Node, tokens: Mapping[int, CellTokens]) -> list[Masked] | None:
        """Some of the tokens: those that each copy has of its own, or others."""
        first = tokens.get(0)
        places = None if first is None else picked_tokens(self._graph, node, first.tokens)
        if first is None or not places:
            return None
        index = tuple(first.index[place] for place in places)
        batch = follow(node, 0, first.batch)
        if batch is None:
            return None
        if set(index) == {ALL}:
            return [Unmasked(node.outputs[0], batch)] if first.value is node.operand(0) else None
        if set(index) == {EACH} and first.ahead is not None:
            taken = self._trace.take(first.ahead.value, np.array(places), axis=first.tokens.axis)
            shape = batch.resized(shape_of(node.outputs[0]), self._batch * self._mask.count)
            return [Rows(self._trace.reshape(taken, shape), batch)]
        if EACH in index or "steps" not in node.attributes or first.value is not node.operand(0):
            return None
        rest, axis = first.rest, first.tokens.axis
        if rest is not None and shape_of(rest)[axis] != 1:
            rest = self._trace.take(rest, np.array(places), axis=axis)
        return [self._simplest(CellTokens(node.outputs[0], rest, first.batch, first.tokens, index))]

    # -- attention

    def _attention(self, node: Node, tokens: Mapping[int, CellTokens], operands: Mapping[int, Masked]) -> Rows | None:
        """What queries make of keys, or attention weights of values, or both in one operation."""
        if 0 in tokens or (0 in operands and not isinstance(operands[0], Rows | Unmasked)):
            return None
        queries, rank = operands.get(0), len(shape_of(node.outputs[0]))
        questions = queries if isinstance(queries, Rows) else None
        if "causal" in node.attributes:
            return self._fused(node, tokens, questions)
        adds = len(node.inputs) > 2 and node.inputs[2] is not None
        if node.kind != "matmul" or set(tokens) != {1} or node.attributes.get("transpose_a") or adds:
            return None
        transposed, other = bool(node.attributes.get("transpose_b")), tokens[1]
        depth = len(shape_of(node.operand(1)))
        if rank < 3 or len(shape_of(node.operand(0))) != rank or depth != rank:
            return None
        if other.tokens == Span(depth - 2 if transposed else depth - 1):  # keys: the tokens are columns
            heads, of_model = _Heads.of(self, other, turned=not transposed), other.value is node.operand(1)
            return heads.compared(node.operand(0), questions, node.outputs[0], of_model=of_model) if heads else None
        if other.tokens == Span(depth - 1 if transposed else depth - 2) and questions is not None:
            heads = _Heads.of(self, other, turned=transposed)
            return None if heads is None else heads.attended(questions, node.outputs[0])
        return None

    def _fused(self, node: Node, tokens: Mapping[int, CellTokens], questions: Rows | None) -> Rows | None:
        """softmax(scale * queries keys + mask) values."""
        rank, scale = len(shape_of(node.outputs[0])), scale_of(self._graph, node)
        masked = len(node.inputs) > 3 and node.inputs[3] is not None and bool(shape_of(node.operand(3)))
        if set(tokens) != {1, 2} or node.attributes["causal"] or scale is None or masked or rank < 3:
            return None
        keys, values = (_Heads.of(self, tokens[index], turned=False) for index in (1, 2))
        if keys is None or values is None or any(tokens[index].tokens != Span(rank - 2) for index in (1, 2)):
            return None
        xp, output = self._trace, node.outputs[0]
        shape = (*shape_of(output)[:-1], len(tokens[1].index))
        logits = keys.compared(node.operand(0), questions, Value("logits", shape, output.dtype), of_model=False)
        if logits is None:
            return None
        weights = xp.softmax(xp.multiply(logits.value, np.asarray(scale, output.dtype)), axis=rank - 1)
        return values.attended(replace(logits, value=weights), output)


@dataclass(frozen=True, eq=False)
class _Heads:
    """Tokens as attention reads them, [B, heads, T, D]: those of all images, the rest, and those of each copy ahead."""

    rules: CellTokenRules
    tokens: CellTokens
    value: Value
    rest: Value | None
    ahead: Value | None  # [B, N, heads, S, D]
    sizes: tuple[Size, int, int]  # B, N, heads

    @classmethod
    def of(cls, rules: CellTokenRules, tokens: CellTokens, *, turned: bool) -> _Heads | None:
        """Tokens [..., T, D], or [..., D, T] if they are `turned`; None where the batch is not ahead of all heads."""
        xp, shape, batch = rules._trace, shape_of(tokens.value), tokens.batch
        if batch.axis != 0 or batch.outer != 1:
            return None
        heads, count = product(shape[1:-2]) * batch.inner, rules._mask.count
        if not isinstance(heads, int) or not isinstance(count, int):
            return None

        def laid(value: Value, *images: Size) -> Value:
            sizes = shape_of(value)
            split = xp.reshape(value, (*images, heads, *sizes[-2:]))
            rank = len(images) + 3
            return xp.permute_dims(split, (*range(rank - 2), rank - 1, rank - 2)) if turned else split

        rest = None if tokens.rest is None else laid(tokens.rest, 1)
        ahead = None if tokens.ahead is None else laid(tokens.ahead.value, rules._batch, count)
        return cls(rules, tokens, laid(tokens.value, rules._batch), rest, ahead, (rules._batch, count, heads))

    @cached_property
    def _keeps(self) -> np.ndarray:
        """[1, N, 1, 1, T]: whether a copy keeps a token."""
        index, (_, count, _) = np.array(self.tokens.index), self.sizes
        keeps: np.ndarray = (index == np.arange(count)[:, None]) | (index == ALL)
        return keeps[None, :, None, None, :]

    def compared(self, query: Value, questions: Rows | None, output: Value, *, of_model: bool) -> Rows | None:
        """[..., Q, T] of an `output`: each copy's queries times keys; those of `questions`, or else `query` for all copies.

        Where the keys are those `of_model`, so is their product with a query that all copies have in common.
        """
        xp, (batch, _, heads) = self.rules._trace, self.sizes
        queries = shape_of(output)[-2]
        zero = np.zeros((), output.dtype)
        swap = (0, 1, 3, 2)
        turned, rest = xp.permute_dims(self.value, swap), None if self.rest is None else xp.permute_dims(self.rest, swap)
        if questions is None:
            q = self._query(query)
            if q is None:
                return None
            product_of_all = output if of_model else xp.matmul(q, turned)
            first = xp.reshape(product_of_all, (batch, 1, heads, queries, shape_of(turned)[-1]))
            second = zero if rest is None else self._apart(xp.matmul(q, rest))
            ahead = None if self.ahead is None else xp.matmul(self._apart(q), xp.permute_dims(self.ahead, (0, 1, 2, 4, 3)))
        else:
            of_copy = self._of_copies(questions, queries)
            if of_copy is None:
                return None
            q = self._of_heads(of_copy)
            first = self._by_copy(xp.matmul(q, turned), queries)
            second = zero if rest is None else self._by_copy(xp.matmul(q, rest), queries)
            ahead = None if self.ahead is None else xp.matmul(of_copy, xp.permute_dims(self.ahead, (0, 1, 2, 4, 3)))
        logits = xp.where(self._keeps, first, second)
        if ahead is not None:
            cells = np.flatnonzero(np.array(self.tokens.index) != EACH)
            logits = xp.concat([ahead, xp.take(logits, cells, axis=4)], axis=4)
        return self._rows(logits, output)

    def attended(self, weights: Rows, output: Value) -> Rows | None:
        """[..., Q, D] of an `output`: the sum of what each copy attends to, by its attention `weights` [..., Q, T]."""
        xp, index, queries = self.rules._trace, np.array(self.tokens.index), shape_of(output)[-2]
        apart = self._of_copies(weights, queries)
        if apart is None:
            return None
        zero = np.zeros((), output.dtype)
        cells = self._of_heads(xp.where(self._keeps, apart, zero))
        total = xp.matmul(cells, self.value)
        if self.rest is not None:
            elsewhere = self._of_heads(xp.where(self._keeps | (index == EACH), zero, apart))
            if shape_of(self.rest)[2] == 1:
                total = xp.add(total, xp.multiply(xp.sum(elsewhere, axis=3, keepdims=True), self.rest))
            else:
                total = xp.add(total, xp.matmul(elsewhere, self.rest))
        by_copy = self._by_copy(total, queries)
        if self.ahead is not None:
            ahead = xp.take(apart, np.flatnonzero(index == EACH), axis=4)
            by_copy = xp.add(by_copy, xp.matmul(ahead, self.ahead))
        return self._rows(by_copy, output)

    # -- layouts

    def _query(self, query: Value) -> Value | None:
        """[B or 1, heads, Q, D], of a query that all copies have in common; None where it has another batch or other heads."""
        shape, (batch, _, heads) = shape_of(query), self.sizes
        items = product(shape[:-2])
        images: Size | None = batch if items == batch * heads else 1 if items == heads else None
        return None if images is None else self.rules._trace.reshape(query, (images, heads, *shape[-2:]))

    def _apart(self, value: Value) -> Value:
        """[B or 1, 1, heads, ...]"""
        shape = shape_of(value)
        return self.rules._trace.reshape(value, (shape[0], 1, *shape[1:]))

    def _of_copies(self, rows: Rows, queries: Size) -> Value | None:
        """[B, N, heads, Q, D] of rows; None where they lie along another axis than the keys."""
        xp, value, axis, (batch, count, heads) = self.rules._trace, rows.value, rows.span.axis, self.sizes
        if rows.span != self.tokens.batch:
            if batch != 1 or not rows.span.pure:
                return None
            # an axis of a single image is where a reshape has put it: what it has of a copy is in order without it
            value = xp.permute_dims(value, (axis, *(a for a in range(len(shape_of(value))) if a != axis)))
        return xp.reshape(value, (batch, count, heads, queries, shape_of(value)[-1]))

    def _of_heads(self, value: Value) -> Value:
        """[B, heads, N * Q, D] of [B, N, heads, Q, D]."""
        xp, (batch, count, heads, queries, depth) = self.rules._trace, shape_of(value)
        return xp.reshape(xp.permute_dims(value, (0, 2, 1, 3, 4)), (batch, heads, count * queries, depth))

    def _by_copy(self, value: Value, queries: Size) -> Value:
        """[B, N, heads, Q, D] of [B, heads, N * Q, D]."""
        xp, (batch, count, heads) = self.rules._trace, self.sizes
        apart = xp.reshape(value, (batch, heads, count, queries, shape_of(value)[-1]))
        return xp.permute_dims(apart, (0, 2, 1, 3, 4))

    def _rows(self, value: Value, output: Value) -> Rows:
        """[B, N, heads, Q, ...] as the rows of an output of the model."""
        (batch, count, _), span = self.sizes, self.tokens.batch
        sizes = span.resized(shape_of(output), batch * count)
        return Rows(self.rules._trace.reshape(value, sizes), span)
