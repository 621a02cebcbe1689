"""Repositories for model servers: what is in them, and what they refuse. Real servers are asked by scripts/servers.py."""

from __future__ import annotations

import ast
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from google.protobuf import text_format
from markdown_it import MarkdownIt
from tiny import CASES, DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, ModelError
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.export import export
from openvino_xai.serve.servers.model_config import model_config

CASE = CASES["pool and linear"]


@pytest.fixture
def hooked(tmp_path: Path) -> Any:
    def make(dialect: str = "openvino", batch: int | str = "B", **options: Any) -> Path:
        result = xai.insert(in_dialect(CASE.build(batch, 17), dialect), layer="f", **options)
        return result.save(tmp_path / f"cells_xai{result.deployed.suffix}")

    return make


def clients_code(folder: Path) -> str:
    (code,) = (token.content for token in MarkdownIt().parse((folder / "README.md").read_text()) if token.info == "python")
    ast.parse(code)
    return str(code)


def model_configuration(folder: Path) -> Any:
    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config()())


def tensors(fields: Any) -> list[tuple[str, int, list[int]]]:
    return [(field.name, field.data_type, list(field.dims)) for field in fields]


BOOL, UINT8, INT64, FP32 = 1, 2, 9, 11  # of Triton's DataType


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_triton(dialect: str, hooked: Any, tmp_path: Path) -> None:
    endpoint = export(hooked(dialect), tmp_path / "repo", server="triton")
    config = model_configuration(tmp_path / "repo" / "cells")
    assert endpoint.name == config.name == "cells"
    assert config.backend == endpoint.runtime == ("openvino" if dialect == "openvino" else "onnxruntime")
    assert config.max_batch_size == 64 and config.HasField("dynamic_batching")
    assert tensors(config.input) == [("image", FP32, [3, 6, 8])]
    assert tensors(config.output) == [("logits", FP32, [5]), ("saliency_map", FP32, [5, 6, 8])]
    served = next((tmp_path / "repo" / "cells" / "1").glob(f"model{endpoint.suffix}"))
    batch = images(CASE.build(1, 17), 2)
    alone, again = xai.load(hooked_path(tmp_path))(batch), xai.load(served)(batch)
    assert all(np.array_equal(alone[name], again[name]) for name in alone)
    assert "infer('cells'" in clients_code(tmp_path / "repo")
    assert "127.0.0.1" in (tmp_path / "repo" / "README.md").read_text()


def hooked_path(folder: Path) -> Path:
    return next(path for path in folder.glob("cells_xai.*") if path.suffix in (".xml", ".onnx"))


@pytest.mark.slow
def test_triton_with_a_fixed_batch_and_bytes(hooked: Any, tmp_path: Path) -> None:
    endpoint = export(hooked(batch=2, scale="u8", targets="top:2"), tmp_path / "repo", server="triton", name="two")
    config = model_configuration(tmp_path / "repo" / "two")
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    assert tensors(config.output)[1:] == [("saliency_map", UINT8, [2, 2, 6, 8]), ("saliency_class", INT64, [2, 2])]
    assert endpoint.grows_by == 2 * 6 * 8 + 2 * 8
    assert endpoint.warnings == []


@pytest.mark.slow
def test_triton_with_a_gate(hooked: Any, tmp_path: Path) -> None:
    endpoint = export(hooked(gate=True), tmp_path / "repo", server="triton")
    config = model_configuration(tmp_path / "repo" / "cells")
    assert tensors(config.input) == [("image", FP32, [3, 6, 8]), ("explain", BOOL, [1])]
    assert [field.HasField("reshape") for field in config.input] == [False, True]
    assert not any(field.optional for field in config.input)
    assert "'explain': np.ones([1, 1], 'bool')" in clients_code(tmp_path / "repo")  # or no map would be computed
    assert any("requests tell which images are explained, by `explain`" in text for text in endpoint.warnings)
    export(hooked_path(tmp_path), tmp_path / "python", server="triton", backend="python")
    assert [field.optional for field in model_configuration(tmp_path / "python" / "cells").input] == [False, True]
    export(hooked_path(tmp_path), tmp_path / "ovms", server="ovms")
    assert "'explain': np.ones([1], 'bool')" in clients_code(tmp_path / "ovms")


