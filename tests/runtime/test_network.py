"""Models that run: batches, images, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import ImageError, InputError
from openvino_xai.runtime import network as network_module

CASE = CASES["pool and linear"]
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", [1, 2, "B"])
def test_explaining_one_image_on_any_batch(batch: int | str, dialect: str) -> None:
    network = xai.load(xai.insert(in_dialect(CASE.build(batch, 17), dialect), layer="f"))
    explanation = network.explain(PHOTO, targets="top:3")
    assert [target.id for target in explanation.targets] == [prediction.id for prediction in explanation.predictions[:3]]
    assert explanation.maps.shape == (3, 6, 8)
    assert explanation.overlay(1).shape == PHOTO.shape
    assert sum(prediction.probability for prediction in explanation.predictions) == pytest.approx(1)
    assert network.precision == "f32"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_network_for_throughput_explains_several_images_at_a_time_as_each_alone(dialect: str) -> None:
    hooked = xai.insert(in_dialect(CASE.build("B", 17), dialect), layer="f", scale="none")
    alone, several = xai.load(hooked), xai.load(hooked, hint="THROUGHPUT")
    assert alone.streams == 1 <= several.streams
    photos = [np.random.default_rng(seed).integers(0, 256, PHOTO.shape, dtype=np.uint8) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        maps = list(pool.map(lambda photo: several.explain(photo).maps, photos))
    for photo, saliency in zip(photos, maps, strict=True):
        np.testing.assert_allclose(saliency, alone.explain(photo).maps, rtol=1e-5)


@pytest.mark.parametrize("scale", ["u8", "none"])
def test_maps_on_other_scales_are_drawn_the_same(scale: str) -> None:
    unit = xai.load(xai.insert(CASE.build(1, 17), layer="f")).explain(PHOTO)
    other = xai.load(xai.insert(CASE.build(1, 17), layer="f", scale=scale)).explain(PHOTO)
    assert np.abs(unit.overlay().astype(int) - other.overlay()).max() <= 4


def test_targets_that_are_not_explained() -> None:
    network = xai.load(xai.insert(CASE.build("B", 17), layer="f", targets=[0, 2]))
    assert {target.id for target in network.explain(PHOTO, targets="all").targets} == {0, 2}
    with pytest.raises(InputError, match="class 1 is not explained: the hook was inserted with targets 0,2"):
        network.explain(PHOTO, targets=[1])


def test_top_k_models_explain_their_own_classes() -> None:
    network = xai.load(xai.insert(CASE.build("B", 17), layer="f", targets="top:2"))
    assert len(network.explain(PHOTO, targets="all").targets) == 2


def test_probabilities_of_a_model_that_ends_in_softmax() -> None:
    network = xai.load(xai.insert(CASES["softmax inside"].build("B", 17), layer="f"))
    assert sum(p.probability for p in network.explain(PHOTO).predictions) == pytest.approx(1)


def test_a_model_without_a_hook_says_how_to_get_one() -> None:
    network = xai.load(CASE.build("B", 17))
    assert list(network(np.zeros((2, 3, 6, 8), np.float32))) == ["logits"]
    with pytest.raises(InputError, match=r"carries no hook: give it one with openvino_xai.insert"):
        network.explain(PHOTO)


def test_batches_and_images_that_do_not_fit(tmp_path: Path) -> None:
    network = xai.load(xai.insert(CASE.build("B", 17), layer="f"))
    with pytest.raises(InputError, match=r"float64 \[1, 3, 6, 8\] does not fit input 'image': float32 \[B, 3, 6, 8\]"):
        network(np.zeros((1, 3, 6, 8)))
    with pytest.raises(InputError, match="does not fit"):
        network(np.zeros((1, 3, 6, 9), np.float32))
    with pytest.raises(InputError, match=r"float32 \[12, 16, 3\] holds 0 to 255: floats are in \[0, 1\]"):
        network.explain(PHOTO.astype(np.float32))
    with pytest.raises(ImageError, match="cannot read"):
        network.explain(tmp_path / "none.png")
    with pytest.raises(InputError, match="there are 2 labels for 5 classes"):
        network.configure(labels=["a", "b"])


def test_files_of_labels_with_any_characters(tmp_path: Path) -> None:
    network = xai.load(xai.insert(CASE.build("B", 17), layer="f"))
    network.configure(labels=["a/../b", "ünï \n", "", "x" * 200, "con"])
    saved = network.explain(PHOTO, targets="all").save(tmp_path, "photo")
    assert len({files["overlay"] for files in saved}) == 5
    assert all(Path(files["map"]).parent == tmp_path and Path(files["map"]).is_file() for files in saved)


def test_onnx_runtime_devices() -> None:
    with pytest.raises(InputError, match="device GPU is not there for ONNX Runtime: one of CPU is expected"):
        xai.load(CASE.build("B", 17), device="GPU")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_where_the_model_returns_them(dialect: str) -> None:
    network = xai.load(in_dialect(CASE.build("B", 17), dialect))
    batch = np.random.default_rng(1).normal(0, 1, (3, 3, 6, 8)).astype(np.float32)
    logits, probabilities = network.predict(batch, logits=True), network.predict(batch)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), probabilities, atol=1e-6)
    with pytest.raises(InputError, match="output 'logits' ends in a softmax: the model returns no logits to read"):
        xai.load(CASES["softmax inside"].build("B", 17)).predict(batch, logits=True)


@pytest.mark.parametrize("batch", [1, 2, "B"])
def test_maps_of_many_images_are_those_of_each(batch: int | str) -> None:
    network = xai.load(xai.insert(CASE.build(batch, 17), layer="f", scale="u8"))
    images = np.random.default_rng(1).normal(0, 1, (5, 3, 6, 8)).astype(np.float32)
    scores, maps = network.maps(images, [0, 1, 2, 3, 4])
    assert scores.shape == (5, 5) and maps.shape == (5, 6, 8) and maps.max() == 1
    for index in range(5):
        alone_scores, alone = network.maps(images[index : index + 1], [index])
        np.testing.assert_allclose(alone_scores[0], scores[index], atol=1e-6)
        np.testing.assert_allclose(alone[0], maps[index], atol=1e-6)


@pytest.mark.parametrize(("streams", "expected"), [(1, [4, 4]), (2, [2, 2, 2, 2]), (3, [1] * 8)])
def test_all_streams_together_keep_to_the_memory(streams: int, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    hooked = xai.insert(CASE.build("B", 17), layer="f")
    monkeypatch.setattr(network_module, "MAX_MEMORY", 4 * int(hooked.record["memory"]))
    network, batches = xai.load(hooked), list[int]()
    real = network.running

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        batches.append(len(inputs["image"]))
        return real.run(inputs)

    network._running = replace(real, run=run, streams=streams)
    network.maps(np.zeros((8, 3, 6, 8), np.float32), [0] * 8)
    assert batches == expected
