"""Classes of pixels, explained over regions: maps and gradients against the definition, one cell at a time, and refusals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from command import ovxai
from onnx.reference import ReferenceEvaluator
from tiny import DIALECTS, LINEAR, STEM, Oracle, images, in_dialect, tiny
from tiny_detectors import CASES as DETECTORS

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, LayerError, ModelError, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.locate.located import Where
from openvino_xai.locate.tasks import regions
from openvino_xai.operations.resizing import weights_along
from openvino_xai.surgery.task import tells_pixels
from openvino_xai.tail.tasks.regions import Regions, RegionTarget

CLASSES, SIZE = 5, (12, 16)
STEP = 1e-6
HEAD = "d = Conv<pads=[1,1,1,1]>(f, w1) e = Relu(d) l = Conv(e, w2) "
RESIZED = HEAD + 'z = Resize<mode="linear", coordinate_transformation_mode="{}">(l, , , n) '
HALF, CORNERS = RESIZED.format("half_pixel"), RESIZED.format("align_corners")
HEADS: dict[str, tuple[str, str, str]] = {  # the body, its output, and which value holds the logits of pixels
    "as large as the features": (HEAD + "logits = Identity(l)", "float[B,5,6,8] logits", "l"),
    "resized": (HALF + "logits = Identity(z)", "float[B,5,12,16] logits", "z"),
    "softmax": (CORNERS + "logits = Softmax<axis=1>(z)", "float[B,5,12,16] logits", "z"),
    "index of the largest": (HALF + "logits = ArgMax<axis=1, keepdims=0>(z)", "int64[B,12,16] logits", "z"),
    "index, an axis of 1": (HALF + "logits = ArgMax<axis=1, keepdims=1>(z)", "int64[B,1,12,16] logits", "z"),
    "channels last": (HALF + "logits = Transpose<perm=[0,2,3,1]>(z)", "float[B,12,16,5] logits", "z"),
}
WEIGHTS: dict[str, Any] = {"w0": LINEAR["w0"], "w1": (4, 4, 3, 3), "w2": (CLASSES, 4, 1, 1)}


DECODED = (  # two grids, with what the finer one held handed on
    "p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(f) d = Conv<pads=[1,1,1,1]>(p, w1) e = Relu(d) "
    "u = ConvTranspose<strides=[2,2]>(e, w3) j = Concat<axis=1>(f, u) g = Conv<pads=[1,1,1,1]>(j, w4) z = Conv(g, w5) "
    "logits = Identity(z)"
)
DECODER: dict[str, Any] = {"w3": (4, 4, 2, 2), "w4": (4, 8, 3, 3), "w5": (CLASSES, 4, 1, 1)}


def segmenter(head: str = "resized", batch: int | str = "B") -> onnx.ModelProto:
    body, output, _ = HEADS[head]
    sizes = {} if head == "as large as the features" else {"n": np.array([2 if batch == "B" else batch, CLASSES, *SIZE])}
    return tiny(STEM + body, output=output, batch=2 if batch == "B" else batch, **WEIGHTS, **sizes)


@dataclass(frozen=True)
class RegionOracle(Oracle):
    """The mean logit of classes over regions [K, H, W], of what the tail makes of one cell, enlarged as the model does."""

    layer: str = "f"
    output: str = "z"
    classes: tuple[int, ...] = ()
    regions: np.ndarray | None = None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """[C, H, W], f64."""
        extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(self.model))
        part = extractor.extract_model([self.layer], [self.output])
        for weights in part.graph.initializer:
            array = onnx.numpy_helper.to_array(weights)
            batch = np.array([1, *array[1:]]) if weights.name == "n" else array
            wide = array.astype(np.float64) if array.dtype.kind == "f" else batch
            weights.CopyFrom(onnx.numpy_helper.from_array(wide, weights.name))
        return np.asarray(ReferenceEvaluator(part).run(None, {self.layer: features.astype(np.float64)})[0][0])

    def scores(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        assert self.regions is not None
        logits = self.logits(features)[list(self.classes)]
        return np.asarray((logits * self.regions).sum(axis=(1, 2)) / np.maximum(self.regions.sum(axis=(1, 2)), 1))

    def predicted(self, image: np.ndarray) -> np.ndarray:
        """[H, W]: the class of each pixel."""
        return np.asarray(self.logits(self.features_of(image)).argmax(axis=0))

    def features_of(self, image: np.ndarray) -> np.ndarray:
        """The layer's value for one image, of a model that takes two."""
        return self.features(np.concatenate([image, image]))[:1]

    def of_classes(self, image: np.ndarray, classes: tuple[int, ...]) -> RegionOracle:
        """The oracle of classes over the pixels that the model takes for them."""
        predicted = self.predicted(image)
        regions = np.stack([predicted == k for k in classes])
        return RegionOracle(self.model, output=self.output, classes=classes, regions=regions)

    def reciprocam(self, image: np.ndarray) -> np.ndarray:
        """[K, h, w]: raw scores."""
        features = self.features_of(image)
        height, width = features.shape[2:]
        maps = np.zeros((len(self.classes), height, width))
        for h, w in np.ndindex(height, width):
            alone = np.zeros_like(features)
            alone[:, :, h, w] = features[:, :, h, w]
            maps[:, h, w] = self.scores(alone, image)
        return maps

    def layer_cam(self, image: np.ndarray) -> np.ndarray:
        """[K, h, w] in [0, 1]: positive differences of the score, times the features."""
        features = self.features_of(image).astype(np.float64)
        slopes = np.zeros((len(self.classes), *features.shape[1:]))
        for place in np.ndindex(*features.shape):
            step = np.zeros_like(features)
            step[place] = STEP
            slopes[(slice(None), *place[1:])] = (self.scores(features + step, image) - self.scores(features - step, image)) / (
                2 * STEP
            )
        y = np.maximum((np.maximum(slopes, 0) * features).sum(axis=1), 0)
        low, high = y.min(axis=(1, 2), keepdims=True), y.max(axis=(1, 2), keepdims=True)
        return np.asarray((y - low) / np.where(high > low, high - low, 1))


