"""What goes in and what comes out: files and objects, precision, names and metadata."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
from tiny import CASES, CLASSES, DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.onnx import run
from openvino_xai.errors import InputError, ModelError
from openvino_xai.files.reading import read_regular
from openvino_xai.files.writing import written_whole

SAMPLES = Path(__file__).parents[2] / "samples" / "models"
IR = SAMPLES / "efficientnet_lite0.xml"
INT8 = SAMPLES / "efficientnet_lite0_int8.onnx"


@pytest.mark.slow
def test_ir_keeps_its_precision_names_and_info(tmp_path: Path) -> None:
    path = xai.insert(IR).save(tmp_path / "hooked.xml")
    grown = path.with_suffix(".bin").stat().st_size - IR.with_suffix(".bin").stat().st_size
    assert 0 <= grown < 20_000
    core = ov.Core()
    before, after = core.read_model(IR), core.read_model(path)
    assert {op.get_friendly_name() for op in before.get_ops()} <= {op.get_friendly_name() for op in after.get_ops()}
    assert after.get_rt_info(["model_info", "labels"]).value == before.get_rt_info(["model_info", "labels"]).value
    assert [port.get_names() for port in after.inputs] == [port.get_names() for port in before.inputs]
    assert [sorted(port.get_names()) for port in after.outputs] == [["logits"], ["saliency_map"]]
    assert str(after.outputs[1].get_partial_shape()) == "[?,1000,7,7]"
    assert after.get_rt_info(["ovxai", "layer"]).value == "head_relu6"


@pytest.mark.slow
def test_onnx_keeps_its_opset_metadata_and_weights(tmp_path: Path) -> None:
    path = xai.insert(INT8).save(tmp_path / "hooked.onnx")
    before, after = onnx.load(INT8), onnx.load(path)
    onnx.checker.check_model(after, full_check=True)
    assert {o.domain: o.version for o in before.opset_import} == {o.domain: o.version for o in after.opset_import}
    metadata = {item.key: item.value for item in after.metadata_props}
    assert {item.key: item.value for item in before.metadata_props}.items() <= metadata.items()
    assert metadata["ovxai method"] == "reciprocam"
    assert {t.name for t in before.graph.initializer} <= {t.name for t in after.graph.initializer}
    assert [output.name for output in after.graph.output] == ["logits", "saliency_map"]
    dims = [dim.dim_param or dim.dim_value for dim in after.graph.output[1].type.tensor_type.shape.dim]
    assert dims == ["N", 1000, 7, 7]


def test_external_data_stays_external(tmp_path: Path) -> None:
    model = CASES["pool and linear"].build("B", 17)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(4096, np.float32), "large"))
    source = tmp_path / "source.onnx"
    onnx.save(model, source, save_as_external_data=True, location="weights.bin")
    path = xai.insert(source).save(tmp_path / "hooked" / "model.onnx")
    assert sorted(item.name for item in path.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    (tmp_path / "weights.bin").unlink()
    assert xai.load(path)(np.zeros((1, 3, 6, 8), np.float32))["saliency_map"].shape == (1, 5, 6, 8)


@pytest.mark.slow
@pytest.mark.parametrize("external", [True, False], ids=["beside the model", "inside"])
def test_weights_too_large_for_a_message(external: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HANDED_OVER", 2000)
    case = CASES["mlp head"]
    model = tiny(case.body, **{**case.weights, "w1": (4, 700), "b1": (700,), "w2": (700, CLASSES)})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=external, location="m.data", size_threshold=0)
    hooked = xai.insert(tmp_path / "m.onnx", layer="f")
    hooked.save(tmp_path / "hooked.onnx")
    assert (tmp_path / "hooked.onnx.data").exists() == external
    batch = images(model, 2)
    again = onnxruntime.InferenceSession(tmp_path / "hooked.onnx").run(["saliency_map"], {"image": batch})[0]
    np.testing.assert_array_equal(again, xai.load(hooked)(batch)["saliency_map"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_callers_object_is_not_changed(dialect: str) -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), dialect)

    def contents() -> object:
        if dialect == "onnx":
            return model.SerializeToString()
        return [(str(op), [len(port.get_target_inputs()) for port in op.outputs()]) for op in model.get_ordered_ops()]

    before = contents()
    hooked = xai.insert(model).model
    assert contents() == before
    assert type(hooked) is type(model)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("missing.xml", None, InputError, "there is no file"),
        ("missing.onnx", None, InputError, "there is no file"),
        ("model.pt", b"x", InputError, "weights of PyTorch"),
        ("model.txt", b"x", InputError, r".xml \(OpenVINO IR\), .onnx, or .tflite, .pdmodel, .pb is expected"),
        ("alone.xml", b"<net/>", InputError, "no weights beside it: alone.bin is expected"),
        ("rubbish.onnx", b"\x08\x07rubbish", ModelError, "cannot read .*rubbish.onnx"),
        ("empty.onnx", b"", InputError, "empty.onnx is empty"),
    ],
)
def test_files_that_cannot_be_read(name: str, content: bytes | None, error: type, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        xai.layers(tmp_path / name)


def test_rubbish_ir(tmp_path: Path) -> None:
    (tmp_path / "rubbish.xml").write_text("<net>")
    (tmp_path / "rubbish.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot read .*rubbish.xml"):
        xai.layers(tmp_path / "rubbish.xml")


def test_the_oldest_opsets_are_refused_with_the_way_out() -> None:
    model = CASES["pool and linear"].build("B", 17)
    model.opset_import[0].version = 6
    with pytest.raises(ModelError, match=r"uses opset 6; 7 or newer is needed: export it again with opset 13 or newer"):
        xai.layers(model)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"a model is a path, an ov.Model or an onnx.ModelProto; this is dict"):
        xai.layers({})  # type: ignore[arg-type]


def test_an_existing_output_needs_force(tmp_path: Path) -> None:
    hooked = xai.insert(CASES["pool and linear"].build("B", 17))
    path = tmp_path / "there.onnx"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists; choose another output or overwrite it with force"):
        hooked.save(path)
    assert path.read_bytes() == b"precious"
    assert hooked.save(path, force=True) == path
    with pytest.raises(InputError, match=r"does not end in .onnx"):
        hooked.save(tmp_path / "other.xml")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.bin"
    with pytest.raises(RuntimeError), written_whole(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert not list(target.parent.iterdir())


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", most=5) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("pipe", "no regular file"), ("none", "No such file"), ("a\0b", "null"), (".", "no regular file")):
        with pytest.raises(InputError, match=said):
            read_regular(tmp_path / name)
    with pytest.raises(InputError, match="it has 5 bytes, and at most 4 are read"):
        read_regular(tmp_path / "file", most=4)
