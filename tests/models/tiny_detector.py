"""A detector with a hook, written as ONNX text: what it returns is known, whatever the image is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import openvino as ov

CLASSES, ROWS, CELLS = 3, 7, (4, 5)
SIDES = (32, 40)  # height and width of the input

BODY = """
    f = Relu(image)
    pooled = GlobalAveragePool(f)
    nothing = Mul(pooled, zero)
    z3 = ReduceMean<axes=[1], keepdims=0>(nothing)
    z2 = ReduceMean<axes=[2], keepdims=0>(z3)
    i2 = Cast<to=7>(z2)
    rows = Add(z3, row_scores)
"""
OF_BOXES = """
    z4 = Mul(nothing, zero)
    mean = ReduceMean<axes=[1], keepdims=1>(z4)
    saliency_map = Add(mean, maps)
    saliency_class = Add(i2, classes)
    saliency_index = Add(i2, index)
    saliency_box = Add(z3, boxes)
    saliency_score = Add(z2, scores)
"""


def maps_of(count: int) -> np.ndarray:
    """[1, count, *CELLS], f32: each with its highest cell at its own place."""
    maps = np.full((1, count, *CELLS), 0.1, np.float32)
    for d in range(count):
        maps[0, d, d % CELLS[0], d % CELLS[1]] = 1
    return maps


def detector(
    boxes: Sequence[Sequence[float]],
    classes: Sequence[int],
    scores: Sequence[float],
    *,
    index: Sequence[int] | None = None,
    batch: int | str = "B",
    info: Mapping[str, str] | None = None,
    record: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """A hooked detector that sees `boxes` (corners in pixels of its input) in any image."""
    count = len(boxes)
    text = f"""<ir_version: 8, opset_import: ["": 17]>
    seen (float[{batch},3,{SIDES[0]},{SIDES[1]}] image) => (float[{batch},{ROWS},{CLASSES}] rows,
        float[{batch},{count},{CELLS[0]},{CELLS[1]}] saliency_map, int64[{batch},{count}] saliency_class,
        int64[{batch},{count}] saliency_index, float[{batch},{count},4] saliency_box, float[{batch},{count}] saliency_score)
    {{ {BODY} {OF_BOXES} }}"""
    weights = {
        "boxes": np.array(boxes, np.float32)[None],
        "classes": np.array([classes], np.int64),
        "index": np.array([range(count) if index is None else index], np.int64),
        "scores": np.array([scores], np.float32),
        "maps": maps_of(count),
    }
    return _model(text, weights, {"targets": f"boxes:{count}", **(record or {})}, info)


def class_maps(scores: np.ndarray | None = None) -> onnx.ModelProto:
    """A detector with a map for each class; `scores` [1, ROWS, CLASSES] are what its rows say."""
    text = f"""<ir_version: 8, opset_import: ["": 17]>
    seen (float[B,3,{SIDES[0]},{SIDES[1]}] image) => (float[B,{ROWS},{CLASSES}] rows,
        float[B,{CLASSES},{CELLS[0]},{CELLS[1]}] saliency_map)
    {{ {BODY} mean = ReduceMean<axes=[1], keepdims=1>(nothing) saliency_map = Add(mean, maps) }}"""
    weights = {"maps": maps_of(CLASSES)} | ({} if scores is None else {"row_scores": scores.astype(np.float32)})
    return _model(text, weights, {"targets": "all"}, {"labels": "cat dog old_tree"})


def _model(
    text: str, weights: Mapping[str, np.ndarray], record: Mapping[str, str], info: Mapping[str, str] | None
) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    rows = np.linspace(0, 0.9, ROWS * CLASSES, dtype=np.float32).reshape(1, ROWS, CLASSES)
    for name, array in {"zero": np.float32(0), "row_scores": rows, **weights}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(model, full_check=True)
    entries = {"task": "boxes", "method": "layer_cam", "layer": "f", "scores": "rows", "image": "image"}
    entries |= {"rows": str(ROWS), "classes": str(CLASSES), **record}
    for section, values in (("ovxai", entries), ("model_info", info or {})):
        for name, value in values.items():
            model.metadata_props.add(key=f"{section} {name}", value=value)
    return model


def as_ir(model: onnx.ModelProto) -> ov.Model:
    """The same model as OpenVINO's own, which keeps what it tells of itself elsewhere."""
    read = ov.Core().read_model(model.SerializeToString())
    for entry in model.metadata_props:
        read.set_rt_info(entry.value, entry.key.split(" "))
    return read