def hooked(model: onnx.ModelProto, dialect: str, **options: Any) -> Any:
    return xai.load(xai.insert(in_dialect(model, dialect), layer="f", **options))


def oracle_of(head: str) -> RegionOracle:
    return RegionOracle(segmenter(head), output=HEADS[head][2])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.slow
def test_maps_are_what_a_cell_alone_leaves_of_the_region(head: str, dialect: str) -> None:
    model = segmenter(head)
    image = images(model, 2)
    outputs = hooked(model, dialect, method="reciprocam", targets="all", scale="none")(image)
    classes = tuple(range(CLASSES))
    for item, maps in zip(image, outputs["saliency_map"], strict=True):
        oracle = oracle_of(head).of_classes(item[None], classes)
        true = oracle.reciprocam(item[None])
        np.testing.assert_allclose(maps, true, atol=1e-5)
        assert np.abs(maps - true[::-1]).max() > 0.1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.slow
def test_gradients_go_through_what_enlarges(head: str, dialect: str) -> None:
    model = segmenter(head)
    image = images(model, 2)
    outputs = hooked(model, dialect, method="layer_cam", targets="top:3")(image)
    for item, maps, ids in zip(image, outputs["saliency_map"], outputs["saliency_class"], strict=True):
        predicted = oracle_of(head).predicted(item[None])
        areas = np.bincount(predicted.reshape(-1), minlength=CLASSES)
        present = [int(k) for k in ids if k >= 0]
        assert [areas[k] for k in present] == [area for area in sorted(areas, reverse=True)[:3] if area]
        true = oracle_of(head).of_classes(item[None], tuple(present)).layer_cam(item[None])
        np.testing.assert_allclose(maps[: len(present)], true, atol=1e-4)
        assert not maps[len(present) :].any()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["reciprocam", "layer_cam"])
