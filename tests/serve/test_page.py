"""A page that explains in the browser: what is in its folder, and what is refused. Browsers open it in test_page_in_browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CASES, in_dialect, tiny
from tiny_detector import class_maps, detector

import openvino_xai as xai
from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.serve.export import export
from openvino_xai.serve.web.runtime_files import RuntimeFiles

CASE = CASES["pool and linear"]
EVIL = "</script><script>document.title='broken'</script>"


def hooked(path: Path, info: dict[str, str] | None = None, **options: Any) -> Path:
    """A tiny classifier with a hook."""
    model = CASE.build("B", 17)
    onnx.helper.set_model_props(model, {f"model_info {key}": text for key, text in (info or {}).items()})
    return xai.insert(model, layer="f", **options).save(path)


def facts(folder: Path) -> dict[str, Any]:
    """What the page is told."""
    text = (folder / "facts.js").read_text(encoding="ascii")
    head, line, rest = text.partition("const data = ")
    assert (head, line) == ('"use strict";\n', "const data = ")
    return json.loads(rest.removesuffix(";\n"))


def package(folder: Path, *, version: object = "1.30.0", name: str = "onnxruntime-web", gpu: bool = True) -> Path:
    """What stands for npm's package."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))
    parts = {"ort.wasm.min.mjs": "ort-wasm-simd-threaded"} | (
        {"ort.webgpu.min.mjs": "ort-wasm-simd-threaded.jsep"} if gpu else {}
    )
    for entry, part in parts.items():
        (folder / "dist" / entry).write_text(f'import("{part}.mjs"); locate("{part}.wasm")')
        for suffix in ("mjs", "wasm"):
            (folder / "dist" / f"{part}.{suffix}").write_text(part)
    return folder


def test_what_is_in_the_folder(tmp_path: Path) -> None:
    info = {"labels": "cat dog tree car cup", "scale_values": "255", "resize_type": "crop", "reverse_input_channels": "True"}
    model = hooked(tmp_path / "cells_xai.onnx", info)
    endpoint = export(model, tmp_path / "site", server="web", runtime=package(tmp_path / "ort"))
    assert endpoint.warnings == []
    names = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert {"index.html", "facts.js", "map.js", "model.onnx", "README.md", "ort/ort.wasm.min.mjs"} <= names
    assert {"ort/ort-wasm-simd-threaded.wasm", "ort/ort-wasm-simd-threaded.jsep.wasm"} <= names
    page = (tmp_path / "site" / "index.html").read_text()
    assert all(f'src="{name}"' in page for name in names if name.endswith(".js"))  # none is missing, and none is too many
    assert page.count("<script") == page.count("<script src=") and "://" not in page.replace("http://127.0.0.1:8000", "")
    content = facts(tmp_path / "site")
    assert content["labels"] == ["cat", "dog", "tree", "car", "cup"]
    assert content["scores"] == {"name": "logits", "softmax": [[0, 5]], "sigmoid": False, "zero": 0, "step": 1, "of": 1}
    assert content["image"]["tables"][2][:2] == [0, float(np.float32(1) / np.float32(255))]
    assert content["bytes"] == (tmp_path / "site" / "model.onnx").stat().st_size
    assert content["runtime"] == {"version": "1.30.0", "gpu": True}


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_numbers_are_those_that_are_fed(dtype: str, tmp_path: Path) -> None:
    kind = {"float16": "FLOAT16", "uint8": "UINT8"}[dtype]
    body = "x = Cast<to=1>(image)" + CASE.body.replace("image", "x")
    model = tiny(body, **CASE.weights)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(kind)
    onnx.helper.set_model_props(model, {"model_info mean_values": "1 2 3", "model_info scale_values": "2"})
    xai.insert(model, layer="f").save(tmp_path / "m.onnx")
    export(tmp_path / "m.onnx", tmp_path / "site", server="web")
    tables = np.array(facts(tmp_path / "site")["image"]["tables"])
    photo = np.arange(256, dtype=np.uint8)[:48].reshape(6, 8, 1).repeat(3, axis=2)
    expected = xai.load(tmp_path / "m.onnx").preprocessing(photo)[0].reshape(3, 48)
    assert (
        tables[:, :48].astype(np.uint16).view(np.float16) if dtype == "float16" else tables[:, :48]
    ).tolist() == expected.tolist()


def test_a_strangers_names_do_nothing(tmp_path: Path) -> None:
    """Whatever a file tells is JSON, which no markup ends, and stands nowhere else."""
    labels = json.dumps({"label_names": [EVIL, "\u2028'\"\\", "<img src=x onerror=alert(1)>", "`${alert(1)}`", "__proto__"]})
    model = CASE.build("B", 17)
    name = f"scores{EVIL}`\u00e9"
    onnx.helper.set_model_props(model, {"model_info label_info": labels})
    for values in (model.graph.output, [model.graph.node[-1]]):
        for value in values:
            if isinstance(value, onnx.NodeProto):
                value.output[0] = name
            else:
                value.name = name
    xai.insert(model, layer="f").save(tmp_path / "m.onnx")
    export(tmp_path / "m.onnx", tmp_path / "site", server="web")
    content = facts(tmp_path / "site")
    assert content["labels"] == json.loads(labels)["label_names"]
    assert content["scores"]["name"] == name
    others = [
        path
        for path in (tmp_path / "site").iterdir()
        if path.suffix in (".html", ".js", ".css", ".md") and path.stem != "facts"
    ]
    assert len(others) > 9
    assert not [path for path in others if "broken" in path.read_text(encoding="utf-8")]


