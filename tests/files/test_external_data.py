"""Data beside a model: in files of its own, in its folder, wherever in the model the tensor stands that names them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from hostile_models import nested
from tiny import CASES, HEAD, LINEAR, STEM, tiny

import openvino_xai as xai
from openvino_xai.errors import InputError, ModelError, OvxaiError
from openvino_xai.files import external_data as beside

WHERE = ("initializer", "constant", "branch", "function")
SECRET = np.full(4, 77, np.float32).tobytes()


def model_with_data(where: str) -> tuple[onnx.ModelProto, onnx.TensorProto]:
    """A classifier, and a tensor of it, [4] f32, that stands there."""
    case = CASES["pool and linear"]
    scale = onnx.numpy_helper.from_array(np.array([1, 2, 3, 4], np.float32), "scale")
    body = STEM + "p = GlobalAveragePool(f) v0 = Flatten(p) v = Mul(v0, scale) logits = Gemm<transB=1>(v, w, b)"
    model = tiny(body, **{**case.weights, "scale": np.array([1, 2, 3, 4], np.float32)})
    place = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Mul")
    (item,) = (item for item in model.graph.initializer if item.name == "scale")
    if where == "initializer":
        return model, item
    model.graph.initializer.remove(item)
    constant = onnx.helper.make_node("Constant", [], ["scale"], value=scale)
    if where == "constant":
        model.graph.node.insert(place, constant)
        return model, model.graph.node[place].attribute[0].t
    if where == "branch":
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
        branch = onnx.helper.make_graph(
            [onnx.helper.make_node("Mul", ["v0", "scale"], ["out"])],
            "branch",
            [],
            [onnx.helper.make_tensor_value_info("out", 1, None)],
            [scale],
        )
        model.graph.node[place].CopyFrom(onnx.helper.make_node("If", ["yes"], ["v"], then_branch=branch, else_branch=branch))
        return model, model.graph.node[place].attribute[0].g.initializer[0]
    opsets = [onnx.helper.make_opsetid("", 17)]
    multiply = onnx.helper.make_node("Mul", ["x", "scale"], ["y"])
    model.functions.append(onnx.helper.make_function("ours", "Scaled", ["x"], ["y"], [constant, multiply], opsets))
    model.opset_import.append(onnx.helper.make_opsetid("ours", 1))
    model.graph.node[place].CopyFrom(onnx.helper.make_node("Scaled", ["v0"], ["v"], domain="ours"))
    return model, model.functions[0].node[0].attribute[0].t


def told_to_be_in(item: onnx.TensorProto, location: str, **fields: object) -> bytes:
    """Say that a tensor is in a file; what was in it."""
    content = item.raw_data or np.array(item.float_data, np.float32).tobytes()
    for field in ("raw_data", "float_data"):
        item.ClearField(field)
    item.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **fields}.items():
        item.external_data.add(key=key, value=str(value))
    return content


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which is not the model's folder; the files that models name are there, with other content."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    (folder / "data.bin").write_bytes(SECRET)
    (folder / "secret").write_bytes(SECRET)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("where", WHERE)
def test_data_is_found_in_the_models_folder_and_what_is_written_loads_elsewhere(
    where: str, tmp_path: Path, elsewhere: Path
) -> None:
    model, item = model_with_data(where)
    plain = xai.load(model)
    folder = tmp_path / "models" / "deep"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(b"ahead" + told_to_be_in(item, "data.bin", offset=5))
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    batch = np.random.default_rng(0).normal(size=(1, 3, 6, 8)).astype(np.float32)
    expected = plain(batch)["logits"]
    np.testing.assert_array_equal(xai.load(folder / "m.onnx")(batch)["logits"], expected)
    os.chdir(folder)
    np.testing.assert_array_equal(xai.load(Path("m.onnx"))(batch)["logits"], expected)
    os.chdir(elsewhere)
    written = xai.insert(folder / "m.onnx").save(tmp_path / "hooked" / "hooked.onnx")
    shutil.rmtree(folder)
    moved = shutil.move(written.parent, tmp_path / "moved")
    np.testing.assert_array_equal(xai.load(Path(moved) / "hooked.onnx")(batch)["logits"], expected)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    "location", ["../cwd/secret", "secret", "link.bin", "hard.bin", "linked/secret", "pipe", ".", "", "\x00", "/etc/passwd"]
)
def test_data_that_is_not_the_models_own(where: str, location: str, tmp_path: Path, elsewhere: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link.bin").symlink_to("../cwd/secret")
    (folder / "linked").symlink_to("../cwd")
    os.mkfifo(folder / "pipe")
    (tmp_path / "shared.bin").write_bytes(SECRET)
    os.link(tmp_path / "shared.bin", folder / "hard.bin")
    model, item = model_with_data(where)
    told_to_be_in(item, location)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="no (regular )?file (of its own )?in the model's folder|there is no such file"):
        xai.insert(folder / "m.onnx")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    "fields",
    [{"offset": 4}, {"offset": -4}, {"offset": 2**70}, {"length": 12}, {"offset": "abc"}, {"length": "9" * 5000}],
    ids=str,
)
def test_data_that_its_file_does_not_hold(where: str, fields: dict[str, object], tmp_path: Path) -> None:
    model, item = model_with_data(where)
    (tmp_path / "data.bin").write_bytes(told_to_be_in(item, "data.bin", **fields))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="and the file has 16|its type, offset or length is none"):
        xai.insert(tmp_path / "m.onnx")


@pytest.mark.parametrize("where", WHERE)
def test_objects_have_no_folder(where: str, elsewhere: Path) -> None:
    model, item = model_with_data(where)
    told_to_be_in(item, "data.bin")
    with pytest.raises(
        ModelError, match=r"'scale' is in a file 'data.bin', and an object has no folder: give the model's path"
    ):
        xai.insert(model)


def test_the_same_file_for_many_tensors_and_for_types_that_are_packed(tmp_path: Path) -> None:
    model = tiny(STEM + HEAD.format("f"), opset=21, **LINEAR)
    packed = onnx.helper.make_tensor("packed", onnx.TensorProto.INT4, [3], [1, -2, 3])
    model.graph.initializer.append(packed)
    content = b""
    for item in model.graph.initializer:
        data = item.raw_data or bytes([0xE1, 0x03])
        told_to_be_in(item, "data.bin", offset=len(content), length=len(data))
        item.ClearField("int32_data")
        content += data
    (tmp_path / "data.bin").write_bytes(content)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    xai.insert(tmp_path / "m.onnx").save(tmp_path / "again" / "m.onnx")
    again = onnx.load(tmp_path / "again" / "m.onnx")
    assert onnx.numpy_helper.to_array(next(t for t in again.graph.initializer if t.name == "packed")).tolist() == [1, -2, 3]


def test_sparse_tensors_are_refused() -> None:
    model = CASES["pool and linear"].build("B", 17)
    values = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = onnx.numpy_helper.from_array(np.zeros(1, np.int64), "places")
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, [5, 4]))
    with pytest.raises(ModelError, match="holds a sparse tensor, 'w': dense ones are expected"):
        xai.layers(model)


def test_a_link_to_a_model_has_its_data_beside_the_link(tmp_path: Path) -> None:
    model, item = model_with_data("initializer")
    (tmp_path / "store").mkdir()
    (tmp_path / "link").mkdir()
    content = told_to_be_in(item, "data.bin")
    (tmp_path / "store" / "m.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "store" / "data.bin").write_bytes(content)
    (tmp_path / "link" / "m.onnx").symlink_to("../store/m.onnx")
    with pytest.raises(ModelError, match="there is no such file"):
        xai.layers(tmp_path / "link" / "m.onnx")
    shutil.copy(tmp_path / "store" / "data.bin", tmp_path / "link")
    assert xai.layers(tmp_path / "link" / "m.onnx")


def test_an_onnx_file_that_is_a_pipe_is_not_opened(tmp_path: Path) -> None:
    for name in ("m.onnx", "m.xml"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError):
            xai.layers(tmp_path / name)


@pytest.fixture
def ir(tmp_path: Path) -> Path:
    """An IR in a folder."""
    (tmp_path / "ir").mkdir()
    path = tmp_path / "ir" / "m.xml"
    model = CASES["pool and linear"].build("B", 17).SerializeToString()
    ov.save_model(ov.Core().read_model(model), path, compress_to_fp16=False)
    return path


def replaced_by_link(data: Path, other: Path) -> None:
    data.symlink_to(other)


def replaced_by_hard_link(data: Path, other: Path) -> None:
    os.link(other, data)


@pytest.mark.parametrize("replaced", [replaced_by_link, replaced_by_hard_link])
def test_weights_of_an_ir_are_its_own(replaced: Callable[[Path, Path], None], ir: Path, tmp_path: Path) -> None:
    data = ir.with_suffix(".bin")
    data.rename(tmp_path / "other.bin")
    replaced(data, tmp_path / "other.bin")
    with pytest.raises(ModelError, match="is in 'm.bin', which is no regular file of its own in the model's folder"):
        xai.layers(ir)
    data.unlink()
    shutil.copy(tmp_path / "other.bin", data)
    assert xai.layers(ir)


def test_parameters_of_a_paddle_model_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "m.pdmodel").write_bytes(b"x")
    (tmp_path / "m.pdiparams").symlink_to("/etc/passwd")
    with pytest.raises(ModelError, match=r"is in 'm.pdiparams', which is no regular file of its own"):
        xai.layers(tmp_path / "m.pdmodel")


def test_weights_that_are_replaced_while_they_are_read(ir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ov.Core.read_model

    def meanwhile(core: ov.Core, path: Path) -> ov.Model:
        model = read(core, path)
        shutil.copy(ir.with_suffix(".bin"), ir.with_name("new"))
        ir.with_name("new").replace(ir.with_suffix(".bin"))
        return model

    monkeypatch.setattr(ov.Core, "read_model", meanwhile)
    with pytest.raises(ModelError, match="was replaced while it was read"):
        xai.layers(ir)


def test_a_file_that_is_replaced_by_a_link_once_it_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.bin").write_bytes(b"own")
    (tmp_path / "secret").write_bytes(b"secret")
    opened = os.open

    def late(path: os.PathLike[str], flags: int) -> int:
        (tmp_path / "data.bin").unlink()
        (tmp_path / "data.bin").symlink_to("secret")
        return opened(path, flags & ~os.O_NOFOLLOW)  # as where a system has no such flag

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(ModelError, match="no regular file of its own"):
        beside.open_beside(tmp_path, "data.bin", "it")


def test_nested_graphs_are_walked_to_the_end(tmp_path: Path) -> None:
    model = nested(20)
    deepest = model.graph.node[2]
    while deepest.op_type == "If":
        branch = next(a.g for a in deepest.attribute if a.name == "then_branch")
        branch.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "hidden"))
        deepest = branch.node[0]
    told_to_be_in(branch.initializer[0], "/etc/passwd")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(OvxaiError, match="no file in the model's folder"):
        xai.layers(tmp_path / "m.onnx")


def test_other_formats_are_not_read_as_an_ir(ir: Path) -> None:
    ir.write_bytes(CASES["pool and linear"].build("B", 17).SerializeToString())
    with pytest.raises(ModelError, match="an IR starts with '<'"):
        xai.layers(ir)