@pytest.mark.slow
def test_a_mask_is_told_at_run_time(method: str, dialect: str) -> None:
    model, rng = segmenter(), np.random.default_rng(3)
    image, masks = images(model, 2), rng.random((2, *SIZE)) < 0.3
    masks[1] = False
    masks[1, 4, 9] = True  # one pixel
    network = hooked(model, dialect, method=method, targets="asked")
    maps = network(image, classes=np.array([2, 4]), masks=masks)["saliency_map"]
    for item, k, mask, saliency in zip(image, (2, 4), masks, maps, strict=True):
        oracle = RegionOracle(model, classes=(k,), regions=mask[None])
        true = oracle.layer_cam(item[None]) if method == "layer_cam" else oracle.reciprocam(item[None])
        if method == "reciprocam":
            true = (true - true.min()) / (true.max() - true.min())
        np.testing.assert_allclose(saliency, true, atol=1e-4)
    assert not network(image, classes=np.array([2, 4]))["saliency_map"].any()
    with pytest.raises(InputError, match=r"masks are \[2, 3\]"):
        network(image, masks=np.zeros((2, 3), bool))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["1,3", "all", "top:2", "asked"])
@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "ablation_cam", "reciprocam"])
@pytest.mark.slow
def test_all_ways_are_verified(method: str, targets: str, dialect: str) -> None:
    for head in ("softmax", "channels last"):
        result = xai.insert(in_dialect(segmenter(head), dialect), layer="f", method=method, targets=targets)
        assert result.verified is not None and result.verified.difference < 1e-4
        assert result.record["task"] == "regions"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["reciprocam", "layer_cam"])