@pytest.mark.slow
def test_a_pair_of_endpoints_with_one_copy_of_the_weights(hooked: Any, tmp_path: Path) -> None:
    export(hooked(), tmp_path / "repo", server="triton", legacy=True, backend="python")
    folders = {path.name for path in (tmp_path / "repo").iterdir() if path.is_dir()}
    assert folders == {"cells", "cells_core", "cells_xai"}
    assert len(list((tmp_path / "repo").rglob("*.bin"))) == 1
    old, new = (model_configuration(tmp_path / "repo" / name) for name in ("cells", "cells_xai"))
    assert old.platform == "ensemble" and old.ensemble_scheduling.step[0].model_name == "cells_core"
    assert [pair.key for pair in old.ensemble_scheduling.step[0].output_map] == ["logits"]
    assert [pair.key for pair in new.ensemble_scheduling.step[0].output_map] == ["logits", "saliency_map"]
    ast.parse((tmp_path / "repo" / "cells_core" / "1" / "model.py").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_openvino_model_server(dialect: str, hooked: Any, tmp_path: Path) -> None:
    """By its documented schema: a list of configurations, each with a name and a path with a numbered version folder."""
    export(hooked(dialect, runtime="openvino"), tmp_path / "repo", server="ovms", precision="bf16")
    listing = json.loads((tmp_path / "repo" / "config.json").read_text())
    ((entry,),) = (listing["model_config_list"],)
    assert set(listing) == {"model_config_list"} and set(entry) == {"config"}
    config = entry["config"]
    assert set(config) == {"name", "base_path", "target_device", "plugin_config"}
    assert config["plugin_config"] == {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16"}
    versions = list((tmp_path / "repo" / config["base_path"]).iterdir())
    assert [version.name for version in versions] == ["1"]
    assert "import tritonclient.grpc" in clients_code(tmp_path / "repo")


def test_kserve(hooked: Any, tmp_path: Path) -> None:
    export(hooked("onnx"), tmp_path / "repo", server="kserve", name="my_cells")
    service = yaml.safe_load((tmp_path / "repo" / "inference_service.yaml").read_text())
    assert service["kind"] == "InferenceService" and service["metadata"]["name"] == "my-cells"
    assert json.loads(service["metadata"]["annotations"]["ovxai/outputs"]) == ["logits", "saliency_map"]
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"] == {"name": "onnx"} and model["storageUri"] == "pvc://models/my_cells"
    assert (tmp_path / "repo" / "models" / "my_cells" / "1" / "model.onnx").is_file()
    clients_code(tmp_path / "repo")


@pytest.mark.slow
def test_kserve_with_a_server_of_its_own(hooked: Any, tmp_path: Path) -> None:
    export(hooked(), tmp_path / "repo", server="kserve", backend="python")
    service = yaml.safe_load((tmp_path / "repo" / "inference_service.yaml").read_text())
    (container,) = service["spec"]["predictor"]["containers"]
    assert {"--model_name=cells", "--model_path=/predictor/model.xml", "--precision=f32"} < set(container["args"])
    assert (
        "--address=0.0.0.0" in container["args"]
    )  # in a container: started by hand, the server is reached from this machine alone
    ast.parse((tmp_path / "repo" / "predictor" / "predictor.py").read_text())
    assert (tmp_path / "repo" / "predictor" / "model.bin").is_file()
    dockerfile = (tmp_path / "repo" / "Dockerfile").read_text()
    assert "COPY predictor /predictor" in dockerfile
    assert f"kserve==0.21.0 openvino=={version('openvino')}\n" in dockerfile  # what was tested, and no runtime beside


@pytest.mark.slow
def test_kserve_with_an_explainer_of_its_own(hooked: Any, tmp_path: Path) -> None:
    """The same program in both places: where there is an explainer, KServe sends `:explain` to it and to no predictor."""
    export(hooked(), tmp_path / "repo", server="kserve", backend="python")
    alone, both = (
        yaml.safe_load((tmp_path / "repo" / name).read_text())
        for name in ("inference_service.yaml", "service_with_explainer.yaml")
    )
    assert set(alone["spec"]) == {"predictor"} and set(both["spec"]) == {"predictor", "explainer"}
    assert both["spec"]["explainer"] == both["spec"]["predictor"] == alone["spec"]["predictor"]
    export(hooked_path(tmp_path), tmp_path / "by_triton", server="kserve")
    assert not (tmp_path / "by_triton" / "service_with_explainer.yaml").exists()  # Triton has no `:explain`


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_mlserver(dialect: str, hooked: Any, tmp_path: Path) -> None:
    endpoint = export(hooked(dialect, gate=True), tmp_path / "repo", server="mlserver", precision="bf16")
    folder = tmp_path / "repo" / "cells"
    settings = json.loads((folder / "model-settings.json").read_text())
    assert settings["implementation"] == "runtime.HookedRuntime" and settings["platform"] == endpoint.runtime
    assert settings["inputs"][1] == {"name": "explain", "datatype": "BOOL", "shape": [-1]}
    assert [output["name"] for output in settings["outputs"]] == ["logits", "saliency_map"]
    assert settings["parameters"] == {"uri": f"./model{endpoint.suffix}", "extra": {"precision": "bf16"}}
    assert json.loads((folder / "hook.json").read_text()) == {"added": ["saliency_map"], "gate": "explain"}
    assert json.loads((tmp_path / "repo" / "settings.json").read_text())["host"] == "127.0.0.1"
    for program in ("runtime.py", "hooked_model.py"):
        ast.parse((folder / program).read_text())
    server, model = yaml.safe_load_all((tmp_path / "repo" / "seldon.yaml").read_text())
    assert server["spec"]["extraCapabilities"] == model["spec"]["requirements"]
    assert f"{endpoint.runtime}=={version(endpoint.runtime)}\n" in (tmp_path / "repo" / "Dockerfile").read_text()
    assert "import tritonclient.grpc" in clients_code(tmp_path / "repo")


@pytest.mark.parametrize(("server", "options"), [("fastapi", {}), ("triton", {"overlay": True})])
def test_where_photos_are_drawn_a_signal_is_refused(server: Any, options: dict[str, Any], tmp_path: Path) -> None:
    body = "c = Conv<pads=[1,1]>(image, k) f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
    signal = tiny(body, batch="B", image=(3, 12), k=(4, 3, 3), w=(5, 4), b=(5,))
    model = xai.insert(signal, layer="f").model
    with pytest.raises(InputError, match="holds a signal or a video, no photo"):
        export(model, tmp_path / "repo", server=server, name="signal", **options)
    export(model, tmp_path / "repo", server="triton", name="signal")


def test_large_answers_and_sorted_outputs_are_warned_of() -> None:

    model = CASES["softmax inside"].build("B", 17)
    model.graph.output[0].name = "softmax"
    model.graph.node[-1].output[0] = "softmax"
    onnx.checker.check_model(model)
    endpoint = Endpoint.hooked(open_model(xai.insert(model, layer="f").model), "cells")
    (warning,) = endpoint.warnings
    assert "sends `saliency_map` before `softmax`" in warning
    result = xai.insert(CASES["pool and linear"].build("B", 17), layer="f")
    assert Endpoint.hooked(result.deployed, "cells").grows_by == 5 * 6 * 8 * 4
    sample = Path(__file__).parents[2] / "samples" / "models" / "efficientnet_lite0_xai.xml"
    if sample.exists():
        (warning,) = Endpoint.hooked(open_model(sample), "sample").warnings
        assert "grows by 196 kB an image" in warning and "insert with targets top:1 and scale u8" in warning


@pytest.mark.slow
def test_what_is_refused_leaves_nothing(hooked: Any, tmp_path: Path) -> None:
    model = hooked()
    plain = tmp_path / "plain.onnx"
    onnx.save(CASE.build("B", 17), plain)
    refused: list[tuple[dict[str, Any], str]] = [
        (
            {"server": "tfserving"},
            "server 'tfserving' is not known: one of triton, ovms, kserve, mlserver, fastapi, web is expected",
        ),
        ({"server": "mlsever"}, "did you mean 'mlserver'?"),
        ({"server": "mlserver", "backend": "openvino"}, "MLServer has one backend: leave it out"),
        ({"server": "ovms", "legacy": True}, "a pair of endpoints with one copy of the weights is Triton's"),
        (
            {"server": "triton", "backend": "onnxruntime"},
            "backend 'onnxruntime' does not serve .xml files: one of openvino, python",
        ),
        ({"server": "ovms", "backend": "python"}, "has one backend"),
        ({"server": "triton", "name": "../up"}, "'../up' is no name of an endpoint"),
        ({"server": "triton", "precision": "f8"}, "precision 'f8' is not known"),
    ]
    for options, message in refused:
        with pytest.raises(InputError, match=message):
            export(model, tmp_path / "repo", **options)
    with pytest.raises(ModelError, match="carries no hook, and would be served without maps"):
        export(plain, tmp_path / "repo", server="triton")
    assert not (tmp_path / "repo").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".ovxai")]
    export(model, tmp_path / "repo", server="triton")
    with pytest.raises(InputError, match="exists; choose another folder or overwrite it with force"):
        export(model, tmp_path / "repo", server="ovms")
    export(model, tmp_path / "repo", server="ovms", force=True)
    assert not (tmp_path / "repo" / "cells" / "config.pbtxt").exists()


