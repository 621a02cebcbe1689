"""The runtime for MLServer, with a stand-in for its types and errors. scripts/servers.py asks a real one."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import CASES

import openvino_xai as xai
from openvino_xai.serve.export import export

pytestmark = pytest.mark.slow
CASE = CASES["pool and linear"]


class MLServerError(Exception):
    def __init__(self, text: str, status_code: int = 400) -> None:
        super().__init__(text)
        self.status_code = status_code


class Datatype(Enum):
    FP32 = "FP32"
    FP64 = "FP64"
    BOOL = "BOOL"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What loads a runtime by the settings that an export writes."""

    async def uri(settings: Any) -> str:
        return str(tmp_path / "repo" / "cells" / settings.parameters.uri)

    modules = {
        "": SimpleNamespace(MLModel=type("MLModel", (), {})),
        ".codecs": SimpleNamespace(
            NumpyCodec=SimpleNamespace(decode_input=lambda item: np.frombuffer(item.data.root, np.float32))
        ),
        ".errors": SimpleNamespace(InferenceError=MLServerError, MLServerError=MLServerError),
        ".types": SimpleNamespace(Datatype=Datatype, InferenceResponse=SimpleNamespace, ResponseOutput=SimpleNamespace),
        ".utils": SimpleNamespace(get_model_uri=uri),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"mlserver{name}", module)  # type: ignore[arg-type]

    def load(**options: Any) -> Any:
        export(xai.insert(CASE.build("B", 17), layer="f", **options).model, tmp_path / "repo", server="mlserver", name="cells")
        folder = tmp_path / "repo" / "cells"
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "hooked_model", raising=False)
        settings = json.loads((folder / "model-settings.json").read_text())
        module = ModuleType("runtime")
        exec(compile((folder / "runtime.py").read_text(), "runtime.py", "exec"), vars(module))
        model = vars(module)[settings["implementation"].rpartition(".")[2]]()
        model.settings = SimpleNamespace(parameters=SimpleNamespace(**settings["parameters"]))
        model.name, model.version = settings["name"], None
        assert asyncio.run(model.load())
        return model

    return load


def image(data: Any, **changes: Any) -> Any:
    item = {"name": "image", "shape": [1, 3, 6, 8], "datatype": "FP32", "data": SimpleNamespace(root=data)}
    return SimpleNamespace(**{**item, **changes})


def answers(model: Any, *items: Any, outputs: tuple[str, ...] = ()) -> dict[str, Any]:
    wanted = [SimpleNamespace(name=name) for name in outputs] or None
    response = asyncio.run(model.predict(SimpleNamespace(id="7", inputs=list(items), outputs=wanted)))
    assert (response.model_name, response.id) == ("cells", "7")
    return {output.name: output for output in response.outputs}


def test_it_answers(runtime: Any) -> None:
    model, photo = runtime(), np.full((1, 3, 6, 8), 0.5, np.float32)
    both, binary = (
        answers(model, image(photo.reshape(-1).tolist())),
        answers(model, image(photo.tobytes()), outputs=("logits",)),
    )
    assert list(both) == ["logits", "saliency_map"] and list(binary) == ["logits"]
    assert both["saliency_map"].shape == [1, 5, 6, 8] and both["saliency_map"].datatype == "FP32"
    assert both["logits"].data == binary["logits"].data and len(both["saliency_map"].data) == 240


def test_mistakes_are_the_clients_and_failures_are_not(runtime: Any) -> None:
    model, numbers = runtime(), [0.5] * 144
    for items, outputs, message in (
        ([], (), "the input 'image' is missing"),
        ([image(numbers, datatype="FP64")], (), "input 'image' is FP64: FP32 is expected"),
        ([image([float("nan")] * 144)], (), "not finite"),
        ([image(numbers[1:])], (), "do not make"),
        ([image(numbers)], ("maps",), "there is no output 'maps'"),
    ):
        with pytest.raises(MLServerError, match=message) as refused:
            answers(model, *items, outputs=outputs)
        assert refused.value.status_code == 400
    model.model.run = sys.modules["hooked_model"].answering(lambda arrays: 1 / 0, ZeroDivisionError)
    with pytest.raises(MLServerError, match="^the model cannot be run on this request$") as failed:
        answers(model, image(numbers))
    assert failed.value.status_code == 500


def test_what_is_no_number_is_null(runtime: Any) -> None:
    model = runtime()
    model.model.run = lambda arrays: [np.array([[1, np.nan, np.inf]], np.float32), np.zeros((1, 1), np.float32)]
    assert answers(model, image([0.5] * 144))["logits"].data == [1.0, None, None]


def test_a_gate_may_be_left_out(runtime: Any) -> None:
    model, numbers = runtime(gate=True), [0.5] * 144
    gate = SimpleNamespace(name="explain", shape=[1], datatype="BOOL", data=SimpleNamespace(root=[True]))
    assert not any(answers(model, image(numbers))["saliency_map"].data)
    assert any(answers(model, image(numbers), gate)["saliency_map"].data)
