"""The files that run in servers, with stand-ins for what the servers bring. Real servers are asked by scripts/servers.py."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format, text_format
from tiny import CASES, DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.serve.export import export
from openvino_xai.serve.servers.model_config import model_config

pytestmark = pytest.mark.slow

CASE = CASES["pool and linear"]
TYPES = {"FP32": np.float32, "FP64": np.float64, "BOOL": np.bool_, "INT64": np.int64}


def code_of(name: str) -> dict[str, Any]:
    """The names that a file of a server defines."""
    source = resources.files("openvino_xai.serve.programs").joinpath(name).read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, name, "exec"), names)
    return names


@cache
def hooked_in(dialect: str, *, gate: bool = False) -> Any:
    return xai.insert(in_dialect(CASE.build("B", 17), dialect), layer="f", gate=gate)


@pytest.fixture(params=DIALECTS)
def exported(request: Any, tmp_path: Path) -> Any:
    def write(server: Any, **options: Any) -> Path:
        hooked = hooked_in(request.param, **options)
        path = hooked.save(tmp_path / f"cells_xai{hooked.deployed.suffix}")
        export(path, tmp_path / "repo", server=server, backend="python")
        return tmp_path / "repo"

    return write


class InvalidInput(ValueError): ...


class InferenceError(RuntimeError): ...


@dataclass
class Item:
    """An input or output of a request, of either server."""

    name: str
    data: Any = None
    shape: Any = None
    datatype: str = "FP32"

    def as_numpy(self) -> np.ndarray:
        return np.asarray(self.data, TYPES.get(self.datatype)).reshape(self.shape or np.shape(self.data))

    def set_data_from_numpy(self, array: np.ndarray, binary_data: bool) -> None:
        self.data = array


@dataclass
class Request:
    inputs: list[Item]
    request_outputs: list[Item] | None = None
    id: str = ""
    from_grpc: bool = False
    use_binary_outputs: bool = False


@pytest.fixture
def predictor_with(exported: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    names = {word: type(word, (), {"__init__": lambda self, *_: None}) for word in ("Model", "ModelServer")}
    kserve = SimpleNamespace(
        **names,
        InferRequest=Request,
        InferOutput=lambda name, shape, datatype: Item(name, None, shape, datatype),
        InferResponse=lambda number, name, outputs, **_: outputs,
        model_server=None,
    )
    errors = SimpleNamespace(InvalidInput=InvalidInput, InferenceError=InferenceError)
    for name, module in {"": kserve, ".errors": errors}.items():
        monkeypatch.setitem(sys.modules, f"kserve{name}", module)  # type: ignore[arg-type]

    def load(**options: Any) -> Any:
        folder = exported("kserve", **options) / "predictor"
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "hooked_model", raising=False)
        model = next(path for path in folder.iterdir() if path.suffix in (".xml", ".onnx"))
        loaded = code_of("kserve_predictor.py")["Predictor"]("cells", model, "f32")
        loaded.name = "cells"
        return loaded

    return load


@pytest.fixture
def predictor(predictor_with: Any) -> Any:
    return predictor_with()


def numbers(count: int = 144) -> list[float]:
    return [0.5] * count


def image(**changes: Any) -> Item:
    return Item(**{"name": "image", "data": numbers(), "shape": [1, 3, 6, 8], **changes})


def answers_of(predictor: Any, *items: Item, outputs: tuple[str, ...] = ()) -> list[Item]:
    return asyncio.run(predictor.predict(Request(list(items), [Item(name) for name in outputs])))


def test_kserve_answers(predictor: Any) -> None:
    both = answers_of(predictor, image())
    assert [(item.name, item.shape) for item in both] == [("logits", [1, 5]), ("saliency_map", [1, 5, 6, 8])]
    assert [item.name for item in answers_of(predictor, image(), outputs=("saliency_map", "logits"))] == [
        "saliency_map",
        "logits",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "img"}, "there is no input 'img': the model has image"),
        ({"datatype": "FP64"}, "input 'image' is FP64: FP32 is expected"),
        ({"datatype": "X"}, "input 'image' is X"),
        ({"shape": [3, 6, 8]}, "has the shape .*: .*-1, 3, 6, 8.* is expected"),
        ({"shape": [1, 3, 8, 6]}, "has the shape"),
        ({"shape": [-1, 3, 6, 8]}, "has the shape"),
        ({"shape": [0, 3, 6, 8], "data": []}, "has the shape"),
        ({"shape": [2, 3, 6, 8]}, "do not make"),
        ({"shape": [10**30, 3, 6, 8]}, "do not make"),
        ({"data": numbers(143)}, "do not make"),
        ({"data": []}, "do not make"),
        ({"data": [[1, 2], [3]]}, "do not make"),
        ({"data": ["a"] * 144}, "no numbers of FP32"),
        ({"data": ["1"] * 144}, "no numbers of FP32"),
        ({"data": [None] * 144}, "no numbers of FP32"),
        ({"data": [{}] * 144}, "no numbers of FP32"),
        ({"data": [10**400] * 144}, "no numbers of FP32"),
        ({"data": [float("nan"), *numbers(143)]}, "not finite"),
        ({"data": [float("-inf"), *numbers(143)]}, "not finite"),
        ({"data": [1e39, *numbers(143)]}, "too large for FP32"),
    ],
)
def test_kserve_clients_are_told_their_mistakes(predictor: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        answers_of(predictor, image(**changes))


def test_kserve_requests_that_are_none(predictor: Any) -> None:
    for items, outputs, message in (
        ((), (), "the input 'image' is missing"),
        ((image(), image()), (), "the input 'image' is there 2 times"),
        ((image(), image(name="img")), (), "there is no input 'img'"),
        ((image(),), ("nope",), "there is no output 'nope': the model has logits, saliency_map"),
        ((image(),), ("logits", "logits"), "the output 'logits' is there 2 times"),
    ):
        with pytest.raises(InvalidInput, match=message):
            answers_of(predictor, *items, outputs=outputs)


def test_kserve_tells_nothing_of_a_runtimes_source(predictor: Any) -> None:
    predictor.model.run = sys.modules["hooked_model"].answering(
        lambda arrays: (_ for _ in ()).throw(RuntimeError("/src/a.cc")), RuntimeError
    )
    with pytest.raises(InferenceError, match="^the model cannot be run on this request$"):
        answers_of(predictor, image())


def instances(count: int = 2) -> list[Any]:
    return np.full((count, 3, 6, 8), 0.5).tolist()


def test_kserve_explains_by_the_older_protocol(predictor: Any) -> None:
    logits, maps = (np.array(item.data) for item in answers_of(predictor, image(data=numbers(288), shape=[2, 3, 6, 8])))
    plain = asyncio.run(predictor.predict({"instances": instances()}))
    assert list(plain) == ["predictions"] and np.array_equal(plain["predictions"], logits)
    for rows in (instances(), [{"image": instance} for instance in instances()]):
        both = json.loads(json.dumps(asyncio.run(predictor.explain({"instances": rows}))))
        assert list(both) == ["predictions", "explanations"] and np.array_equal(both["predictions"], logits)
        assert [list(explanation) for explanation in both["explanations"]] == [["saliency_map"]] * 2
        assert np.array_equal([explanation["saliency_map"] for explanation in both["explanations"]], maps)


def test_kserve_explains_through_a_gate(predictor_with: Any) -> None:
    """Who predicts is not explained, and who explains is, whether the request says so or not."""
    predictor = predictor_with(gate=True)
    both = asyncio.run(predictor.explain({"instances": instances()}))
    assert all(np.array(explanation["saliency_map"]).any() for explanation in both["explanations"])
    rows = [{"image": instance, "explain": place == 1} for place, instance in enumerate(instances())]
    second = asyncio.run(predictor.explain({"instances": rows}))["explanations"]
    assert [bool(np.any(explanation["saliency_map"])) for explanation in second] == [False, True]
    assert not np.any(answers_of(predictor, image(), outputs=("saliency_map",))[0].data)  # an old client


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ({"instances": []}, "an image each"),
        ({"instances": {}}, "an image each"),
        ({"inputs": []}, "an image each"),
        ([], "an image each"),
        (b"photo", "an image each"),
        ({"instances": [0.5]}, "has the shape .*1.*: .*-1, 3, 6, 8.* is expected"),
        ({"instances": [[[[0.5]]], [[0.5]]]}, "data of different sizes"),
        ({"instances": ["photo"]}, "has the shape"),
        ({"instances": np.full((1, 3, 6, 8), "a").tolist()}, "no numbers of FP32"),
        ({"instances": np.full((1, 3, 6, 8), None).tolist()}, "no numbers"),
        ({"instances": np.full((1, 3, 6, 8), np.nan).tolist()}, "not finite"),
        ({"instances": [{"img": 1}]}, "there is no input 'img'"),
        ({"instances": [{}]}, "the input 'image' is missing"),
        ({"instances": [{"image": 1}, {"img": 1}]}, "of one form"),
        ({"instances": [{"image": 1}, 2]}, "of one form"),
        ({"instances": [[10**400]]}, "no numbers"),
    ],
)
def test_kserve_instances_that_are_none(predictor: Any, request_body: Any, message: str) -> None:
    for verb in (predictor.predict, predictor.explain):
        with pytest.raises(InvalidInput, match=message):
            asyncio.run(verb(request_body))


def test_kserve_bytes_that_are_no_request(predictor: Any) -> None:
    """What KServe's reader trips over is a mistake of the client."""
    readable = code_of("kserve_predictor.py")["readable"]
    for error in (ValueError("reshape"), KeyError("inputs"), TypeError(), AttributeError("get"), InferenceError()):

        def decode(*_: Any, error: Exception = error) -> None:
            raise error

        with pytest.raises(InvalidInput, match="the request is none of the Open Inference Protocol"):
            readable(decode)(b"", {}, "cells")