@pytest.mark.parametrize(
    ("dialect", "verified", "server", "backend", "runtime"),
    [
        ("openvino", "openvino", "ovms", None, "openvino"),
        ("openvino", None, "triton", None, "openvino"),
        ("openvino", "none", "triton", "python", "openvino"),
        ("onnx", "onnxruntime", "triton", None, "onnxruntime"),
        ("onnx", "onnxruntime", "kserve", "python", "onnxruntime"),
        ("onnx", "onnxruntime,openvino", "ovms", None, "openvino"),
        ("onnx", "openvino", "triton", "openvino", "openvino"),
        ("onnx", None, "triton", "python", "onnxruntime"),
        ("onnx", "none", "triton", None, "onnxruntime"),
    ],
)
def test_the_runtime_that_serves_is_said(
    dialect: str, verified: str | None, server: Any, backend: str | None, runtime: str, hooked: Any, tmp_path: Path
) -> None:
    endpoint = export(recorded(hooked(dialect), verified), tmp_path / "repo", server=server, backend=backend)
    assert endpoint.runtime == runtime
    assert endpoint.checked in (tmp_path / "repo" / "README.md").read_text()
    assert ("does not say where it was verified" in endpoint.checked) == (verified is None)
    assert any("inserted without verification" in text for text in endpoint.warnings) == (verified == "none")


