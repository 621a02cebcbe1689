"""The record in a hooked model is checked against the model; an entry that contradicts it is refused by name."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import openvino as ov
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.contract import RECORD
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import ModelError
from openvino_xai.record.reading import record_of
from openvino_xai.record.removal import unhooked
from openvino_xai.serve.export import export

pytestmark = pytest.mark.slow

FORGED = {
    "method": ["nonsense", ""],
    "layer": ["nowhere"],
    "score": ["probability"],
    "scores": ["nowhere", "saliency_map"],
    "image": ["nowhere", "logits"],
    "output": ["percent"],
    "targets": ["top:9", "5", "0,0", "-1", "top:0", "nobody", "asked", "1,2", "9" * 5000],
    "scale": ["u16", "u8"],
    "plan": ["hasty"],
    "gate": ["explain", "image"],
    "cost": ["nan", "inf", "-1", "abc", "1e400", ""],
    "memory": ["nan", "1.5", "-1", "abc", str(2**64), "9" * 5000],
    "joined": ["abc", "-1"],
    "prefix_tokens": ["few"],
    "kernel": ["square"],
    "converted_from": ["nine"],
    "written_as": ["poetry"],
    "fallback": ["dearer"],
    "portable": ["no"],
}


def test_every_record_that_is_written_is_believed() -> None:
    for options in (
        {},
        {"targets": "top:2"},
        {"targets": "asked"},
        {"gate": True},
        {"method": "activation_map"},
        {"scale": "u8"},
        {"targets": "top:2", "portable": True},
    ):
        deployed = xai.insert(CASES["pool and linear"].build("B", 17), **options).deployed  # type: ignore[arg-type]
        assert record_of(deployed.graph, deployed.info) == deployed.info(RECORD) != {}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in FORGED.items() for value in values])
def test_forged_entries_are_named(key: str, value: str, dialect: str, tmp_path: Path) -> None:
    deployed = xai.insert(in_dialect(CASES["pool and linear"].build("B", 17), dialect)).deployed
    deployed.set_info(RECORD, {key: value})
    path = tmp_path / f"m{deployed.suffix}"
    deployed.save(path)
    with pytest.raises(ModelError, match=f"'{key}'|'{value}'|saliency_map|classes|explain"):
        xai.load(path)
    with pytest.raises(ModelError):
        unhooked(open_model(path))
    with pytest.raises(ModelError):
        export(path, tmp_path / "served", server="ovms")
    assert sorted(item.name for item in tmp_path.iterdir() if item.suffix not in (".xml", ".bin", ".onnx")) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_record_without_a_hook(dialect: str) -> None:
    record = xai.insert(CASES["pool and linear"].build("B", 17)).record
    plain = open_model(in_dialect(CASES["pool and linear"].build("B", 17), dialect)).twin()
    plain.set_info(RECORD, record)
    with pytest.raises(ModelError, match="'saliency_map', float32 of rank 4 with 5 classes, is expected, and there is none"):
        xai.load(plain.object())
    for key in ("method", "layer", "scores", "targets"):
        short = open_model(in_dialect(CASES["pool and linear"].build("B", 17), dialect)).twin()
        short.set_info(RECORD, {other: value for other, value in record.items() if other != key})
        with pytest.raises(ModelError, match=f"its entry '{key}' is not there"):
            xai.load(short.object())


def test_a_session_with_a_forged_record() -> None:
    deployed = xai.insert(CASES["pool and linear"].build("B", 17)).deployed
    deployed.set_info(RECORD, {"cost": "nan"})
    session = onnxruntime.InferenceSession(deployed.object().SerializeToString())
    with pytest.raises(ModelError, match="its entry 'cost' is 'nan'"):
        xai.wrap(session)


def test_a_record_where_text_stands_in_an_ir() -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), "openvino")
    model.set_rt_info("text", RECORD)
    with pytest.raises(ModelError, match="'ovxai' of its rt_info is no section"):
        xai.insert(model)


def test_metadata_that_is_no_text() -> None:
    model = CASES["pool and linear"].build("B", 17)
    model.metadata_props.add(key="KEY", value="value")
    data = model.SerializeToString().replace(b"KEY", b"\xff\xfe\xfd")
    with pytest.raises(ModelError, match="a key is no text in UTF-8"):
        xai.layers(onnx.ModelProto.FromString(data))


def test_other_sections_of_an_ir_are_left_alone(tmp_path: Path) -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), "openvino")
    model.set_rt_info("text", "model_info")
    path = xai.insert(model).save(tmp_path / "m.xml")
    assert ov.Core().read_model(path).get_rt_info(["model_info"]).value == "text"


@pytest.mark.parametrize("section", ["model_info", RECORD])
def test_sections_of_an_ir_that_are_no_text(section: str, tmp_path: Path) -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), "openvino")
    model.set_rt_info("LABELS", [section, "labels"])
    ov.save_model(model, tmp_path / "m.xml")
    text = (tmp_path / "m.xml").read_bytes()
    (tmp_path / "m.xml").write_bytes(text.replace(b"LABELS", b"\xff\xfe\xfd"))
    with pytest.raises(ModelError, match=f"'{section}' of its rt_info is no text in UTF-8"):
        xai.load(tmp_path / "m.xml")