@dataclass
class TritonRequest:
    tensors: dict[str, np.ndarray]
    outputs: list[str] = field(default_factory=lambda: ["logits", "saliency_map"])

    def requested_output_names(self) -> list[str]:
        return self.outputs


@dataclass
class Response:
    output_tensors: list[Any]
    error: Any = None


@pytest.fixture
def triton_model(exported: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def load(**options: Any) -> Any:
        backend = SimpleNamespace(
            get_input_tensor_by_name=lambda request, name: (
                SimpleNamespace(as_numpy=lambda: request.tensors[name]) if name in request.tensors else None
            ),
            triton_string_to_numpy=lambda word: TYPES[word.removeprefix("TYPE_")],
            Tensor=lambda name, array: (name, array),
            InferenceResponse=Response,
            TritonError=str,
            Logger=SimpleNamespace(log_error=lambda text: None),
        )
        monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)  # type: ignore[arg-type]
        folder = exported("triton", **options) / "cells"
        config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config()())
        fields = json_format.MessageToDict(config, preserving_proto_field_name=True)
        fields["parameters"] = {pair["key"]: pair["value"] for pair in fields["parameters"]}  # a map is a list here
        model = code_of("triton_model.py")["TritonPythonModel"]()
        model.initialize({"model_config": json.dumps(fields), "model_repository": str(folder), "model_version": "1"})
        return model

    return load


