"""Malformed ONNX files: each is refused with an error that says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile_models import nested
from tiny import CASES

import openvino_xai as xai
from openvino_xai.errors import ModelError, OvxaiError

CASE = CASES["residual, layer second"]


def weights(model: onnx.ModelProto, name: str = "w") -> onnx.TensorProto:
    return next(item for item in model.graph.initializer if item.name == name)


def circle(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[0] = model.graph.node[-1].output[0]


def nowhere(model: onnx.ModelProto) -> None:
    model.graph.node[2].input[0] = "nowhere"


def twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(model.graph.node[1])


def no_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer.remove(weights(model))


def cut_off(model: onnx.ModelProto) -> None:
    weights(model).raw_data = weights(model).raw_data[:-4]


def absurd(model: onnx.ModelProto) -> None:
    weights(model).dims[0] = 2**40


def unknown_type(model: onnx.ModelProto) -> None:
    weights(model).data_type = 77


def no_output(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = "other"


def makes_nothing(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Relu", ["image"], []))


def no_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 0


def future(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 2**40


def conv_of_nothing(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**31


MALFORMED: dict[Callable[[onnx.ModelProto], None], str] = {
    circle: "its nodes read each other in a circle",
    nowhere: r"node '.*' \(.*\) reads 'nowhere', which nothing makes",
    twice: "cannot read",
    no_weights: "reads 'w', which nothing makes",
    cut_off: "the content of 'w' does not fit its shape and type",
    absurd: "the content of 'w' does not fit its shape and type",
    unknown_type: "cannot read|does not fit",
    no_output: "nothing makes its output 'logits'",
    makes_nothing: r"node '.*' \(Relu\) makes nothing",
    no_opset: "uses opset 0; 7 or newer is needed",
    future: "uses opset 1099511627776, and the onnx package here knows none beyond",
    conv_of_nothing: "0 inputs that can be an image",
}


@pytest.mark.parametrize("change", MALFORMED, ids=lambda change: change.__name__)
def test_files_that_are_not_what_they_say(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    model = CASE.build("B", 17)
    change(model)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    for source in (tmp_path / "model.onnx", model):
        with pytest.raises(OvxaiError, match=MALFORMED[change]):
            xai.insert(source)


def test_graphs_in_graphs() -> None:
    assert xai.layers(nested(2)) == []  # it can be read; none of its layers has cells
    with pytest.raises(ModelError, match="its graphs are nested more than 24 deep"):
        xai.layers(nested(28))


@pytest.fixture
def beside(tmp_path: Path) -> Callable[..., Path]:
    """Writes a model that names another file for its weights; returns the path of the model."""

    def make(location: str, **fields: int) -> Path:
        model = CASE.build("B", 17)
        tensor = weights(model)
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / "weights.bin").write_bytes(tensor.raw_data)
        (tmp_path / "outside.bin").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, **fields}.items():
            tensor.external_data.add(key=key, value=str(value))
        path = tmp_path / "models" / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return make


def test_weights_beside_the_model(beside: Callable[..., Path]) -> None:
    plain, moved = xai.load(CASE.build("B", 17)), xai.load(xai.insert(beside("weights.bin")))
    batch = np.ones((1, 3, 6, 8), np.float32)
    np.testing.assert_array_equal(plain(batch)["logits"], moved(batch)["logits"])


def test_weights_that_lie_elsewhere(beside: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "models"
    beside("weights.bin")
    (folder / "link.bin").symlink_to("../outside.bin")
    os.link(tmp_path / "outside.bin", folder / "hard.bin")
    for location in ("../outside.bin", "link.bin", "hard.bin", "a/../../outside.bin", "/etc/passwd", "none.bin", "."):
        with pytest.raises(ModelError, match="no (regular )?file (of its own )?in the model's folder|there is no such file"):
            xai.insert(beside(location))
    for fields in ({"offset": 4}, {"offset": -4}, {"offset": 2**62}, {"length": 2**62}, {"length": 3}):
        with pytest.raises(ModelError, match="and the file has 80"):
            xai.insert(beside("weights.bin", **fields))


def test_an_attribute_that_holds_a_tensor_of_no_type_is_refused() -> None:
    model = CASE.build(1, 17)
    model.graph.node[0].attribute.append(onnx.AttributeProto(name="odd", type=onnx.AttributeProto.TENSOR))
    with pytest.raises(ModelError, match="the content of odd of .* does not fit its shape and type"):
        xai.layers(model)


@pytest.mark.slow
def test_names_reach_no_terminal_by_what_others_log(tmp_path: Path) -> None:
    model = CASE.build(1, 17)
    model.graph.node[2].input[0] = "nul\0inside\x1b[31m"
    onnx.save(model, tmp_path / "odd.onnx")
    code = "import sys, openvino_xai as x\ntry:\n    x.layers(sys.argv[1])\nexcept x.OvxaiError:\n    pass"
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "odd.onnx")], capture_output=True, check=True)
    assert run.stderr == run.stdout == b""