@pytest.mark.parametrize(
    ("verified", "server", "backend", "runtime"),
    [
        ("onnxruntime", "ovms", None, "openvino"),
        ("onnxruntime", "triton", "openvino", "openvino"),
        ("onnxruntime", "kserve", "openvino", "openvino"),
        (None, "ovms", None, "openvino"),
        ("none", "triton", "openvino", "openvino"),
        ("openvino", "triton", None, "onnxruntime"),
        ("openvino", "kserve", "python", "onnxruntime"),
        ("onnxruntime_too,openvinos", "triton", None, "onnxruntime"),
    ],
)
def test_a_hook_is_verified_where_it_is_served(
    verified: str | None, server: Any, backend: str | None, runtime: str, hooked: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"bits may differ there. `ovxai insert` on the original with runtime {runtime}"):
        export(recorded(hooked("onnx"), verified), tmp_path / "repo", server=server, backend=backend)
    assert not (tmp_path / "repo").exists()


def recorded(path: Path, verified: str | None) -> Path:
    """A hooked model whose record says so of where it was verified, or nothing, as those of older versions."""
    if path.suffix == ".xml":
        line = "" if verified is None else f'<verified value="{verified}" />'
        text, count = re.subn("<verified value=.*?/>", line, path.read_text())
        path.write_text(text)
    else:
        model = onnx.load(path)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        count = "ovxai verified" in entries
        entries["ovxai verified"] = verified or ""
        onnx.helper.set_model_props(model, {key: value for key, value in entries.items() if value})
        onnx.save(model, path)
    assert count == 1
    return path
