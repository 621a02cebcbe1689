"""Whether an ONNX file is what it says: asked once, when it is read, so that all that follows may believe it."""

from __future__ import annotations

from collections import Counter

import onnx
import onnx_ir as ir
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from openvino_xai.errors import ModelError

DEEPEST = 24  # graphs in nodes in graphs: no exporter needs as many


STRING, MESSAGE = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE
TYPED = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
BODIES = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
READABLE = frozenset({"value", "value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"})
_UNREADABLE = (ValueError, TypeError, OverflowError, KeyError, NotImplementedError, AssertionError)


def refuse_misread(message: Message, source: str) -> None:
    """Raise ModelError for what onnx_ir would read otherwise than a runtime does.

    Of two things with a name it takes one, and protobuf hands over a name that is no UTF-8 as bytes.
    """
    if isinstance(message, onnx.NodeProto):
        _refuse_twice(
            [item.name for item in message.attribute],
            f"{source} is malformed: attributes of {message.op_type} '{message.name}'",
        )
    if isinstance(message, onnx.GraphProto):
        for word in ("input", "output", "initializer"):
            _refuse_twice([item.name for item in getattr(message, word)], f"{source} is malformed: {word}s")
    if isinstance(message, onnx.TensorProto):  # whose content is large, and no name
        typed = any(len(getattr(message, word)) for word in TYPED)
        if not (typed or message.HasField("raw_data") or message.external_data or 0 in message.dims):
            raise ModelError(
                f"{source} is malformed: the content of '{message.name}' does not fit its shape and type: there is none",
                node=message.name,
            )
        fields = [("name", message.name), *(("external_data", entry) for entry in message.external_data)]
    else:
        fields = [(field.name, value) for field, value in message.ListFields() if field.type in (STRING, MESSAGE)]
    for name, value in fields:
        for item in [value] if isinstance(value, (str, bytes, Message)) else value:
            if isinstance(item, Message):
                refuse_misread(item, source)
            elif isinstance(item, bytes):
                raise ModelError(f"{source} is malformed: a {name} is no text in UTF-8, {item[:80]!r}")


def _refuse_twice(names: list[str], what: str) -> None:
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise ModelError(f"{what} are called '{name}' {count} times", node=name)


def refuse_unreadable_constants(native: ir.Model, source: str) -> None:
    """Raise ModelError for a Constant without a content, or with several; where functions have been written out."""
    for node in ir.traversal.RecursiveGraphIterator(native.graph):
        attributes = list(node.attributes.values())
        readable = len(attributes) == 1 and attributes[0].name in READABLE and not attributes[0].is_ref()
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and not readable:
            raise ModelError(f"{source} is malformed: Constant '{node.name}' has no content, or several", node=node.name)


def refuse_mistyped(native: ir.Model, source: str) -> None:
    """Raise ModelError for an attribute of no type, or of another than ONNX gives it; where functions have been written out."""
    for node in ir.traversal.RecursiveGraphIterator(native.graph):
        if any(attribute.type == ir.AttributeType.UNDEFINED for attribute in node.attributes.values()):
            raise ModelError(
                f"{source} is malformed: an attribute of '{node.name}' ({node.op_type}) has no type", node=node.name
            )
        domain = "" if node.domain == "ai.onnx" else node.domain
        try:
            schema = onnx.defs.get_schema(node.op_type, native.opset_imports.get(domain, 1), domain)
        except onnx.defs.SchemaError:  # somebody's own operation
            continue
        for name, attribute in node.attributes.items():
            expected = str(schema.attributes[name].type).rpartition(".")[2] if name in schema.attributes else None
            if expected not in (None, attribute.type.name):
                raise ModelError(
                    f"{source} is malformed: {name} of '{node.name}' ({node.op_type}) is of type {attribute.type.name}; "
                    f"{expected} is expected",
                    node=node.name,
                )


def refuse_malformed(native: ir.Model, source: str) -> None:
    """Raise ModelError for a graph with cycles, or values that nothing makes, and for weights that are not what they say."""
    try:
        native.graph.sort()
    except ValueError as error:
        raise ModelError(f"{source} is malformed: its nodes read each other in a circle ({error})") from error
    _check(native.graph, set(), source, 0)
    for function in native.functions.values():
        _check(function.graph, set(), f"{source}, function '{function.name}'", 0)


def _check(graph: ir.Graph, outer: set[ir.Value], source: str, depth: int) -> None:
    if depth > DEEPEST:
        raise ModelError(f"{source} is malformed: its graphs are nested more than {DEEPEST} deep")
    scope = outer | set(graph.inputs) | set(graph.initializers.values())
    for value in graph.initializers.values():
        _check_weights(value, source)
    for node in graph:
        if not node.outputs:
            raise ModelError(f"{source} is malformed: node '{node.name}' ({node.op_type}) makes nothing", node=node.name)
        for read in node.inputs:
            if read is not None and read not in scope:
                raise ModelError(
                    f"{source} is malformed: node '{node.name}' ({node.op_type}) reads '{read.name}', which nothing makes",
                    node=node.name,
                )
        _check_bodies(node, source)
        for attribute in node.attributes.values():
            if attribute.is_ref():
                continue
            for inner in _graphs(attribute):
                _check(inner, scope, source, depth + 1)
            if attribute.type == ir.AttributeType.TENSOR:
                _check_content(attribute.value, f"{attribute.name} of '{node.name}'", source)
        scope.update(node.outputs)
    for value in graph.outputs:
        if value not in scope:
            raise ModelError(f"{source} is malformed: nothing makes its output '{value.name}'", node=value.name)


def _graphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPHS:
        return list(attribute.as_graphs())
    return [attribute.as_graph()] if attribute.type == ir.AttributeType.GRAPH else []


def _check_bodies(node: ir.Node, source: str) -> None:
    for name in BODIES.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ():
        attribute = node.attributes.get(name)
        graphs = [] if attribute is None or attribute.is_ref() else _graphs(attribute)
        if len(graphs) != 1 or (node.op_type == "If" and len(graphs[0].outputs) != len(node.outputs)):
            raise ModelError(
                f"{source} is malformed: '{node.name}' ({node.op_type}) has no {name}, or one with other outputs than its own",
                node=node.name,
            )


def _check_weights(value: ir.Value, source: str) -> None:
    tensor = value.const_value
    if tensor is None:
        raise ModelError(f"{source} is malformed: '{value.name}' is a constant without content", node=value.name)
    _check_content(tensor, f"'{value.name}'", source)


def _check_content(tensor: ir.TensorProtocol, name: str, source: str) -> None:
    try:
        tensor.numpy()
    except _UNREADABLE as error:
        raise ModelError(f"{source} is malformed: the content of {name} does not fit its shape and type: {error}") from error
