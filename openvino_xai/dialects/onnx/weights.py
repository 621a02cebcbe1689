"""The tensors of an ONNX file, wherever they stand: what lies beside the file is found there, and is what the file says.

Only the initializers of the graph itself may be large: they stay in their files, mapped into memory. All other tensors (in
nodes, in branches and bodies, in functions) are put into the message, so that nobody has to look for them again.
"""

from __future__ import annotations

import math
from pathlib import Path

import ml_dtypes  # noqa: F401 - names the types that NumPy does not have
import numpy as np
import onnx
import onnx_ir as ir

from openvino_xai.dialects.onnx.tensors import every_tensor
from openvino_xai.dialects.onnx.wellformed import refuse_misread
from openvino_xai.errors import ModelError
from openvino_xai.files.external_data import open_beside

EXTERNAL = onnx.TensorProto.EXTERNAL
LARGEST_INSIDE = 2**31 - 2**20  # bytes: a message holds less than 2 GiB


class Mapped(ir.Tensor[np.ndarray]):
    """A tensor that is mapped from a file beside the model, and is written to one again."""


def native_of(proto: onnx.ModelProto, folder: Path | None, source: str) -> ir.Model:
    """The model of a message, whose data beside it is in `folder`; the message of a file may be changed.

    Raises ModelError for data that does not obey the rule, or that is not what its tensor says, and what onnx_ir raises for a
    message that is no model.
    """
    refuse_misread(proto, source)
    external_tensors = {item.name: item for item in proto.graph.initializer if item.data_location == EXTERNAL}
    beside = _Beside(folder, source)
    mapped = {name: tensor for name, item in external_tensors.items() if (tensor := beside.mapped(item)) is not None}
    for item in _dense_tensors(proto):
        if item.data_location == EXTERNAL and not (item.name in mapped and item is external_tensors[item.name]):
            beside.put_inside(item)
    native = ir.from_proto(proto)
    for name, tensor in mapped.items():
        native.graph.initializers[name].const_value = tensor
    return native


class _Beside:
    """The files with data in a model's folder, each opened once."""

    def __init__(self, folder: Path | None, source: str) -> None:
        self._folder, self._source = folder, source
        self._files: dict[str, np.ndarray] = {}
        self._inside = 0

    def mapped(self, item: onnx.TensorProto) -> Mapped | None:
        """The tensor where its bytes lie; None for types that are packed, which have no such view."""
        data, dtype = self._bytes(item), ir.DataType(item.data_type)
        if dtype.bitwidth < 8:
            return None
        return Mapped(data.view(dtype.numpy()).reshape(tuple(item.dims)), name=item.name)

    def put_inside(self, item: onnx.TensorProto) -> None:
        """Put the bytes into the message."""
        data = self._bytes(item)
        self._inside += data.size
        if self._inside > LARGEST_INSIDE:
            raise ModelError(
                f"{self._source} has more than 2 GiB of data beside it that are no initializers of the graph itself, which is "
                f"the only place for as many: '{item.name}'",
                node=item.name,
            )
        item.raw_data = data.tobytes()
        item.data_location = onnx.TensorProto.DEFAULT
        del item.external_data[:]

    def _bytes(self, item: onnx.TensorProto) -> np.ndarray:
        said = f"{self._source}: the data of '{item.name}'"
        entries = {entry.key: entry.value for entry in item.external_data}
        try:
            dtype = ir.DataType(item.data_type)
            needed = math.ceil(math.prod(item.dims) * dtype.bitwidth / 8)
            offset, length = int(entries.get("offset") or 0), int(entries.get("length") or needed)
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(f"{said} cannot be found: its type, offset or length is none ({error})", node=item.name) from error
        data = self._file(entries.get("location", ""), said)
        if min(offset, needed, *item.dims, 0) < 0 or offset + needed > data.size or length != needed:
            raise ModelError(
                f"{said} is {list(item.dims)} {dtype.name} from byte {offset}, {needed} bytes ({length} are told), and the "
                f"file has {data.size}",
                node=item.name,
            )
        return data[offset : offset + needed]

    def _file(self, location: str, said: str) -> np.ndarray:
        """The bytes of a file, mapped."""
        if self._folder is None:
            raise ModelError(
                f"{said} is in a file '{location}', and an object has no folder: give the model's path, or put the data into "
                "the object with onnx.load_external_data_for_model"
            )
        if location not in self._files:
            with open_beside(self._folder, location, said) as file:
                empty = not file.seek(0, 2)
                self._files[location] = np.zeros(0, np.uint8) if empty else np.asarray(np.memmap(file, np.uint8, "r"))
        return self._files[location]


def _dense_tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Every tensor of a model. Raises ModelError for sparse ones."""
    dense = []
    for tensor in every_tensor(proto):
        if isinstance(tensor, onnx.SparseTensorProto):
            raise ModelError(
                f"the model holds a sparse tensor, '{tensor.values.name}': dense ones are expected; write it out where it is "
                "exported",
                node=tensor.values.name,
            )
        dense.append(tensor)
    return dense
