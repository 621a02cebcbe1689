"""Where the channels of an image are: told by its sizes, by the first weights, by the file, or by whoever opens it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from command import ovxai
from tiny import DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, ModelError
from openvino_xai.locate.image import find_image
from openvino_xai.locate.tasks.opening import opened

HEAD = " f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) logits = MatMul(v, w)"
CONV = "t = Transpose<perm=[0,3,1,2]>(image) c = Conv<pads=[1,1,1,1]>(t, k)" + HEAD
# channels are put through a softmax before any weights meet them, so that nothing tells where they are
UNTOLD = (
    "t = Transpose<perm=[0,3,1,2]>(image) s = Softmax<axis=1>(t) m = GlobalMaxPool(s) d = Sub(s, m)"
    " c = Conv<pads=[1,1,1,1]>(d, k)" + HEAD
)


def square(body: str = UNTOLD, size: int = 6) -> onnx.ModelProto:
    return tiny(body, image=(size, size, size), k=(4, size, 3, 3), w=(4, 5))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_weights_tell_what_sizes_leave_open(dialect: str) -> None:
    model = tiny(CONV, image=(4, 4, 3), batch=1, k=(4, 3, 3, 3), w=(4, 5))
    assert find_image(open_model(in_dialect(model, dialect)).graph)[1].cells == (1, 2)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_layout_that_nothing_tells_is_asked_for(dialect: str) -> None:
    model = in_dialect(square(), dialect)
    with pytest.raises(ModelError, match="0 inputs that can be an image.* say its layout, NCHW or NHWC") as error:
        xai.layers(model)
    assert error.value.options == ("layout",)
    deployed = opened(model, "NHWC")
    assert find_image(deployed.graph)[1].cells == (1, 2)
    assert not open_model(model).info("model_info")  # the caller's stays as it is


@pytest.mark.parametrize("layout", ["NCHW", "nchw"])
@pytest.mark.parametrize(
    "model", [square(CONV), tiny(CONV, image=(6, 8, 3), k=(4, 3, 3, 3), w=(4, 5))], ids=["weights", "sizes"]
)
def test_a_layout_that_the_model_contradicts_is_refused(model: onnx.ModelProto, layout: str) -> None:
    with pytest.raises(ModelError, match="layout is NCHW, and input 'image' .* has its channels on axis 3"):
        opened(model, layout)


@pytest.mark.parametrize("layout", ["HWC", "NHWC\n", "channels last"])
def test_what_is_no_layout_is_refused(layout: str) -> None:
    with pytest.raises(InputError, match="layout .* is not known: one of NCHW, NHWC is expected"):
        xai.insert(square(), layout=layout)


def test_a_file_that_tells_a_layout_which_its_weights_contradict_is_read_by_these() -> None:
    model = square(CONV)
    onnx.helper.set_model_props(model, {"model_info layout": "NCHW"})
    assert find_image(open_model(model).graph)[1].cells == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hooked_file_keeps_the_layout(dialect: str, tmp_path: Path) -> None:
    model = square()
    hooked = xai.insert(in_dialect(model, dialect), layout="NHWC")
    network = xai.load(hooked.save(tmp_path / ("model.onnx" if dialect == "onnx" else "model.xml")))
    assert network.preprocessing.layout == "NHWC"
    outputs = network(images(model, 2))
    assert outputs["saliency_map"].shape == (2, 5, 6, 6)


def test_commands_take_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(square(), path)
    assert "--layout" in ovxai("layers", path, status=2).stderr
    assert "\nf  " in ovxai("layers", path, "--layout", "NHWC").stdout
    ovxai("insert", path, "--layout", "NHWC", "--no-verify")
    assert "NHWC" in ovxai("info", tmp_path / "model_xai.onnx").stdout