def _two_inputs() -> onnx.ModelProto:
    body = CASE.body.replace("logits =", "y =") + " logits = Mul(y, factor)"
    return tiny(body, inputs="float[B,5] factor", **CASE.weights)


def _four_channels() -> onnx.ModelProto:
    return tiny(CASE.body, image=(4, 6, 8), **CASE.weights | {"w0": (4, 4, 3, 3)})


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "IR": (
        lambda path: xai.insert(in_dialect(CASE.build("B", 17), "openvino"), layer="f").save(path / "m.xml"),
        "a browser does not serve .xml files: the model as .onnx is expected: hook the ONNX file",
    ),
    "no hook": (lambda path: CASE.build("B", 17), "carries no hook"),
    "two inputs": (lambda path: xai.insert(_two_inputs(), layer="f").model, "more inputs than the image 'image': 'factor'"),
    "channels": (lambda path: xai.insert(_four_channels(), layer="f").model, "has 4 channels: a photo fills 3"),
    "classes of a detector": (lambda path: class_maps(), "targets all, and the page shows boxes: insert with targets boxes:8"),
    "another runtime": (
        lambda path: xai.insert(CASE.build("B", 17), layer="f", runtime="openvino").model,
        "bits may differ there",
    ),
    "labels": (lambda path: hooked(path / "m.onnx", {"labels": "one two"}), "there are 2 labels for 5 classes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_nothing(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    model = make(tmp_path)
    with pytest.raises(OvxaiError, match=message):
        export(model, tmp_path / "new" / "site", server="web")
    assert not (tmp_path / "new").exists()


def test_options_that_a_page_does_not_have(tmp_path: Path) -> None:
    model = hooked(tmp_path / "m.onnx")
    for options in ({"backend": "python"}, {"precision": "bf16"}, {"legacy": True}):
        with pytest.raises(InputError):
            export(model, tmp_path / "site", server="web", **options)
    with pytest.raises(InputError, match="Triton has its own runtime"):
        export(model, tmp_path / "site", server="triton", runtime=tmp_path)
    (warning,) = [text for text in export(model, tmp_path / "site", server="web").warnings if "runtime" in text]
    assert "README.md" in warning and "npm install" in (tmp_path / "site" / "README.md").read_text()


def test_a_detector(tmp_path: Path) -> None:
    model = detector([[0, 0, 8, 8]], [1], [0.9], info={"labels": "cat dog old_tree", "confidence_threshold": "0.4"})
    onnx.save(model, tmp_path / "m_xai.onnx")
    export(tmp_path / "m_xai.onnx", tmp_path / "site", server="web")
    content = facts(tmp_path / "site")
    assert (content["task"], content["least_score"], content["labels"]) == ("boxes", 0.4, ["cat", "dog", "old tree"])


def test_folders_of_the_runtime(tmp_path: Path) -> None:
    complete = package(tmp_path / "project" / "node_modules" / "onnxruntime-web", gpu=False)
    for folder in (complete, complete / "dist", tmp_path / "project", tmp_path / "project" / "node_modules"):
        runtime = RuntimeFiles.of(folder)
        assert (runtime.version, runtime.has_gpu, len(runtime.files)) == ("1.30.0", False, 3)
    refused: list[tuple[Path, str]] = [
        (tmp_path / "nothing", "is no folder"),
        (tmp_path, "holds no ort.wasm.min.mjs"),
        (package(tmp_path / "node", name="onnxruntime-node"), "is the package 'onnxruntime-node'"),
        (package(tmp_path / "old", version="1.9.0"), "1.9.0 is too old"),
        (package(tmp_path / "odd", version="1.30.0\n\u001b[31m"), "numbers are expected"),
        (package(tmp_path / "list", version=[]), "numbers are expected"),
    ]
    for folder, message in refused:
        with pytest.raises(InputError, match=message) as refusal:
            RuntimeFiles.of(folder)
        assert refusal.value.options == ("runtime",)
    (complete / "dist" / "ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(InputError, match="ort-wasm-simd-threaded.wasm"):
        export(hooked(tmp_path / "m.onnx"), tmp_path / "site", server="web", runtime=complete)
    assert not (tmp_path / "site").exists()


def test_a_page_is_written_anew(tmp_path: Path) -> None:
    model = hooked(tmp_path / "m.onnx")
    export(model, tmp_path / "site", server="web")
    with pytest.raises(InputError, match="exists; choose another folder"):
        export(model, tmp_path / "site", server="web")
    export(model, tmp_path / "site", server="web", force=True)
    (tmp_path / "site" / "notes.txt").touch()
    with pytest.raises(InputError, match="holds files that export did not write: 'notes.txt'"):
        export(model, tmp_path / "site", server="web", force=True)
