"""Whether an ONNX file is what it says: asked once, when it is read, so that all that follows may believe it."""

from __future__ import annotations

import onnx_ir as ir

from openvino_xai.errors import ModelError

DEEPEST = 24  # graphs in nodes in graphs: no exporter needs as many


def refuse_malformed(native: ir.Model, source: str) -> None:
    """Raise ModelError for a graph with cycles, or values that nothing makes, and for weights that are not what they say."""
    try:
        native.graph.sort()
    except ValueError as error:
        raise ModelError(f"{source} is malformed: its nodes read each other in a circle ({error})") from error
    _check(native.graph, set(), source, 0)


def _check(graph: ir.Graph, outer: set[ir.Value], source: str, depth: int) -> None:
    if depth > DEEPEST:
        raise ModelError(f"{source} is malformed: its graphs are nested more than {DEEPEST} deep")
    known = outer | set(graph.inputs) | set(graph.initializers.values())
    for value in graph.initializers.values():
        _check_weights(value, source)
    for node in graph:
        if not node.outputs:
            raise ModelError(f"{source} is malformed: node '{node.name}' ({node.op_type}) makes nothing", node=node.name)
        for read in node.inputs:
            if read is not None and read not in known:
                raise ModelError(
                    f"{source} is malformed: node '{node.name}' ({node.op_type}) reads '{read.name}', which nothing makes",
                    node=node.name,
                )
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                _check(attribute.as_graph(), known, source, depth + 1)
        known.update(node.outputs)
    for value in graph.outputs:
        if value not in known:
            raise ModelError(f"{source} is malformed: nothing makes its output '{value.name}'", node=value.name)


def _check_weights(value: ir.Value, source: str) -> None:
    tensor = value.const_value
    if tensor is None:
        raise ModelError(f"{source} is malformed: '{value.name}' is a constant without content", node=value.name)
    try:
        tensor.numpy()
    except (ValueError, TypeError, OverflowError, KeyError, NotImplementedError) as error:
        raise ModelError(
            f"{source} is malformed: the content of '{value.name}' does not fit its shape and type: {error}"
        ) from error
