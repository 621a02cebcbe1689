"""Where an ONNX file says that its weights are."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError

from openvino_xai.dialects.onnx.tensors import every_tensor
from openvino_xai.files.reading import read_regular


def locations(path: Path) -> list[str]:
    """The files in the model's folder, or below, that any tensor's data is in, in order; none of what is no ONNX file.

    Places outside the folder are left out: a model with such is not read. Raises InputError.
    """
    try:
        proto = onnx.ModelProto.FromString(read_regular(path))
    except DecodeError:
        return []
    tensors = [tensor for tensor in every_tensor(proto) if isinstance(tensor, onnx.TensorProto)]
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return sorted(
        place for place in places if place and not PurePosixPath(place).is_absolute() and ".." not in Path(place).parts
    )