def test_a_wrong_region_is_seen(method: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken: tuple[type, str] = (RegionTarget, "scores_of") if method == "reciprocam" else (Regions, "seed_of_rows")
    real = getattr(*broken)

    def bent(target: Any, xp: Any, *operands: Any, **options: Any) -> Value:
        return xp.maximum(real(target, xp, *operands, **options), 0.01)

    monkeypatch.setattr(*broken, bent)
    with pytest.raises(VerificationError):
        hooked(segmenter(), dialect, method=method)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("node", ["ArgMin", "Resize"])
def test_a_way_from_the_logits_that_is_misread_is_seen(node: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if node == "Resize":
        monkeypatch.setattr(regions, "weights_along", lambda node, axis: weights_along(node, axis)[::-1])
        with pytest.raises(VerificationError, match="of another class than the largest"):
            xai.insert(in_dialect(segmenter(), dialect))
        return
    body, output, _ = HEADS["index of the largest"]
    weights = {**WEIGHTS, "n": np.array([2, CLASSES, *SIZE])}
    model = tiny(STEM + body.replace("ArgMax", "ArgMin"), output=output, batch=2, **weights)
    with pytest.raises((VerificationError, ModelError)):
        xai.insert(in_dialect(model, dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_other_classes_than_the_largest_are_seen(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = RegionTarget.outputs

    def swapped(target: RegionTarget, xp: Any, selection: Regions) -> dict[str, Value]:
        return {name: xp.subtract(np.int64(CLASSES - 1), value) for name, value in real(target, xp, selection).items()}

    monkeypatch.setattr(RegionTarget, "outputs", swapped)
    with pytest.raises(VerificationError, match="largest predicted regions"):
        hooked(segmenter(), dialect)


def test_the_chosen_layer_lies_ahead_of_what_mixes_cells() -> None:
    result = xai.insert(segmenter())
    assert result.record["method"] == "layer_cam" and result.record["targets"] == "top:3"
    tail = [node.op_type for node in segmenter().graph.node]
    names = [node.name or node.output[0] for node in result.model.graph.node]
    assert tail[names.index(result.layer.name)] == "Relu" and names.index(result.layer.name) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_a_decoder_is_followed(dialect: str) -> None:
    weights = {"w0": LINEAR["w0"], "w1": WEIGHTS["w1"], **DECODER}
    model = tiny(STEM + DECODED, output="float[B,5,6,8] logits", batch=2, **weights)
    image = images(model, 2)
    result = xai.insert(in_dialect(model, dialect))
    assert result.layer.shape == (2, 8, 6, 8)  # the last ahead of the convolution over both
    with pytest.raises(LayerError, match="reciprocam has its price for each cell"):
        xai.insert(in_dialect(model, dialect), method="reciprocam")
    outputs = hooked(model, dialect, targets="0,1,2,3,4")(image)
    for item, maps in zip(image, outputs["saliency_map"], strict=True):
        true = RegionOracle(model).of_classes(item[None], tuple(range(CLASSES))).layer_cam(item[None])
        np.testing.assert_allclose(maps, true, atol=1e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_a_single_class_is_there_where_its_probability_is_above_a_half(dialect: str) -> None:
    weights = {**WEIGHTS, "w2": (1, 4, 1, 1)}
    model = tiny(STEM + HEAD + "logits = Sigmoid(l)", output="float[B,1,6,8] logits", batch=2, **weights)
    image = images(model, 2)
    network = hooked(model, dialect, method="reciprocam", targets="all", scale="none")
    for item, maps in zip(image, network(image)["saliency_map"], strict=True):
        oracle = RegionOracle(model, output="l")
        region = oracle.logits(oracle.features_of(item[None])) > 0
        true = RegionOracle(model, output="l", classes=(0,), regions=region).reciprocam(item[None])
        np.testing.assert_allclose(maps, true, atol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_no_detector_is_taken_for_a_segmenter(name: str) -> None:
    assert not tells_pixels(open_model(DETECTORS[name](1).model), Where())
    assert tells_pixels(open_model(segmenter()), Where())


@pytest.mark.slow
def test_what_cannot_be_regions_is_refused() -> None:
    two = tiny(
        STEM + HEAD + "logits = Identity(l) other = Relu(l)",
        output="float[B,5,6,8] logits, float[B,5,6,8] other",
        batch=2,
        **WEIGHTS,
    )
    with pytest.raises(ModelError):
        xai.insert(two)
    assert xai.insert(two, scores="logits", layer="f").record["scores"] == "logits"
    with pytest.raises(InputError, match="class 7 is not there"):
        xai.insert(segmenter(), targets="7")
    network = xai.load(xai.insert(segmenter(), targets="1,2", layer="f"))
    with pytest.raises(InputError, match="explains regions, and what is asked for is of classes of images"):
        network.predict(images(segmenter(), 2))
    with pytest.raises(InputError, match="class 4 is not explained"):
        network.explain(np.zeros((6, 8, 3), np.uint8), targets="4")


@pytest.mark.slow
def test_the_command_draws_regions(tmp_path: Path) -> None:
    onnx.save(segmenter(batch=1), tmp_path / "m.onnx")
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    ask = ["explain", "-m", tmp_path / "m.onnx", "-i", tmp_path / "a.png", "-o", tmp_path / "out"]
    (line,) = [json.loads(text) for text in ovxai(*ask, "--json").stdout.splitlines()]
    areas = [target["area"] for target in line["targets"]]
    assert areas == sorted(areas, reverse=True) and 0 < sum(areas) <= 1
    assert all(Path(target["overlay"]).is_file() and Path(target["map"]).is_file() for target in line["targets"])
    assert "%" in ovxai(*ask, "--again").stdout
    assert "those of pixels" in ovxai(*ask, "--again", "--report", tmp_path / "r.html", status=2).stderr
    ovxai("insert", "-m", tmp_path / "m.onnx", "-o", tmp_path / "h.onnx", "--targets", "asked", "--layer", "f")
    hooked_ask = ["explain", "-m", tmp_path / "h.onnx", "-i", tmp_path / "a.png", "-o", tmp_path / "asked", "--json"]
    by_mask = json.loads(ovxai(*hooked_ask).stdout)
    assert [target["id"] for target in by_mask["targets"]][: len(areas)] == [target["id"] for target in line["targets"]]
