"""The step that draws in Triton, with a stand-in for what Triton brings: tensors, requests and responses, and nothing of how it
schedules. What is drawn is held to what `explain` draws. A real Triton is asked by scripts/servers.py.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, ModelError
from openvino_xai.serve.export import export
from openvino_xai.serve.servers.model_config import model_config

CASE = CASES["pool and linear"]
PROGRAM = Path(xai.__file__).parent / "serve" / "programs" / "triton_overlay.py"
INFO = {
    "plain": {},
    "of one number": {"mean_values": "127.5", "scale_values": "127.5"},
    "RGB": {"mean_values": "123.675 116.28 103.53", "scale_values": "58.395 57.12 57.375", "reverse_input_channels": "True"},
}


@dataclass
class Response:
    output_tensors: list[Any]
    error: Any = None


@dataclass
class Request:
    tensors: dict[str, Any]
    wanted: list[str]

    def requested_output_names(self) -> list[str]:
        return self.wanted


@cache
def hooked(info: str, dialect: str, targets: str, *, gate: bool = False, batch: int | str = "B") -> Any:
    model = CASE.build(batch, 17)
    onnx.helper.set_model_props(model, {f"model_info {name}": value for name, value in INFO[info].items()})
    return xai.insert(in_dialect(model, dialect), layer="f", targets=targets, gate=gate)


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the step answers to a model's inputs and outputs, by the files that an export writes."""

    def load(result: Any, **options: Any) -> Any:
        path = result.save(tmp_path / f"cells_xai{result.deployed.suffix}", force=True)
        export(path, tmp_path / "repo", server="triton", overlay=True, force=True, **options)
        folder = tmp_path / "repo" / "cells_draw"
        backend = SimpleNamespace(
            get_input_tensor_by_name=lambda request, name: request.tensors[name],
            Tensor=lambda name, array: (name, array),
            InferenceResponse=Response,
            TritonError=str,
        )
        monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)  # type: ignore[arg-type]
        names: dict[str, Any] = {"__name__": "model"}
        exec(compile((folder / "1" / "model.py").read_text(), "model.py", "exec"), names)
        config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config()())
        model = names["TritonPythonModel"]()
        described = json.dumps({"max_batch_size": config.max_batch_size})
        model.initialize({"model_config": described, "model_repository": str(folder), "model_version": "1"})

        def answer(arrays: dict[str, np.ndarray], *wanted: str) -> Any:
            names = [field.name for field in config.input]
            by_name = {name: SimpleNamespace(as_numpy=lambda name=name: arrays[name.removeprefix("model_")]) for name in names}
            (response,) = model.execute([Request(by_name, list(wanted or ("overlay",)))])
            return response

        return answer

    return load


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 6, 8, 3), np.uint8)


