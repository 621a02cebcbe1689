"""Fused operations with standard nodes beside them, which compute the same: hooks are planned on these.

A fused operation, as ONNX's Attention, rounds otherwise than the nodes that define it. So it stays, and the model's outputs are
its own. The nodes beside it read what it reads, and lead nowhere: what a hook reads of them is computed, and the rest is left
out wherever the model is run or written. Whether they give what the operation gives, running both tells (`comparison.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx_ir as ir

from openvino_xai.dialects.onnx.fused.table import MICROSOFT, RULES, UNWRITTEN
from openvino_xai.dialects.onnx.fused.writing import Writing
from openvino_xai.dialects.onnx.naming import names_of

OPERATION = "ovxai/operation"  # of a node or constant beside a fused operation: the name of that operation's first output
STANDS_FOR = "ovxai/stands for"  # of what it makes: the name of the output that it is


def has_fused(native: ir.Model) -> bool:
    """Whether a model has operations that nodes can be put beside."""
    return any((node.domain, node.op_type) in RULES for node in native.graph)


def is_fused(node: ir.Node) -> bool:
    """Whether a node is of an operation that does what several do: one of the table, or another that an optimiser writes."""
    return (node.domain, node.op_type) in RULES or (node.domain.startswith(MICROSOFT) and node.op_type in UNWRITTEN)


def put_beside(native: ir.Model, inferred: Mapping[str, ir.Value]) -> bool:
    """Put standard nodes beside each fused operation of which a rule reads everything, and that has none yet.

    True where more may be known with what was put there: of a node with sizes that only the nodes ahead of it tell.
    """
    nodes, done = list(native.graph), {node.meta.get(OPERATION) for node in native.graph}
    lacking, written = False, False
    names = names_of(native.graph)
    for node in nodes:
        rule = RULES.get((node.domain, node.op_type))
        if rule is None or not rule.reads(node) or node.outputs[0].name in done:
            continue
        writing = Writing(native.opset_imports.get("") or 0, node, inferred, names)
        results = rule.write(writing)
        if results is None or any(_is_used(value) and index not in results for index, value in enumerate(node.outputs)):
            lacking = True
            continue
        _insert(native.graph, node, writing, results)
        written = True
    return lacking and written


def _insert(graph: ir.Graph, node: ir.Node, writing: Writing, results: Mapping[int, ir.Value]) -> None:
    for constant in writing.constants:
        constant.meta[OPERATION] = node.outputs[0].name
        graph.register_initializer(constant)
    for added in writing.nodes:
        added.meta[OPERATION] = node.outputs[0].name
    for index, result in results.items():
        if index < len(node.outputs) and node.outputs[index].name:
            output = node.outputs[index]
            result.meta[STANDS_FOR] = output.name
            result.shape, result.type = output.shape, output.type
    graph.insert_before(node, writing.nodes)


def _is_used(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def stand_ins(native: ir.Model) -> dict[ir.Value, ir.Value]:
    """What nodes beside fused operations make, and the output that each of these is; of operations that have all of theirs."""
    outputs = {str(value.name): value for node in native.graph for value in node.outputs}
    standing = [value for value in outputs.values() if STANDS_FOR in value.meta and value.meta[STANDS_FOR] in outputs]
    pairs = {value: outputs[value.meta[STANDS_FOR]] for value in standing}
    outputs_there = set(pairs.values())
    fused = {node for value in outputs_there if (node := value.producer()) is not None}
    lacking = {node for node in fused if any(_is_used(value) and value not in outputs_there for value in node.outputs)}
    return {value: output for value, output in pairs.items() if output.producer() not in lacking}


def replace(native: ir.Model) -> dict[str, ir.Value]:
    """Let all nodes read what is made beside the fused operations, and not by these: which that is, by the output's name."""
    pairs = stand_ins(native)
    for value, output in pairs.items():
        for use in list(output.uses()):
            use.node.replace_input_with(use.idx, value)
    return {str(output.name): value for value, output in pairs.items()}


def is_within(value: ir.Value) -> bool:
    """Whether no operation of the file makes a value: it is made beside one alone."""
    node = value.producer()
    return node is not None and OPERATION in node.meta


def rewire(native: ir.Model, node: ir.Node, index: int, value: ir.Value) -> None:
    """Let an operand of a node be another value, and where the node is beside an operation, that of the operation as well.

    Where that has no such operand, or reads it more than once, all nodes read what is beside operations from then on.
    """
    before, beside = node.inputs[index], node.meta.get(OPERATION)
    if beside is None or before is None:
        node.replace_input_with(index, value)
        return
    within = [use for use in before.uses() if use.node.meta.get(OPERATION) == beside]
    of_operation = [use for use in before.uses() if use.node.outputs[0].name == beside]
    if len(within) != 1 or len(of_operation) != 1:
        replace(native)
        of_operation = []
    node.replace_input_with(index, value)
    for use in of_operation:
        use.node.replace_input_with(use.idx, value)


def pruned(native: ir.Model) -> ir.Model:
    """The model without what is beside operations and is read by nothing: itself where there is none, else a clone."""
    if not any(OPERATION in node.meta for node in native.graph):
        return native
    twin = native.clone()
    _remove_unread(twin.graph)
    return twin


def take_away(native: ir.Model, operations: Collection[str]) -> None:
    """Remove what is beside operations, which are named by their first outputs."""
    for node in native.graph:
        if node.meta.get(OPERATION) in operations:
            for value in node.outputs:
                value.meta.pop(STANDS_FOR, None)
    _remove_unread(native.graph, operations)


def _remove_unread(graph: ir.Graph, operations: Collection[str] | None = None) -> None:
    for node in reversed(list(graph)):
        beside = node.meta.get(OPERATION)
        if beside is None or (operations is not None and beside not in operations):
            continue
        if not any(_is_used(value) for value in node.outputs):
            graph.remove(node, safe=True)
    for name, value in list(graph.initializers.items()):
        if OPERATION in value.meta and not _is_used(value):
            del graph.initializers[name]