def test_in_triton_ones_mistake_fails_no_other(triton_model: Any) -> None:
    model, good = triton_model(), images(CASE.build(1, 17), 2)
    (alone,) = model.execute([TritonRequest({"image": good[:1]})])
    nan = good.copy()
    nan[0, 0, 0, 0] = np.nan
    mistakes = {
        "the input 'image' is missing": {},
        "input 'image' is float64: float32 is expected": {"image": good.astype(np.float64)},
        "input 'image' has data that are not finite": {"image": nan},
        "input 'image' has the shape [2, 3, 8, 6]: [-1, 3, 6, 8] is expected": {"image": good.swapaxes(2, 3)},
        "input 'image' has the shape [0, 3, 6, 8]": {"image": good[:0]},
        "input 'image' has the shape [3, 6, 8]": {"image": good[0]},
    }
    requests = [TritonRequest({"image": good[:1]})]
    for tensors in mistakes.values():
        requests += [TritonRequest(tensors), TritonRequest({"image": good[1:]})]
    requests.append(TritonRequest({"image": good}, ["nope"]))
    answers = model.execute(requests)
    errors = [answer.error for answer in answers if answer.error]
    assert len(answers) == len(requests) and len(errors) == len(mistakes) + 1
    assert all(error.startswith(message) for error, message in zip(errors, mistakes, strict=False))
    assert errors[-1] == "there is no output 'nope': the model has logits, saliency_map"
    for (name, array), (again, expected) in zip(answers[0].output_tensors, alone.output_tensors, strict=True):
        assert name == again and np.allclose(array, expected, atol=1e-6)
    assert all(not answer.error for answer in answers[2:-1:2])


def test_in_triton_what_fails_in_a_batch_is_run_alone(triton_model: Any) -> None:
    model, good = triton_model(), images(CASE.build(1, 17), 3)
    run = model.run

    def failing(arrays: dict[str, np.ndarray]) -> Any:
        if (arrays["image"] == 7).any():
            raise RuntimeError("Exception from src/inference/src/cpp/infer_request.cpp:223")
        return run(arrays)

    model.run = failing
    good[1] = 7
    answers = model.execute([TritonRequest({"image": good[place : place + 1]}) for place in range(3)])
    assert [answer.error for answer in answers] == [None, "the model cannot be run on this request", None]
    assert all(len(answer.output_tensors) == 2 for answer in answers[::2])


def test_in_triton_a_gate_may_be_left_out(triton_model: Any) -> None:
    model, good = triton_model(gate=True), images(CASE.build(1, 17), 2)
    old, new, wrong = model.execute(
        [
            TritonRequest({"image": good}),
            TritonRequest({"image": good, "explain": np.array([[True], [False]])}),
            TritonRequest({"image": good, "explain": np.array([[True]])}),
        ]
    )
    assert wrong.error == "the inputs have different numbers of images"
    assert not dict(old.output_tensors)["saliency_map"].any()
    assert [bool(maps.any()) for maps in dict(new.output_tensors)["saliency_map"]] == [True, False]
