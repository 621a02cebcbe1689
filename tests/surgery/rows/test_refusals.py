"""What nobody can mean of a detector is refused by name, and whatever its nodes are called, it is explained."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CASES as CLASSIFIERS
from tiny import DIALECTS, in_dialect
from tiny_detectors import CASES, Net, backbone, fpn, two_outputs

import openvino_xai as xai
from openvino_xai.errors import InputError, LayerError, ModelError, OvxaiError, PlanError


@cache
def detector() -> onnx.ModelProto:
    return CASES["one level"]("B").model


NOT_UNDERSTOOD = "boxes boxes: boxes:0 boxes:-1 boxes:1.5 boxes:301 boxes:999999 boxes:4,5 boxes:\u0664 asked:0 asked:301 top:5"


@pytest.mark.parametrize("targets", [*NOT_UNDERSTOOD.split(), "boxes:4\n", " boxes:4", 3, [1, 2]])
def test_targets_that_are_none_of_a_detector(targets: Any) -> None:
    with pytest.raises(InputError, match=r"boxes:D or asked:D"):
        xai.insert(detector(), targets=targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "grad_cam"}, "grad_cam is not for the rows of a detector: it weighs channels by their mean gradient"),
        ({"method": "ablation_cam"}, "'ablation_cam' is not known of a detector: one of layer_cam, hires_cam, reciprocam"),
        ({"cut": "neck"}, "cut 'neck' is not known of a detector: one of backbone, heads"),
        ({"boxes": "xyz"}, "format 'xyz' of boxes is not known: one of xyxy,"),
        ({"scale": "big"}, "scale 'big' is not known"),
        ({"plan": "direct"}, "plan is 'direct'"),
        ({"score": "softmax"}, "score is 'softmax'"),
        ({"channels": 3}, "channels is 3"),
        ({"prefix_tokens": 1}, "prefix-tokens is 1"),
    ],
)
def test_options_that_say_nothing_of_rows(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        xai.insert(detector(), targets="boxes:2", **options)


@pytest.mark.parametrize("layer", [",", "c4,", "c9", "nothing\n'x'"])
def test_layers_that_are_not_there(layer: str) -> None:
    with pytest.raises(LayerError, match="the model has no layer"):
        xai.insert(detector(), targets="boxes:2", layer=layer)


@pytest.mark.parametrize("options", [{"targets": "boxes:4"}, {"targets": "asked:4"}, {"cut": "heads"}, {"boxes": "xyxy"}])
def test_a_classifier_has_no_boxes(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="no output holds scores of rows"):
        xai.insert(CLASSIFIERS["pool and linear"].build("B", 17), **options)


def test_a_batch_that_is_fixed_has_no_gate() -> None:
    with pytest.raises(PlanError, match="where the batch is open"):
        xai.insert(CASES["one level"](1).model, targets="boxes:2", gate=True)


def renamed(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """The same model, where nodes and values are called otherwise."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        node.name = names.get(node.name, node.name)
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
    for value in (*other.graph.output, *other.graph.input):
        value.name = names.get(value.name, value.name)
    return other


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", ["a,{}", "'{}\"", "{}\n\tx", "{}, ", "\x1b[31m{}", "{}é/☂"])
def test_whatever_nodes_are_called(odd: str, dialect: str) -> None:
    """Names of layers and of scores are joined by commas, and one that holds commas is found all the same."""
    net = Net("B", image=(3, 16, 16))
    plain = two_outputs(net, fpn(net, backbone(net, (4, 6)))).model
    names = {name: odd.format(name) for name in ("c3", "t4", "scores")}
    model = in_dialect(renamed(plain, names), dialect)
    layer = f"{names['c3']},{names['t4']}"
    hooked = xai.insert(model, targets="boxes:2", layer=layer)
    assert hooked.record["layer"] == layer
    image = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    expected = xai.insert(in_dialect(plain, dialect), targets="boxes:2", verify=False).deployed.compile()({"image": image})
    np.testing.assert_allclose(hooked.deployed.compile()({"image": image})["saliency_map"], expected["saliency_map"], atol=1e-5)
    xai.load(hooked)


def _with_weights(value: float) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(detector())
    weights = next(item for item in model.graph.initializer if len(item.dims) == 4)
    weights.CopyFrom(onnx.numpy_helper.from_array(np.full(weights.dims, value, np.float32), weights.name))
    return model


def _of_no_channels() -> onnx.ModelProto:
    net = Net("B")
    level = backbone(net)[1]
    scores = net.node("Sigmoid", net.conv(level, 3))
    laid = net.moved(net.flat(scores, 3, 24), 0, 2, 1)
    net.node("Slice", laid, *(net.weight([n]) for n in (0, 0, 2)), name="scores")
    return net.model({"scores": (24, 0)})


def _of_one_cell() -> onnx.ModelProto:
    net = Net("B")
    pooled = net.node("GlobalAveragePool", backbone(net)[1])
    net.shapes[pooled] = (6, 1, 1)
    net.node("Sigmoid", net.flat(net.conv(pooled, 12), 4, 3), name="scores")
    return net.model({"scores": (4, 3)})


HOSTILE = {
    "weights that are no numbers": lambda: _with_weights(np.nan),
    "weights without an end": lambda: _with_weights(np.inf),
    "no classes": _of_no_channels,
    "rows without cells": _of_one_cell,
}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["boxes:2", "asked:2"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_detector_that_gives_nothing_is_refused(name: str, targets: str, dialect: str) -> None:
    with pytest.raises(OvxaiError):
        xai.insert(in_dialect(HOSTILE[name](), dialect), targets=targets)
