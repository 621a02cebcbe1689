"""Where an ONNX file says that its weights are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError, Message

from openvino_xai.graph.files import read_regular


def locations(path: Path) -> list[str]:
    """The files in the model's folder, or below, that any tensor's data is in, in order; none of what is no ONNX file.

    Places outside the folder are left out: a model with such is not read. Raises InputError.
    """
    try:
        proto = onnx.ModelProto.FromString(read_regular(path))
    except DecodeError:
        return []
    places = {entry.value for tensor in _tensors(proto) for entry in tensor.external_data if entry.key == "location"}
    return sorted(
        place for place in places if place and not PurePosixPath(place).is_absolute() and ".." not in Path(place).parts
    )


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Every tensor, wherever it stands: in graphs, nodes, branches and functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _tensors(inner)
