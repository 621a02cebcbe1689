"""Operations of OpenVINO of which several versions exist, or whose attributes change what they mean: one row a form.

Each version that an opset has is in a row, built as a file of that opset holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino.utils.node_factory import NodeFactory
from tails import SHAPE

NEWEST = 16
Operand = np.ndarray | Callable[[ov.Output], Any]  # a constant, or what is computed of the image
NONE = np.zeros(0, np.int64)
FIRST = np.full((2, 1, 4), 0.2, np.float32)  # states


def image(x: ov.Output) -> ov.Output:
    return x


@dataclass(frozen=True)
class Form:
    """A node of an operation, as opset `version` has it; one that is not `read` has the kind "" and is refused by name."""

    version: int
    op: str
    operands: Sequence[Operand]
    attributes: dict[str, Any]
    read: bool = True

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in self.attributes.items()]
        shapes = ["x" if callable(item) else str(list(np.shape(item))) for item in self.operands]
        return f"{self.op}-{self.version}({', '.join([*shapes, *words])})"

    def model(self, *, batch: int = 2) -> ov.Model:
        """A model that returns what the node does to an image."""
        x = opset.parameter([batch, *SHAPE], np.float32, "image")
        x.output(0).get_tensor().set_names({"image"})
        operands = [as_port(item(x.output(0)) if callable(item) else opset.constant(item)) for item in self.operands]
        node = NodeFactory(f"opset{self.version}").create(self.op, operands, self.attributes)
        assert node.get_type_info().version_id == f"opset{self.version}"
        node.set_friendly_name("form")
        return ov.Model(node.outputs(), [x])


def as_port(item: Any) -> ov.Output:
    return item if isinstance(item, ov.Output) else item.output(0)


def ints(*numbers: int, dtype: type = np.int64) -> np.ndarray:
    return np.array(numbers, dtype)


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def forms(version: int, op: str, *operands: Operand, read: bool = True, **attributes: Any) -> Form:
    return Form(version, op, operands, attributes, read)


def flat(x: ov.Output) -> ov.Node:
    """[2, 4, 1, 48]"""
    return opset.reshape(x, np.array([2, 4, 1, 48]), False)


def steps(x: ov.Output) -> ov.Node:
    """[2, 4, 48]: sequences of four steps."""
    return opset.reshape(x, np.array([2, 4, 48]), False)


def weights(height: int) -> list[np.ndarray]:
    """Of a recurrent layer of one direction, with four numbers handed on."""
    return [
        np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)
        for shape in ((1, height, 48), (1, height, 4), (1, height))
    ]


def shape(x: ov.Output) -> ov.Node:
    return opset.shape_of(x)


def boxes(x: ov.Output) -> ov.Node:
    return opset.reshape(x, np.array([2, 48, 4]), False)


def scores(x: ov.Output) -> ov.Node:
    return opset.reshape(opset.reduce_mean(x, np.array([1]), keep_dims=False), np.array([2, 1, 48]), False)


def offsets(x: ov.Output) -> ov.Node:
    return opset.reshape(x, np.array([2, 192]), False)


def both(x: ov.Output) -> ov.Node:
    return opset.reshape(opset.concat([scores(x), scores(x)], 2), np.array([2, 96]), False)


CHANNELS = np.random.default_rng(0).uniform(0.5, 2, (4, 4)).astype(np.float32)
PRIORS = np.full((1, 2, 192), 0.1, np.float32)
AVERAGE = {"kernel": [3, 2], "strides": [2, 1], "pads_begin": [1, 0], "pads_end": [0, 1]}
LARGEST = AVERAGE | {"auto_pad": "explicit"}
BY_SIZES = {
    "shape_calculation_mode": "sizes",
    "pads_begin": [0] * 4,
    "pads_end": [0] * 4,
    "antialias": False,
    "cube_coeff": -0.75,
}
BY_SCALES = BY_SIZES | {"shape_calculation_mode": "scales"}
HALF = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
COUNTS = (np.array(5), number(0.5), number(0.1))
MASKS = {"begin_mask": [], "end_mask": [], "new_axis_mask": [], "shrink_axis_mask": [], "ellipsis_mask": []}
CLASSES = {
    "num_classes": 2, "keep_top_k": [5], "nms_threshold": 0.5, "normalized": True, "background_label_id": 0, "top_k": -1,
    "variance_encoded_in_target": False, "code_type": "caffe.PriorBoxParameter.CORNER", "share_location": True,
    "confidence_threshold": 0.0, "clip_after_nms": False, "clip_before_nms": False, "decrease_label_id": False,
    "input_height": 1, "input_width": 1, "objectness_score": 0.0,
}  # fmt: skip
SUPPRESSED = {
    "sort_result_type": "none", "sort_result_across_batch": False, "output_type": "i64", "keep_top_k": 5, "nms_top_k": -1,
    "score_threshold": 0.0, "background_class": -1, "normalized": True,
}  # fmt: skip
BY_CLASS = SUPPRESSED | {"iou_threshold": 0.5, "nms_eta": 1.0}

FORMS: list[Form] = [
    forms(1, "AvgPool", image, **AVERAGE, **{"exclude-pad": True, "rounding_type": "floor"}),
    forms(1, "AvgPool", image, **AVERAGE, **{"exclude-pad": False, "rounding_type": "ceil"}),
    forms(14, "AvgPool", image, **AVERAGE, **{"exclude-pad": True, "rounding_type": "ceil"}),
    forms(14, "AvgPool", image, **AVERAGE, **{"exclude-pad": False, "rounding_type": "ceil_torch"}),
    forms(16, "AvgPool", image, **AVERAGE, **{"exclude-pad": True, "rounding_type": "ceil_torch", "dilations": [1, 1]}),
    forms(16, "AvgPool", image, **AVERAGE, **{"exclude-pad": False, "rounding_type": "floor", "dilations": [2, 3]}),
    forms(1, "BatchNormInference", CHANNELS[0], CHANNELS[1], image, CHANNELS[2], CHANNELS[3], epsilon=0.1),
    forms(5, "BatchNormInference", image, *CHANNELS, epsilon=0.1),
    forms(1, "Broadcast", flat, ints(2, 4, 5, 48), mode="numpy"),
    forms(1, "Broadcast", scores, ints(1, 2, 1, 48), ints(1, 2, 3), mode="explicit"),
    forms(1, "Broadcast", scores, ints(2, 3, 1, 5, 48), ints(0, 2, 4), mode="explicit", read=False),
    forms(3, "Broadcast", flat, ints(4, 5, 48), mode="bidirectional"),
    forms(3, "Broadcast", flat, ints(3, 1, 1, 5, 1), mode="bidirectional"),
    forms(3, "Broadcast", scores, ints(2, 1, 3, 48), ints(0, 1, 3), mode="explicit", read=False),
    forms(1, "DetectionOutput", offsets, both, PRIORS, **CLASSES),
    forms(8, "DetectionOutput", offsets, both, PRIORS, **{k: v for k, v in CLASSES.items() if k != "num_classes"}),
    forms(1, "Gather", image, ints(2, 0), ints(1)),
    forms(1, "Gather", image, np.array([[5, 0], [1, 2]]), ints(-2)),
    forms(7, "Gather", image, ints(2, 0), np.array(1), batch_dims=0),
    forms(7, "Gather", image, np.array([[1, 0], [3, 2]]), np.array(1), batch_dims=1, read=False),
    forms(8, "Gather", image, ints(-1, 0), np.array(3), batch_dims=0),
    forms(8, "Gather", image, np.array(-1), np.array(1), batch_dims=0),
    forms(8, "Gather", image, np.array([[1, 0], [3, 2]]), np.array(1), batch_dims=-1, read=False),
    forms(5, "GatherND", image, np.array([[[0, 1], [3, 5]]] * 2), batch_dims=1),
    forms(5, "GatherND", image, np.zeros((2, 4, 3, 1), np.int64), batch_dims=2),
    forms(8, "GatherND", image, np.zeros((2, 4, 3, 1), np.int64), batch_dims=2),
    forms(2, "Gelu", image),
    forms(7, "Gelu", image, approximation_mode="erf"),
    forms(7, "Gelu", image, approximation_mode="tanh"),
    forms(
        1,
        "Interpolate",
        image,
        ints(12, 16),
        axes=[2, 3],
        mode="nearest",
        align_corners=False,
        antialias=False,
        pads_begin=[0],
        pads_end=[0],
    ),
    forms(
        1,
        "Interpolate",
        image,
        ints(3, 11),
        axes=[2, 3],
        mode="nearest",
        align_corners=False,
        antialias=False,
        pads_begin=[0],
        pads_end=[0],
    ),
    forms(
        1,
        "Interpolate",
        image,
        ints(9, 5),
        axes=[2, 3],
        mode="linear",
        align_corners=True,
        antialias=False,
        pads_begin=[0],
        pads_end=[0],
    ),
    forms(
        1,
        "Interpolate",
        image,
        ints(9, 5),
        axes=[2, 3],
        mode="linear",
        align_corners=False,
        antialias=False,
        pads_begin=[0],
        pads_end=[0],
    ),
    forms(
        1,
        "Interpolate",
        image,
        ints(9, 5),
        axes=[2, 3],
        mode="linear",
        align_corners=False,
        antialias=False,
        pads_begin=[0, 0, 1, 1],
        pads_end=[0] * 4,
        read=False,
    ),
    forms(
        4, "Interpolate", image, ints(12, 7), np.array([2.0, 0.875], np.float32), ints(2, 3), mode="nearest", **BY_SIZES, **HALF
    ),
    forms(
        4,
        "Interpolate",
        image,
        ints(12, 7),
        np.array([2.0, 0.875], np.float32),
        ints(3, 2),
        mode="linear_onnx",
        **BY_SCALES,
        **HALF,
    ),
    forms(
        4,
        "Interpolate",
        image,
        ints(2, 4, 12, 7),
        np.array([1, 1, 2.0, 0.875], np.float32),
        mode="linear",
        **BY_SCALES,
        **HALF | {"coordinate_transformation_mode": "align_corners"},
    ),
    forms(
        4,
        "Interpolate",
        image,
        ints(12, 7),
        np.array([2.0, 0.875], np.float32),
        ints(2, 3),
        mode="linear",
        **BY_SIZES | {"pads_begin": [0, 0, 0, 1]},
        **HALF,
        read=False,
    ),
    forms(
        11,
        "Interpolate",
        image,
        ints(12, 7),
        ints(2, 3),
        mode="nearest",
        **BY_SIZES,
        **HALF | {"nearest_mode": "ceil", "coordinate_transformation_mode": "asymmetric"},
    ),
    forms(11, "Interpolate", image, np.array([2.0, 0.875], np.float32), ints(3, 2), mode="linear_onnx", **BY_SCALES, **HALF),
    forms(1, "MaxPool", image, **LARGEST, rounding_type="floor"),
    forms(1, "MaxPool", image, **LARGEST, rounding_type="ceil"),
    forms(8, "MaxPool", image, **LARGEST, rounding_type="ceil", dilations=[1, 2], index_element_type="i32", axis=2),
    forms(14, "MaxPool", image, **LARGEST, rounding_type="ceil_torch", dilations=[2, 1], index_element_type="i64", axis=0),
    forms(8, "MulticlassNms", boxes, scores, **BY_CLASS),
    forms(9, "MulticlassNms", boxes, scores, **BY_CLASS),
    forms(2, "MVN", image, across_channels=False, normalize_variance=True, eps=0.5),
    forms(2, "MVN", image, across_channels=True, normalize_variance=False, eps=0.5),
    forms(2, "MVN", image, across_channels=True, normalize_variance=True, eps=0.5),
    forms(6, "MVN", image, ints(-1), normalize_variance=True, eps=0.5, eps_mode="inside_sqrt"),
    forms(6, "MVN", image, ints(1, 3), normalize_variance=False, eps=0.5, eps_mode="outside_sqrt"),
    forms(1, "NonMaxSuppression", boxes, scores, *COUNTS, box_encoding="corner", sort_result_descending=True),
    forms(
        3, "NonMaxSuppression", boxes, scores, *COUNTS, box_encoding="center", sort_result_descending=True, output_type="i64"
    ),
    forms(
        4, "NonMaxSuppression", boxes, scores, *COUNTS, box_encoding="center", sort_result_descending=True, output_type="i64"
    ),
    forms(
        5, "NonMaxSuppression", boxes, scores, *COUNTS, box_encoding="corner", sort_result_descending=True, output_type="i32"
    ),
    forms(
        9, "NonMaxSuppression", boxes, scores, *COUNTS, box_encoding="corner", sort_result_descending=True, output_type="i32"
    ),
    forms(1, "Pad", image, ints(0, 0, 1, 2), ints(0, 0, 3, 0), pad_mode="constant"),
    forms(1, "Pad", image, ints(0, 0, 1, 2), ints(0, 0, 3, 0), number(1.5), pad_mode="constant"),
    forms(1, "Pad", image, ints(0, 0, 1, 2), ints(0, 0, 3, 0), pad_mode="symmetric"),
    forms(12, "Pad", image, ints(0, 0, 1, -2), ints(0, -1, 3, 0), number(1.5), pad_mode="constant"),
    forms(12, "Pad", image, ints(0, 0, 1, 2), ints(0, 0, 3, 0), pad_mode="reflect"),
    forms(1, "Range", np.array(0), np.array(5), np.array(2)),
    forms(4, "Range", number(0), number(5), number(2), output_type="f32"),
    forms(4, "ScatterNDUpdate", image, np.array([[0, 1], [1, 3]]), np.ones((2, 6, 8), np.float32)),
    forms(15, "ScatterNDUpdate", image, np.array([[0, 1], [1, 3]]), np.ones((2, 6, 8), np.float32), reduction="none"),
    forms(
        15, "ScatterNDUpdate", image, np.array([[0, 1], [1, 3]]), np.ones((2, 6, 8), np.float32), reduction="sum", read=False
    ),
    forms(1, "ShapeOf", image),
    forms(3, "ShapeOf", image, output_type="i32"),
    forms(1, "Softmax", image, axis=1),
    forms(8, "Softmax", image, axis=-1),
    forms(1, "Squeeze", flat, ints(2)),
    forms(1, "Squeeze", flat),
    forms(1, "Squeeze", flat, NONE),
    forms(15, "Squeeze", flat, ints(-2), allow_axis_skip=False),
    forms(15, "Squeeze", flat, NONE, allow_axis_skip=False),
    forms(15, "Squeeze", flat, ints(1, 2), allow_axis_skip=True),
    forms(1, "TopK", image, np.array(3), axis=3, mode="max", sort="value"),
    forms(1, "TopK", image, np.array(3), axis=3, mode="min", sort="value", read=False),
    forms(3, "TopK", image, np.array(1), axis=-3, mode="max", sort="none", index_element_type="i64"),
    forms(3, "TopK", image, np.array(3), axis=1, mode="max", sort="index", index_element_type="i32"),
    forms(11, "TopK", image, np.array(3), axis=1, mode="max", sort="value", index_element_type="i32", stable=True),
    forms(11, "TopK", image, np.array(3), axis=1, mode="min", sort="value", index_element_type="i32", stable=True, read=False),
    # of one version, and of several meanings
    *(
        forms(
            5,
            op,
            *(steps, *[FIRST] * states, ints(4, 4), *weights(4 * gates)),
            hidden_size=4,
            direction=direction,
            activations=functions.split(),
        )
        for op, gates, states, functions in (
            ("LSTMSequence", 4, 2, "sigmoid tanh tanh"),
            ("GRUSequence", 3, 1, "sigmoid tanh"),
            ("RNNSequence", 1, 1, "tanh"),
        )
        for direction in ("forward", "reverse")
    ),
    forms(3, "CumSum", image, np.array(-1), exclusive=False, reverse=False),
    forms(3, "CumSum", image, np.array(1), exclusive=True, reverse=True),
    forms(8, "AdaptiveMaxPool", image, ints(3, 4), index_element_type="i32"),
    forms(8, "AdaptiveMaxPool", image, ints(1, 1), index_element_type="i32"),
    forms(8, "AdaptiveMaxPool", image, ints(4, 4), index_element_type="i32", read=False),
    forms(1, "FloorMod", image, number(0.7), auto_broadcast="numpy"),
    forms(1, "GRN", image, bias=0.5),
    forms(1, "Mod", image, number(0.7), auto_broadcast="numpy"),
    forms(1, "PRelu", image, CHANNELS[0]),
    forms(1, "PRelu", image, CHANNELS[:, 0].reshape(4, 1, 1)),
    forms(1, "ReduceMean", image, ints(1, -1), keep_dims=False),
    forms(1, "ReduceMean", image, np.array(3), keep_dims=True),
    forms(1, "Reshape", image, ints(0, -1, 8), special_zero=True),
    forms(1, "Reshape", image, ints(0, 0, 48), special_zero=True),
    forms(1, "Reshape", image, ints(2, 24, 8), special_zero=False),
    forms(
        1, "StridedSlice", image, ints(0, 1, -1), ints(0, 3, -9), ints(1, 1, -2), **MASKS | {"begin_mask": [1], "end_mask": [1]}
    ),
    forms(
        1,
        "StridedSlice",
        image,
        ints(0, 0, 0, 0),
        ints(0, 0, 0, 0),
        ints(1, 1, 1, -1),
        **MASKS | {"begin_mask": [1] * 4, "end_mask": [1] * 4},
    ),
    forms(1, "StridedSlice", image, ints(0, 3), ints(0, 0), ints(1, -2), **MASKS | {"begin_mask": [1, 0], "end_mask": [1, 1]}),
    forms(1, "StridedSlice", image, ints(0, 1), ints(0, 2), **MASKS | {"begin_mask": [1], "end_mask": [1]}),
    forms(
        1,
        "StridedSlice",
        image,
        ints(0, 1),
        ints(0, 2),
        ints(1, 1),
        **MASKS | {"begin_mask": [1, 0], "end_mask": [1, 0], "shrink_axis_mask": [0, 1]},
    ),
    forms(
        1,
        "StridedSlice",
        image,
        ints(0, 0),
        ints(0, 0),
        ints(1, 1),
        **MASKS | {"begin_mask": [1, 0], "end_mask": [1, 0], "new_axis_mask": [0, 1]},
    ),
    forms(
        1,
        "StridedSlice",
        image,
        ints(0, 2),
        ints(0, 5),
        ints(1, 1),
        **MASKS | {"begin_mask": [0, 0], "end_mask": [0, 0], "ellipsis_mask": [1, 0]},
    ),
    forms(1, "Tile", image, ints(3, 2)),
    forms(1, "Transpose", image, NONE),
    forms(1, "Transpose", image, ints(0, 3, 1, 2)),
    forms(1, "Unsqueeze", image, ints(-1, 1)),
]
