"""Repositories for model servers: what is in them, and what they refuse. Real servers are asked by scripts/servers.py."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import CASES, DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError, ModelError
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.export import export

CASE = CASES["pool and linear"]


@pytest.fixture
def hooked(tmp_path: Path) -> Any:
    def make(dialect: str = "openvino", batch: int | str = "B", **told: Any) -> Path:
        made = xai.insert(in_dialect(CASE.build(batch, 17), dialect), layer="f", **told)
        return made.save(tmp_path / f"cells_xai{made.deployed.suffix}")

    return make


def clients_code(folder: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    ast.parse(code)
    return code


@pytest.mark.parametrize("dialect", DIALECTS)
def test_triton(dialect: str, hooked: Any, tmp_path: Path) -> None:
    endpoint = export(hooked(dialect), tmp_path / "repo", server="triton")
    config = (tmp_path / "repo" / "cells" / "config.pbtxt").read_text()
    assert endpoint.name == "cells"
    assert f'backend: "{"openvino" if dialect == "openvino" else "onnxruntime"}"' in config
    assert "max_batch_size: 64" in config and "dynamic_batching" in config
    assert '{ name: "image" data_type: TYPE_FP32 dims: [ 3, 6, 8 ] }' in config
    outputs = config[config.index("output [") :]
    assert outputs.index('"logits" data_type: TYPE_FP32 dims: [ 5 ]') < outputs.index(
        '"saliency_map" data_type: TYPE_FP32 dims: [ 5, 6, 8 ]'
    )
    served = next((tmp_path / "repo" / "cells" / "1").glob(f"model{endpoint.suffix}"))
    batch = images(CASE.build(1, 17), 2)
    alone, again = xai.load(hooked_path(tmp_path))(batch), xai.load(served)(batch)
    assert all(np.array_equal(alone[name], again[name]) for name in alone)
    assert 'infer("cells"' in clients_code(tmp_path / "repo")
    assert "127.0.0.1" in (tmp_path / "repo" / "README.md").read_text()


def hooked_path(folder: Path) -> Path:
    return next(path for path in folder.glob("cells_xai.*") if path.suffix in (".xml", ".onnx"))


def test_triton_with_a_fixed_batch_and_bytes(hooked: Any, tmp_path: Path) -> None:
    endpoint = export(hooked(batch=2, scale="u8", targets="top:2"), tmp_path / "repo", server="triton", name="two")
    config = (tmp_path / "repo" / "two" / "config.pbtxt").read_text()
    assert "max_batch_size: 0" in config and "dynamic_batching" not in config
    assert '{ name: "saliency_map" data_type: TYPE_UINT8 dims: [ 2, 2, 6, 8 ] }' in config
    assert '{ name: "saliency_class" data_type: TYPE_INT64 dims: [ 2, 2 ] }' in config
    assert endpoint.grows_by == 2 * 6 * 8 + 2 * 8
    assert endpoint.warnings == []


def test_triton_with_a_gate(hooked: Any, tmp_path: Path) -> None:
    export(hooked(gate=True), tmp_path / "repo", server="triton")
    config = (tmp_path / "repo" / "cells" / "config.pbtxt").read_text()
    assert '{ name: "explain" data_type: TYPE_BOOL dims: [ 1 ] reshape { shape: [ ] } }' in config
    assert config.index('name: "image"') < config.index('name: "explain"')
    assert 'InferInput("image"' in clients_code(tmp_path / "repo")
    export(hooked_path(tmp_path), tmp_path / "python", server="triton", backend="python")
    assert "reshape { shape: [ ] } optional: true }" in (tmp_path / "python" / "cells" / "config.pbtxt").read_text()


def test_a_pair_of_endpoints_with_one_copy_of_the_weights(hooked: Any, tmp_path: Path) -> None:
    export(hooked(), tmp_path / "repo", server="triton", legacy=True, backend="python")
    folders = {path.name for path in (tmp_path / "repo").iterdir() if path.is_dir()}
    assert folders == {"cells", "cells_core", "cells_xai"}
    assert len(list((tmp_path / "repo").rglob("*.bin"))) == 1
    old, new = ((tmp_path / "repo" / name / "config.pbtxt").read_text() for name in ("cells", "cells_xai"))
    assert 'platform: "ensemble"' in old and 'model_name: "cells_core"' in old
    assert "saliency_map" not in old and 'output_map { key: "saliency_map" value: "saliency_map" }' in new
    ast.parse((tmp_path / "repo" / "cells_core" / "1" / "model.py").read_text())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_openvino_model_server(dialect: str, hooked: Any, tmp_path: Path) -> None:
    """By its documented schema: a list of configurations, each with a name and a path with a numbered version folder."""
    export(hooked(dialect), tmp_path / "repo", server="ovms", precision="bf16")
    told = json.loads((tmp_path / "repo" / "config.json").read_text())
    ((entry,),) = (told["model_config_list"],)
    assert set(told) == {"model_config_list"} and set(entry) == {"config"}
    config = entry["config"]
    assert set(config) == {"name", "base_path", "target_device", "plugin_config"}
    assert config["plugin_config"] == {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16"}
    versions = list((tmp_path / "repo" / config["base_path"]).iterdir())
    assert [version.name for version in versions] == ["1"]
    clients_code(tmp_path / "repo")


def test_kserve(hooked: Any, tmp_path: Path) -> None:
    export(hooked("onnx"), tmp_path / "repo", server="kserve", name="my_cells")
    service = (tmp_path / "repo" / "inference_service.yaml").read_text()
    assert "kind: InferenceService" in service and "name: my-cells" in service and "name: onnx" in service
    assert 'ovxai/outputs: "logits, saliency_map"' in service
    assert (tmp_path / "repo" / "models" / "my_cells" / "1" / "model.onnx").is_file()
    clients_code(tmp_path / "repo")


def test_kserve_with_a_server_of_its_own(hooked: Any, tmp_path: Path) -> None:
    export(hooked(), tmp_path / "repo", server="kserve", backend="python")
    service = (tmp_path / "repo" / "inference_service.yaml").read_text()
    assert "--model_path=/predictor/model.xml" in service and "--precision=f32" in service
    assert "--address=0.0.0.0" in service  # in a container: started by hand, the server is reached from this machine alone
    ast.parse((tmp_path / "repo" / "predictor" / "predictor.py").read_text())
    assert (tmp_path / "repo" / "predictor" / "model.bin").is_file()
    assert "COPY predictor /predictor" in (tmp_path / "repo" / "Dockerfile").read_text()


def test_large_answers_and_sorted_outputs_are_warned_of() -> None:
    from openvino_xai.graph.files import open_model

    model = CASES["softmax inside"].build("B", 17)
    model.graph.output[0].name = "softmax"
    model.graph.node[-1].output[0] = "softmax"
    onnx.checker.check_model(model)
    endpoint = Endpoint.hooked(open_model(xai.insert(model, layer="f").model), "cells")
    (warning,) = endpoint.warnings
    assert "sends saliency_map before softmax" in warning
    made = xai.insert(CASES["pool and linear"].build("B", 17), layer="f")
    assert Endpoint.hooked(made.deployed, "cells").grows_by == 5 * 6 * 8 * 4
    sample = Path(__file__).parents[2] / "samples" / "models" / "efficientnet_lite0_xai.xml"
    if sample.exists():
        (warning,) = Endpoint.hooked(open_model(sample), "sample").warnings
        assert "grows by 196 kB an image" in warning and "--targets top:1 --scale u8" in warning


def test_what_is_refused_leaves_nothing(hooked: Any, tmp_path: Path) -> None:
    model = hooked()
    plain = tmp_path / "plain.onnx"
    onnx.save(CASE.build("B", 17), plain)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"server": "tfserving"}, "server 'tfserving' is not known: one of triton, ovms, kserve is expected"),
        ({"server": "ovms", "legacy": True}, "a pair of endpoints with one copy of the weights is Triton's"),
        (
            {"server": "triton", "backend": "onnxruntime"},
            "backend 'onnxruntime' does not serve .xml files: one of openvino, python",
        ),
        ({"server": "ovms", "backend": "python"}, "has one backend"),
        ({"server": "triton", "name": "../up"}, "'../up' is no name of an endpoint"),
        ({"server": "triton", "precision": "f8"}, "precision 'f8' is not known"),
    ]
    for told, message in refused:
        with pytest.raises(InputError, match=message):
            export(model, tmp_path / "repo", **told)
    with pytest.raises(ModelError, match="carries no hook, and would be served without maps"):
        export(plain, tmp_path / "repo", server="triton")
    assert not (tmp_path / "repo").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".ovxai")]
    export(model, tmp_path / "repo", server="triton")
    with pytest.raises(InputError, match="exists; choose another folder or overwrite it with --force"):
        export(model, tmp_path / "repo", server="ovms")
    export(model, tmp_path / "repo", server="ovms", force=True)
    assert not (tmp_path / "repo" / "cells" / "config.pbtxt").exists()