def pictures(response: Any) -> list[np.ndarray]:
    assert response.error is None
    ((name, array),) = response.output_tensors
    assert name == "overlay" and array.dtype == object
    return [cv2.imdecode(np.frombuffer(item, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1] for item in array.reshape(-1)]


def tensors_of(network: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    batch = np.concatenate([network.prepare(photo) for photo in images])
    return {"image": batch, **network(batch)}


@pytest.mark.slow
@pytest.mark.parametrize(("info", "dialect"), [*((info, "onnx") for info in INFO), ("plain", "openvino")])
@pytest.mark.parametrize("targets", ["all", "top:2", "3,1"])
def test_it_draws_what_explain_draws(info: str, dialect: str, targets: str, step: Any) -> None:
    result = hooked(info, dialect, targets)
    network = xai.load(result)
    images = photos(3)
    tensors = tensors_of(network, images)
    response = step(result)(tensors)
    assert response.output_tensors[0][1].shape == (3, 1)
    others = dict(step(result)(tensors, "saliency_map", "logits").output_tensors)
    assert set(others) == {"saliency_map", "logits"} and all(others[name] is tensors[name] for name in others)
    for photo, picture in zip(images, pictures(response), strict=True):
        explanation = network.explain(photo, targets=None if targets != "3,1" else [3, 1])
        best = max(range(len(explanation.targets)), key=lambda place: explanation.targets[place].probability)
        assert np.array_equal(picture, explanation.overlay(best))


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["u8", "none"])
def test_maps_of_every_scale_are_drawn(scale: Any, step: Any) -> None:
    result = xai.insert(CASE.build("B", 17), layer="f", targets="top:1", scale=scale)
    network, images = xai.load(result), photos(8)
    for photo, picture in zip(images, pictures(step(result)(tensors_of(network, images))), strict=True):
        assert np.array_equal(picture, network.explain(photo).overlay())


@pytest.mark.slow
def test_who_is_not_explained_gets_no_picture(step: Any) -> None:
    result = hooked("plain", "onnx", "all", gate=True)
    network, images = xai.load(result), photos(2)
    batch = np.concatenate([network.prepare(photo) for photo in images])
    gate = np.array([False, True])
    response = step(result)({"image": batch, "explain": gate[:, None], **network(batch, explain=gate)})
    first, second = response.output_tensors[0][1][:, 0]
    assert first == b"" and second.startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_fixed_batch_and_a_map_that_is_no_number(step: Any) -> None:
    result = hooked("plain", "onnx", "all", batch=2)
    network = xai.load(result)
    tensors = tensors_of(network, photos(2))
    answer = step(result)
    assert answer(tensors).output_tensors[0][1].shape == (2,) and len(pictures(answer(tensors))) == 2
    tensors["saliency_map"] = np.full_like(tensors["saliency_map"], np.nan)
    assert answer(tensors).error == "the map holds numbers that are not finite"
    tensors["saliency_map"] = np.zeros_like(tensors["saliency_map"])  # a constant is 0, and no division by it
    assert len(pictures(answer(tensors))) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("legacy", [False, True])
def test_the_ensemble(dialect: str, legacy: bool, tmp_path: Path) -> None:
    result = hooked("plain", dialect, "all")
    path = result.save(tmp_path / f"cells_xai{result.deployed.suffix}")
    endpoint = export(path, tmp_path / "repo", server="triton", overlay=True, legacy=legacy)
    core = "cells_core" if legacy else "cells"
    folders = {folder.name for folder in (tmp_path / "repo").iterdir() if folder.is_dir()}
    assert folders == {"cells", "cells_draw", "cells_overlay"} | ({"cells_core", "cells_xai"} if legacy else set())
    config, step = (
        text_format.Parse((tmp_path / "repo" / name / "config.pbtxt").read_text(), model_config()())
        for name in ("cells_overlay", "cells_draw")
    )
    outputs = [field.name for field in config.output]
    assert outputs == [field.name for field in step.output] == ["logits", "saliency_map", "overlay"]
    assert (config.output[2].data_type, list(config.output[2].dims)) == (13, [1])  # TYPE_STRING
    model, draws = config.ensemble_scheduling.step
    assert (model.model_name, draws.model_name) == (core, "cells_draw")
    between = {pair.value for pair in model.output_map}
    assert not between & {"image", *outputs}  # or Triton would leave the model out, where not all outputs are asked for
    assert {pair.value for pair in draws.input_map} == between | {"image"}
    assert [pair.key for pair in draws.input_map] == [field.name for field in step.input]
    assert [pair.value for pair in draws.output_map] == outputs
    readme = (tmp_path / "repo" / "README.md").read_text()
    assert "outputs = ['logits', 'saliency_map', 'overlay']" in readme and "overlay.png" in readme
    assert any("does not tell its preprocessing" in text for text in endpoint.warnings)


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    result = hooked("plain", "onnx", "all")
    path = result.save(tmp_path / "cells_xai.onnx")
    for server in ("ovms", "kserve", "mlserver", "fastapi"):
        with pytest.raises(InputError, match="a step that draws maps over images is Triton's"):
            export(path, tmp_path / "repo", server=server, overlay=True)  # type: ignore[arg-type]
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ["overlay" if name == "logits" else name for name in node.output]
        node.input[:] = ["overlay" if name == "logits" else name for name in node.input]
    model.graph.output[0].name = "overlay"
    props = {entry.key: entry.value.replace("logits", "overlay") for entry in model.metadata_props}
    onnx.helper.set_model_props(model, props)
    onnx.save(model, path)
    with pytest.raises(ModelError, match="has 'overlay' already"):
        export(path, tmp_path / "repo", server="triton", overlay=True)
    assert not (tmp_path / "repo").exists()
    assert open_model(path).info("ovxai")["scores"] == "overlay"
