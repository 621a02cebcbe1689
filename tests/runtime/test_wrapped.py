"""A compiled model with explanations on top stays what it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
from plain_detectors import decoding
from tiny import CASES, DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.dialects.onnx import run as onnx_run
from openvino_xai.errors import InputError
from openvino_xai.probes import Settings

CASE = CASES["pool and linear"]
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
F32 = {"INFERENCE_PRECISION_HINT": "f32"}


def compiled(model: Any) -> Any:
    if isinstance(model, onnx.ModelProto):
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return ov.Core().compile_model(model, "CPU", F32)


def hooked(dialect: str, **options: Any) -> Any:
    return xai.insert(in_dialect(CASE.build("B", 17), dialect), layer="f", **options).model


@pytest.mark.slow
def test_a_compiled_model_stays_one() -> None:
    before = compiled(hooked("openvino"))
    after = xai.wrap(before)
    batch = images(CASE.build(1, 17), 3)
    assert isinstance(after, ov.CompiledModel)
    assert [port.get_names() for port in after.inputs] == [port.get_names() for port in before.inputs]
    assert [port.get_names() for port in after.outputs] == [port.get_names() for port in before.outputs]
    assert after.get_property("PERFORMANCE_HINT") == before.get_property("PERFORMANCE_HINT")
    first, second = before(batch), after(batch)
    for key in (0, "logits", "saliency_map"):
        np.testing.assert_array_equal(first[key], second[key])
    np.testing.assert_array_equal(second[after.saliency], first["saliency_map"])
    assert len(list(iter(second))) == 2
    request = after.create_infer_request()
    np.testing.assert_array_equal(request.infer({"image": batch})[0], first[0])


@pytest.mark.slow
def test_a_queue_of_requests_keeps_its_order() -> None:
    after = xai.wrap(compiled(hooked("openvino")))
    batches = [images(CASE.build(1, 17), 1, seed=seed) for seed in range(20)]
    maps: dict[int, np.ndarray] = {}
    queue = ov.AsyncInferQueue(after, 3)
    queue.set_callback(lambda request, which: maps.__setitem__(which, request.results[after.saliency].copy()))
    for which, batch in enumerate(batches):
        queue.start_async({"image": batch}, which)
    queue.wait_all()
    for which, batch in enumerate(batches):
        np.testing.assert_array_equal(maps[which], after(batch)["saliency_map"])


def test_a_session_stays_one() -> None:
    before = compiled(hooked("onnx"))
    after = xai.wrap(before)
    batch = images(CASE.build(1, 17), 3)
    assert isinstance(after, onnxruntime.InferenceSession)
    assert [item.name for item in after.get_outputs()] == ["logits", "saliency_map"]
    assert after.get_providers() == before.get_providers()
    np.testing.assert_array_equal(after.run([after.saliency], {"image": batch})[0], before.run(None, {"image": batch})[1])
    done = threading.Event()
    calls: list[Any] = []

    def note(results: Any, which: Any, error: str) -> None:
        calls.append((results, which, error))
        done.set()

    after.run_async(["logits"], {"image": batch}, note, 7)
    assert done.wait(20)
    ((results, which, error),) = calls
    assert (which, error) == (7, "")
    np.testing.assert_array_equal(results[0], before.run(["logits"], {"image": batch})[0])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_explains_as_the_file_does(dialect: str) -> None:
    model = hooked(dialect)
    true = xai.load(model).explain(PHOTO, targets="top:2")
    for options in ({}, {"model": model}):
        explanations = xai.wrap(compiled(model), **options).explain([PHOTO, PHOTO], targets="top:2")
        assert len(explanations) == 2
        assert explanations[1].targets == true.targets
        np.testing.assert_array_equal(explanations[1].maps, true.maps)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_probabilities_are_known_by_their_values(dialect: str) -> None:
    model = in_dialect(CASES["softmax inside"].build("B", 17), dialect)
    batch = images(CASE.build(1, 17), 2)
    np.testing.assert_allclose(xai.wrap(compiled(model)).network.predict(batch), xai.load(model).predict(batch), atol=1e-6)


@pytest.mark.slow
def test_preprocessing_and_labels_come_from_the_file_or_from_the_caller(tmp_path: Path) -> None:
    hooked_model = xai.insert(in_dialect(CASE.build("B", 17), "openvino"), layer="f")
    hooked_model.model.set_rt_info("a b c d e", ["model_info", "labels"])
    hooked_model.model.set_rt_info("127.5", ["model_info", "scale_values"])
    path = hooked_model.save(tmp_path / "hooked.xml")
    explained = xai.wrap(compiled(str(path)), model=path).explain(PHOTO)
    assert explained.predictions[0].label in "abcde"
    bare = xai.wrap(compiled(str(path)))
    assert bare.explain(PHOTO).predictions[0].label.isdigit()
    bare.network.configure(labels=list("abcde"), preprocessing={"scale_values": "127.5"})
    np.testing.assert_array_equal(bare.explain(PHOTO).maps, explained.maps)


@pytest.mark.slow
def test_maps_of_some_classes_need_the_file() -> None:
    """OpenVINO keeps nothing of what the model tells; ONNX Runtime does."""
    model = hooked("openvino", targets=[1, 3])
    with pytest.raises(InputError, match=r"'saliency_map' has maps of 2 classes, .* say the file that it was compiled from"):
        xai.wrap(compiled(model))
    assert xai.wrap(compiled(model), model=model).explain(PHOTO, targets=[3]).targets[0].id == 3
    assert xai.wrap(compiled(hooked("onnx", targets=[1, 3]))).explain(PHOTO, targets=[3]).targets[0].id == 3
    assert len(xai.wrap(compiled(hooked("openvino", targets="top:2"))).explain(PHOTO, targets="all").targets) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_without_a_hook(dialect: str) -> None:
    model = in_dialect(CASE.build("B", 17), dialect)
    wrapped = xai.wrap(compiled(model))
    for ask in (lambda: wrapped.explain(PHOTO), lambda: wrapped.saliency):
        with pytest.raises(InputError, match=r"carries no hook: `ovxai insert` makes a file that does"):
            ask()
    settings = Settings(masks=30)
    true = xai.probe(model, "rise", settings=settings).explain(PHOTO)
    np.testing.assert_allclose(wrapped.explain(PHOTO, method="rise", settings=settings).maps, true.maps, atol=1e-6)
    with pytest.raises(InputError, match="asked by rise or aise or occlusion or lime or kernel_shap, not by 'score_cam'"):
        wrapped.explain(PHOTO, method="score_cam")


@pytest.mark.slow
def test_what_is_no_compiled_model() -> None:
    with pytest.raises(
        InputError, match=r"an openvino.CompiledModel or an onnxruntime.InferenceSession is wrapped; this is str"
    ):
        xai.wrap("model.xml")  # type: ignore[arg-type]
    other = in_dialect(CASES["softmax inside"].build("B", 17), "openvino")
    other.outputs[0].get_tensor().set_names({"prob"})
    with pytest.raises(InputError, match="the file has 'prob', which the compiled model has not"):
        xai.wrap(compiled(hooked("openvino")), model=other)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_threads_do_not_disturb_each_other(dialect: str) -> None:
    network = xai.load(hooked(dialect))
    batches = [images(CASE.build(1, 17), 1 + seed % 3, seed=seed) for seed in range(40)]
    true = [network(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(network, batches))
    for alone, other in zip(true, outputs, strict=True):
        assert all(np.array_equal(alone[name], other[name]) for name in alone)


@pytest.mark.slow
def test_devices_and_hints(tmp_path: Path) -> None:
    model = in_dialect(CASE.build("B", 17), "openvino")
    for device in ("CPU", "AUTO", "HETERO:CPU"):
        network = xai.load(xai.insert(model, layer="f"), device=device, hint="THROUGHPUT", cache_dir=tmp_path)
        assert network.explain(PHOTO).record["device"] == device
    assert list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"does not compile for device NPU in f32 \(devices here: CPU\)"):
        xai.load(model, device="NPU")
    with pytest.raises(InputError, match="ONNX Runtime keeps no compiled models: leave the cache folder out"):
        xai.load(CASE.build("B", 17), cache_dir=tmp_path)


def test_a_provider_that_fell_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime falls back with a warning: here it is told that CUDA is there, which it is not."""
    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnx_run.onnxruntime, "get_available_providers", lambda: there)
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnx_run.onnxruntime,
        "InferenceSession",
        lambda model, options, providers: real(model, options, ["CPUExecutionProvider"]),
    )
    with pytest.raises(
        InputError, match="CUDAExecutionProvider was asked for, and ONNX Runtime fell back to CPUExecutionProvider"
    ):
        xai.load(CASE.build("B", 17), device="CUDA")


@pytest.mark.parametrize("targets", ["boxes:4", "asked:2"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_a_detector_explains_its_boxes(dialect: str, targets: str) -> None:
    model = xai.insert(in_dialect(decoding("xyxy"), dialect), targets=targets).model
    photo = PHOTO // 255
    explained = xai.wrap(compiled(model), model=model).explain(photo, targets="boxes:3").targets
    assert len(explained) == 3 and explained == xai.load(model).explain(photo, targets="boxes:3").targets


@pytest.mark.slow
def test_boxes_of_which_nothing_is_told_need_the_file() -> None:
    model = xai.insert(in_dialect(decoding("xyxy"), "openvino"), targets="boxes:4").model
    with pytest.raises(InputError, match="'saliency_index' tells rows of a detector.*with model="):
        xai.wrap(compiled(model))
