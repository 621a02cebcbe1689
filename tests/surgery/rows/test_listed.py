"""Detectors that make a list of their rows by themselves: what is explained stands on it, at the index that is told."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest
from onnx import TensorProto, helper, numpy_helper
from openvino import opset8 as opset
from tiny import CASES, DIALECTS, LINEAR, in_dialect, tiny
from tiny_detectors import CLASSES, Net, backbone, fpn, joined_heads, two_outputs

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.locate.located import Where
from openvino_xai.surgery.task import detector_of

IMAGE = np.random.default_rng(5).normal(0, 1, (1, 3, 32, 48)).astype(np.float32)
COUNT = 4


def network() -> tuple[Net, list[str]]:
    net = Net(1)
    return net, fpn(net, backbone(net))


def column(net: Net, picks: str, index: int) -> str:
    """[N], i64: a column of what a suppression picked."""
    return net.node("Gather", picks, net.weight(np.array(index)), axis=1)


@cache
def listing(*, least: float = 0.05, sharp: float = 1.0, labels: bool = True, shift: int = 0) -> onnx.ModelProto:
    """As detectors of OTX: suppression inside, then the best first: `boxes` [1, N, 5] with scores behind, `labels` [1, N].

    Scores are of logits times `sharp`, and what is `least` or below is on no list; `labels` begin with `shift`.
    """
    net, levels = network()
    boxes, scores = joined_heads(net, levels)
    for weights in net.weights:
        if weights.dims[:1] == [CLASSES] and weights.data_type == TensorProto.FLOAT:  # of the convolutions that make scores
            weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(sharp), weights.name))
    rows = net.moved(boxes, 0, 2, 1)
    picks = net.node("NonMaxSuppression", rows, scores, net.weight([50]), net.weight(0.5), net.weight(least))
    label, row = column(net, picks, 1), column(net, picks, 2)
    where = net.node("Concat", *[net.node("Unsqueeze", value, net.weight([1])) for value in (label, row)], axis=1)
    of_image = [net.node("Squeeze", value, net.weight([0])) for value in (scores, rows)]
    best = net.node("GatherND", of_image[0], where)
    count = net.node("Shape", best)
    net.nodes.append(helper.make_node("TopK", [best, count], ["sorted", "order"], name="sort"))
    listed = net.node("Gather", of_image[1], net.node("Gather", row, "order"), axis=0)
    table = net.node("Concat", listed, net.node("Unsqueeze", "sorted", net.weight([1])), axis=1)
    net.node("Unsqueeze", table, net.weight([0]), name="boxes")
    of_list = net.node("Add", net.node("Gather", label, "order"), net.weight([shift]))
    net.node("Unsqueeze", of_list, net.weight([0]), name="labels")
    model = net.model({})
    model.graph.output.append(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, "N", 5]))
    if labels:
        model.graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [1, "N"]))
    return model


def torchvision_export() -> onnx.ModelProto:
    """As torchvision exports one: the image is taken out of its batch and put back, and lists have no batch."""
    model = onnx.ModelProto()
    model.CopyFrom(listing())
    add, node = (
        [numpy_helper.from_array(np.array(value), name) for name, value in (("first", 0), ("axis", [0]))],
        helper.make_node,
    )
    add += [numpy_helper.from_array(np.array(value), f"n{value[0]}") for value in ([4], [5], [1])]
    for reader in model.graph.node:
        reader.input[:] = ["image again" if name == "image" else name for name in reader.input]
    ahead = [
        node("Gather", ["image", "first"], ["one"], name="taken out", axis=0),
        node("Identity", ["one"], ["prepared"], name="prepare"),
        node("Unsqueeze", ["prepared", "axis"], ["image again"], name="put back"),
    ]
    behind = [
        node("Squeeze", ["boxes", "axis"], ["table"]),
        node("Slice", ["table", "axis", "n4", "n1"], ["corners"]),
        node("Slice", ["table", "n4", "n5", "n1"], ["column"]),
        node("Squeeze", ["column", "n1"], ["confidences"]),
        node("Squeeze", ["labels", "axis"], ["classes"]),
    ]
    nodes = [*ahead, *model.graph.node, *behind]
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(add)
    outputs = {"corners": ("FLOAT", ["N", 4]), "confidences": ("FLOAT", ["N"]), "classes": ("INT64", ["N"])}
    for name, (dtype, shape) in outputs.items():
        model.graph.output.append(helper.make_tensor_value_info(name, getattr(TensorProto, dtype), shape))
    return model


@cache
def running() -> Any:
    """The same detector, which returns all of its rows: a hook that explains any of them."""
    return xai.insert(two_outputs(*network()).model, targets=f"asked:{COUNT}", scale="none", verify=False).deployed.compile()


def plain(model: onnx.ModelProto) -> tuple[np.ndarray, ...]:
    return tuple(ort.InferenceSession(model.SerializeToString()).run(None, {"image": IMAGE}))


def anchors(boxes: np.ndarray) -> np.ndarray:
    """[1, D]: which of all rows the boxes are."""
    outputs = running()(
        {"image": IMAGE, "explain_index": np.zeros((1, COUNT), int), "explain_class": np.zeros((1, COUNT), int)}
    )
    return np.array([[np.abs(outputs["boxes"][0] - box).max(axis=1).argmin() for box in boxes]])


def maps_of(boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    index, label = (np.resize(ids, (1, COUNT)) for ids in (anchors(boxes), labels))
    outputs = running()({"image": IMAGE, "explain_index": index, "explain_class": label})
    return np.asarray(outputs["saliency_map"][:, : len(labels)])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("shift", [0, 1])
def test_boxes_are_the_first_on_the_models_own_list(shift: int, dialect: str) -> None:
    model = listing(shift=shift)
    hooked = xai.insert(in_dialect(model, dialect), targets=f"boxes:{COUNT}", scale="none", verify=not shift)
    outputs = hooked.deployed.compile()({"image": IMAGE})
    listed, labels = (array[0, :COUNT] for array in plain(model))
    assert outputs["saliency_index"].tolist() == [list(range(COUNT))]
    assert (outputs["saliency_class"][0] == labels - shift).all()
    np.testing.assert_allclose(outputs["saliency_score"][0], listed[:, 4], atol=1e-5)
    np.testing.assert_allclose(outputs["saliency_box"][0], listed[:, :4], atol=1e-3)
    np.testing.assert_allclose(outputs["saliency_map"], maps_of(listed[:, :4], labels - shift), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_export_has_the_same_boxes_and_maps(dialect: str) -> None:
    hooked = xai.insert(in_dialect(torchvision_export(), dialect), targets=f"boxes:{COUNT}", scale="none")
    outputs = hooked.deployed.compile()({"image": IMAGE})
    listed, labels = (array[0, :COUNT] for array in plain(listing()))
    assert outputs["saliency_index"].tolist() == [list(range(COUNT))]
    np.testing.assert_allclose(outputs["saliency_box"][0], listed[:, :4], atol=1e-3)
    np.testing.assert_allclose(outputs["saliency_map"], maps_of(listed[:, :4], labels), atol=1e-4)


@pytest.mark.slow
def test_lists_of_boxes_are_no_scores_of_four_classes() -> None:
    assert detector_of(open_model(torchvision_export()), Where()) is not None


@pytest.mark.parametrize("batch", [1, "B"])
def test_scores_beside_a_label_of_each_image_are_a_classifiers(batch: int | str) -> None:
    model = tiny(CASES["pool and linear"].body + " label = ArgMax<axis=1, keepdims=0>(logits)", batch=batch, **LINEAR)
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, [batch]))
    assert detector_of(open_model(model), Where()) is None


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_rows_are_asked_for_by_where_they_stand_on_the_list(dialect: str) -> None:
    model = listing()
    listed = plain(model)[0][0]
    compiled = xai.insert(in_dialect(model, dialect), targets=f"asked:{COUNT}", scale="none", verify=False).deployed.compile()
    index, label = np.array([[len(listed) - 1, 2, len(listed), -1]]), np.array([[0, 1, 2, 0]])
    maps = compiled({"image": IMAGE, "explain_index": index, "explain_class": label})["saliency_map"]
    np.testing.assert_allclose(maps[:, :2], maps_of(listed[index[0, :2], :4], label[0, :2]), atol=1e-4)
    assert not maps[:, 2:].any()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_rows_with_one_score_are_told_apart_by_their_boxes(dialect: str) -> None:
    model = listing(sharp=1e4)
    assert (plain(model)[0][0, :COUNT, 4] == 1).all()  # runtimes may list these in any order
    hooked = xai.insert(in_dialect(model, dialect), targets=f"boxes:{COUNT}", scale="none", verify=False)
    outputs = hooked.deployed.compile()({"image": IMAGE})
    listed, labels = outputs["boxes"][0, outputs["saliency_index"][0]], outputs["labels"][0, outputs["saliency_index"][0]]
    np.testing.assert_allclose(outputs["saliency_map"], maps_of(listed[:, :4], labels), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_empty_list_has_no_boxes(dialect: str) -> None:
    hooked = xai.insert(in_dialect(listing(least=0.999), dialect), targets=f"boxes:{COUNT}")
    outputs = hooked.deployed.compile()({"image": IMAGE})
    assert outputs["boxes"].shape == (1, 0, 5)
    assert (outputs["saliency_index"] == -1).all()
    assert (outputs["saliency_class"] == -1).all()
    assert not outputs["saliency_map"].any()
    assert not outputs["saliency_score"].any()


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["boxes:2", "asked:2"])
def test_a_list_that_does_not_tell_its_classes_is_refused(targets: str) -> None:
    with pytest.raises(ModelError, match=r"which of them is not told: no outputs hold their scores and classes \('boxes'\)"):
        xai.insert(listing(labels=False), targets=targets)


def priors_inside(classes: int, *, background: int) -> ov.Model:
    """SSD as OpenVINO has it: two convolutions over 4 x 6 cells, a prior each, and DetectionOutput's list [1, 1, 10, 7]."""
    rng = np.random.default_rng(3)
    weights = [
        opset.constant(rng.normal(0, 0.4, shape).astype(np.float32))
        for shape in ((8, 3, 8, 8), (4, 8, 1, 1), (classes, 8, 1, 1))
    ]
    image = opset.parameter([1, 3, 32, 48], np.float32, name="image")
    cells = opset.relu(opset.convolution(image, weights[0], [8, 8], [0, 0], [0, 0], [1, 1]))
    flat = []
    for head in weights[1:]:
        moved = opset.transpose(opset.convolution(cells, head, [1, 1], [0, 0], [0, 0], [1, 1]), opset.constant([0, 2, 3, 1]))
        flat.append(opset.reshape(moved, opset.constant([1, -1]), special_zero=False))
    table = opset.softmax(opset.reshape(flat[1], opset.constant([1, -1, classes]), special_zero=False), 2)
    y, x = np.indices((4, 6)).reshape(2, -1) + 0.5
    corners = np.stack([x / 6 - 0.1, y / 4 - 0.1, x / 6 + 0.1, y / 4 + 0.1], axis=1).reshape(-1)
    priors = opset.constant(np.stack([corners, np.tile([0.1, 0.1, 0.2, 0.2], 24)])[None].astype(np.float32))
    settings = {
        "background_label_id": background,
        "keep_top_k": [10],
        "top_k": 20,
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "share_location": True,
        "nms_threshold": 0.5,
        "confidence_threshold": 0.01,
        "normalized": True,
    }
    scores = opset.reshape(table, opset.constant([1, -1]), special_zero=False)
    listed = opset.detection_output(flat[0], scores, priors, settings)
    listed.output(0).set_names({"detection_out"})
    return ov.Model([listed], [image], "ssd")


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "background"), [(3, 0), (3, 2), (2, 0)])
def test_detection_output_says_which_class_is_none(classes: int, background: int) -> None:
    hooked = xai.insert(priors_inside(classes, background=background), targets="boxes:3", scale="none")
    outputs = hooked.deployed.compile()({"image": IMAGE})
    listed = outputs["detection_out"][0, 0, outputs["saliency_index"][0]]
    assert hooked.record["boxes"] == "xyxy01"
    assert background not in listed[:, 1]
    assert (listed[:, 1] == outputs["saliency_class"][0]).all()
    np.testing.assert_allclose(outputs["saliency_score"][0], listed[:, 2], atol=1e-6)
    np.testing.assert_allclose(outputs["saliency_box"][0], listed[:, 3:] * [48, 32, 48, 32], atol=1e-3)
    assert outputs["saliency_map"].any(axis=(2, 3)).all()
