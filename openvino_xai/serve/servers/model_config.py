"""Triton's `ModelConfig`, as far as it is written here, as messages of protobuf: what a name holds cannot leave its field.

Names and numbers are those of Triton's model_config.proto. Its client package ships the whole of it, but with gRPC, and for
an older protobuf than onnx takes. Every field is optional here, so that what is set is printed, zeros too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

SCALARS = {
    "string": Field.TYPE_STRING,
    "int32": Field.TYPE_INT32,
    "int64": Field.TYPE_INT64,
    "uint64": Field.TYPE_UINT64,
    "bool": Field.TYPE_BOOL,
}
ENUMS = {
    "DataType": {
        "TYPE_BOOL": 1, "TYPE_UINT8": 2, "TYPE_UINT16": 3, "TYPE_UINT32": 4, "TYPE_UINT64": 5, "TYPE_INT8": 6, "TYPE_INT16": 7,
        "TYPE_INT32": 8, "TYPE_INT64": 9, "TYPE_FP16": 10, "TYPE_FP32": 11, "TYPE_FP64": 12, "TYPE_STRING": 13,
    },
    "Kind": {"KIND_CPU": 2},
}  # fmt: skip
MESSAGES = {  # a star: repeated; a map is a list of keys with their values
    "Reshape": {"shape": (1, "int64*")},
    "Input": {
        "name": (1, "string"),
        "data_type": (2, "DataType"),
        "dims": (4, "int64*"),
        "reshape": (5, "Reshape"),
        "optional": (8, "bool"),
    },
    "Output": {"name": (1, "string"), "data_type": (2, "DataType"), "dims": (3, "int64*"), "reshape": (5, "Reshape")},
    "InstanceGroup": {"count": (2, "int32"), "kind": (4, "Kind")},
    "DynamicBatching": {"max_queue_delay_microseconds": (2, "uint64")},
    "Value": {"string_value": (1, "string")},
    "Parameter": {"key": (1, "string"), "value": (2, "Value")},
    "Pair": {"key": (1, "string"), "value": (2, "string")},
    "Step": {
        "model_name": (1, "string"),
        "model_version": (2, "int64"),
        "input_map": (3, "Pair*"),
        "output_map": (4, "Pair*"),
    },
    "EnsembleScheduling": {"step": (1, "Step*")},
    "ModelConfig": {
        "name": (1, "string"),
        "platform": (2, "string"),
        "backend": (17, "string"),
        "max_batch_size": (4, "int32"),
        "input": (5, "Input*"),
        "output": (6, "Output*"),
        "instance_group": (7, "InstanceGroup*"),
        "dynamic_batching": (11, "DynamicBatching"),
        "parameters": (14, "Parameter*"),
        "ensemble_scheduling": (15, "EnsembleScheduling"),
    },
}


def printed(**fields: Any) -> str:
    """A `ModelConfig` in protobuf's text format, as `config.pbtxt` holds it."""
    return str(text_format.MessageToString(model_config()(**fields), as_utf8=True))


@cache
def model_config() -> Any:
    """The class of messages."""
    file = descriptor_pb2.FileDescriptorProto(name="ovxai/model_config.proto", package="ovxai")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for word, number in values.items():
            enum.value.add(name=word, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for word, (number, kind) in fields.items():
            label = Field.LABEL_REPEATED if kind.endswith("*") else Field.LABEL_OPTIONAL
            field = message.field.add(name=word, number=number, label=label)
            kind = kind.removesuffix("*")
            field.type = SCALARS.get(kind, Field.TYPE_ENUM if kind in ENUMS else Field.TYPE_MESSAGE)
            if kind not in SCALARS:
                field.type_name = f".ovxai.{kind}"
    pool = descriptor_pool.DescriptorPool()  # of its own: Triton's client may be imported, too
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("ovxai.ModelConfig"))
