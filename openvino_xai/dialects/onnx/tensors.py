"""Every tensor of an ONNX message, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import Message


def every_tensor(message: Message) -> Iterator[onnx.TensorProto | onnx.SparseTensorProto]:
    """Every tensor: in graphs, nodes, branches, functions and training; of a sparse one, itself and then its two parts."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    if isinstance(message, onnx.SparseTensorProto):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from every_tensor(inner)
