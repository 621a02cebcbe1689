"""A vector, explained by its likeness to another: maps, gradients and refusals, against the definition one cell at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from command import ovxai
from onnx.reference import ReferenceEvaluator
from tiny import DIALECTS, FEATURES, HEAD, LINEAR, STEM, Oracle, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.contract import MEASURES
from openvino_xai.errors import InputError, LayerError, ModelError, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.tail.tasks.likeness import VectorTarget, likeness

LENGTH = 5
STEP = 1e-6  # of features, in differences of scores
POOL = "p = GlobalAveragePool(f) logits = Identity(p)"
HEADS = {
    "linear": (HEAD.format("f"), "float[B,5] logits", LENGTH),
    "pooled, [B, E, 1, 1]": (POOL, "float[B,4,1,1] logits", FEATURES),
    "channels last, [B, 1, 1, E]": (
        "p = GlobalAveragePool(f) logits = Transpose<perm=[0,2,3,1]>(p)",
        "float[B,1,1,4] logits",
        FEATURES,
    ),
    "of length 1": (
        "p = GlobalAveragePool(f) v = Flatten(p) n = ReduceL2<axes=[1], keepdims=1>(v) m = Max(n, e) logits = Div(v, m)",
        "float[B,4] logits",
        FEATURES,
    ),
}


def embedder(head: str = "linear", batch: int | str = "B") -> onnx.ModelProto:
    body, output, _ = HEADS[head]
    weights: dict[str, Any] = LINEAR if head == "linear" else {"w0": LINEAR["w0"]}
    if head == "of length 1":
        weights["e"] = np.array(1e-12, np.float32)  # as torch has it, for vectors of zeros
    return tiny(STEM + body, output=output, batch=batch, **weights)


@dataclass(frozen=True)
class VectorOracle(Oracle):
    """The likeness of one cell's vector to another, by the textbook."""

    layer: str = "f"
    vector: np.ndarray = field(default_factory=lambda: np.zeros(0))
    measure: str = "cosine"

    def scores(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(self.model))
        part = extractor.extract_model([self.layer], [self.output])
        for weights in part.graph.initializer:  # in f64, for differences
            array = onnx.numpy_helper.to_array(weights)
            wide = array.astype(np.float64) if array.dtype.kind == "f" else array
            weights.CopyFrom(onnx.numpy_helper.from_array(wide, weights.name))
        y = ReferenceEvaluator(part).run(None, {self.layer: features.astype(np.float64)})[0].reshape(-1)
        product = float(y @ self.vector)
        lengths = float(np.linalg.norm(y) * np.linalg.norm(self.vector))
        return np.array([product if self.measure == "dot" else product / lengths if lengths else 0.0])

    def grad_cam(self, image: np.ndarray) -> np.ndarray:
        """[H, W]: by differences of the score, one element of the features at a time."""
        features = self.features(image).astype(np.float64)
        slopes = np.zeros_like(features)
        for place in np.ndindex(*features.shape):
            step = np.zeros_like(features)
            step[place] = STEP
            slopes[place] = (self.scores(features + step, image) - self.scores(features - step, image))[0] / (2 * STEP)
        y = np.maximum((slopes.mean(axis=(2, 3), keepdims=True) * features).sum(axis=1)[0], 0)
        return np.asarray((y - y.min()) / (y.max() - y.min()))


def hooked(model: onnx.ModelProto, dialect: str, **options: Any) -> Any:
    return xai.load(xai.insert(in_dialect(model, dialect), targets="vector", layer="f", **options))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.slow
def test_maps_are_the_likeness_of_each_cell(head: str, measure: str, dialect: str) -> None:
    model = embedder(head)
    image, vectors = images(model, 2), np.random.default_rng(1).normal(size=(2, HEADS[head][2])).astype(np.float32)
    outputs = hooked(model, dialect, similarity=measure)(image, vectors=vectors)
    oracles = [VectorOracle(model, vector=vector, measure=measure) for vector in vectors]
    true = np.concatenate([oracle.unit(item[None]) for oracle, item in zip(oracles, image, strict=True)])
    np.testing.assert_allclose(outputs["saliency_map"], true, atol=1e-4)
    other = VectorOracle(model, vector=-vectors[0], measure=measure).unit(image[:1])
    assert np.abs(outputs["saliency_map"][:1] - other).max() > 0.1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.slow
def test_gradients_are_slopes_of_the_likeness(head: str, measure: str, dialect: str) -> None:
    model = embedder(head)
    image, vectors = images(model, 2), np.random.default_rng(2).normal(size=(2, HEADS[head][2])).astype(np.float32)
    maps = hooked(model, dialect, similarity=measure, method="grad_cam")(image, vectors=vectors)["saliency_map"][:, 0]
    for item, vector, saliency in zip(image, vectors, maps, strict=True):
        true = VectorOracle(model, vector=vector, measure=measure).grad_cam(item[None])
        np.testing.assert_allclose(saliency, true, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "method",
    ["ablation_cam", "layer_cam", "hires_cam", "xgrad_cam", "grad_cam_plus_plus", "smooth_grad_cam_plus_plus", "abs_cam"],
)
def test_other_methods_are_verified(method: str, dialect: str) -> None:
    result = xai.insert(in_dialect(embedder(), dialect), targets="vector", layer="f", method=method)
    assert result.verified is not None and result.verified.difference < 1e-4
    assert result.record["task"] == "vector" and result.record["score"] == "cosine"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cam_takes_the_product_alone(dialect: str) -> None:
    model, vector = embedder(), np.arange(LENGTH, dtype=np.float32)[None]
    with pytest.raises(InputError, match="a cosine is not"):
        hooked(model, dialect, method="cam")
    maps = hooked(model, dialect, method="cam", similarity="dot")(images(model, 1), vectors=vector)["saliency_map"]
    np.testing.assert_allclose(maps, VectorOracle(model, vector=vector[0], measure="dot").unit(images(model, 1)), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_likeness_is_seen(method: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "scores_of" if method == "reciprocam" else "adjoint"
    real = getattr(VectorTarget, broken)

    def squared(target: VectorTarget, xp: Any, *operands: Any, **options: Any) -> Value:
        return xp.maximum(real(target, xp, *operands, **options), 0.01)

    monkeypatch.setattr(VectorTarget, broken, squared)
    with pytest.raises(VerificationError):
        hooked(embedder(), dialect, method=method)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_bytes_are_read_ahead_of_what_rounds_them(dialect: str) -> None:
    body = STEM + "p = GlobalAveragePool(f) v = Flatten(p) logits = QuantizeLinear(v, s, z)"
    quantised = {"s": np.array(0.02, np.float32), "z": np.array(7, np.uint8)}
    model = tiny(body, output="uint8[B,4] logits", w0=LINEAR["w0"], **quantised)
    network = hooked(model, dialect)
    image, vectors = images(model, 2), np.random.default_rng(1).normal(size=(2, FEATURES)).astype(np.float32)
    maps = network(image, vectors=vectors)["saliency_map"]
    floats = embedder("pooled, [B, E, 1, 1]")
    true = [VectorOracle(floats, vector=vector).unit(item[None])[0] for item, vector in zip(image, vectors, strict=True)]
    np.testing.assert_allclose(maps, true, atol=1e-4)
    plain = ReferenceEvaluator(floats).run(None, {"image": image})[0].reshape(2, -1)
    np.testing.assert_allclose(network.vectors(image), plain, atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bytes_of_which_nothing_is_known_are_refused(dialect: str) -> None:
    body = STEM + "p = GlobalAveragePool(f) v = Flatten(p) h = Mul(v, s) logits = Cast<to=2>(h)"
    model = tiny(body, output="uint8[B,4] logits", w0=LINEAR["w0"], s=np.array(9, np.float32))
    with pytest.raises(ModelError, match="holds uint8, and the model does not tell which numbers"):
        xai.insert(in_dialect(model, dialect), targets="vector")


def test_what_vectors_do_not_have_is_refused() -> None:
    model = embedder()
    for options, message in (
        ({"score": "softmax"}, "a vector has a similarity"),
        ({"similarity": "euclid"}, "similarity 'euclid' is not known"),
        ({"gate": True}, "one of both"),
        ({"scores": "absent"}, "no output 'absent'"),
    ):
        with pytest.raises((InputError, ModelError), match=message):
            xai.insert(model, targets="vector", **options)
    with pytest.raises(InputError, match="for vectors alone"):
        xai.insert(model, similarity="dot")
    with pytest.raises(ModelError, match="0 of the model's outputs can be a vector"):
        xai.insert(tiny(STEM + "logits = Identity(f)", output="float[B,4,6,8] logits", w0=LINEAR["w0"]), targets="vector")
    with pytest.raises(LayerError):
        xai.insert(model, targets="vector", layer="nowhere")
    network = xai.load(xai.insert(model, targets="vector"))
    with pytest.raises(InputError, match="an image against another"):
        network.explain(np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"vectors are \[1, 3\]; \[1, 5\] are expected"):
        network(images(model, 1), vectors=np.zeros((1, 3)))  # type: ignore[call-arg]
    for ask in (lambda: network.predict(images(model, 1)), lambda: network.maps(images(model, 1), [0])):
        with pytest.raises(InputError, match="explains vector, and what is asked for is of classes of images"):
            ask()
    with pytest.raises(InputError, match="explains no vectors"):
        xai.load(xai.insert(model)).match(np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8, 3), np.uint8))


def test_a_vector_of_zeros_is_like_nothing() -> None:
    zeros, other = np.zeros((1, 3)), np.array([[3.0, 0.0, 4.0]])
    assert likeness(zeros, other, "cosine") == likeness(other, zeros, "cosine") == 0
    assert likeness(other, other, "cosine") == pytest.approx(1) and likeness(other, other, "dot") == 25
    assert likeness(1e-200 * other, 1e200 * other, "cosine") == pytest.approx(1)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", ["B", 1, 3])
@pytest.mark.slow
def test_two_photos_are_explained_to_each_other(batch: int | str, dialect: str) -> None:
    model = embedder(batch=batch)
    network = hooked(model, dialect)
    photos = np.random.default_rng(5).integers(0, 256, (2, 6, 8, 3), np.uint8)
    match, back = network.match(photos[0], photos[1]), network.match(photos[1], photos[0])
    assert match.similarity == pytest.approx(back.similarity)
    np.testing.assert_allclose(match.maps[0], back.maps[1], atol=1e-6)
    samples = np.concatenate([network.prepare(photo) for photo in photos])
    free = embedder()
    plain = ReferenceEvaluator(free).run(None, {"image": samples})[0].astype(np.float64)
    assert match.similarity == pytest.approx(
        plain[0] @ plain[1] / np.linalg.norm(plain[0]) / np.linalg.norm(plain[1]), abs=1e-5
    )
    for side in (0, 1):
        true = VectorOracle(free, vector=plain[1 - side]).unit(samples[side : side + 1])[0, 0]
        np.testing.assert_allclose(match.maps[side], true, atol=1e-3)
    assert match.grid().ndim == 3


@pytest.mark.slow
def test_the_command_draws_both_and_says_how_like_they_are(tmp_path: Path) -> None:
    onnx.save(embedder(), tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), rng.integers(0, 256, (12, 16, 3), np.uint8))
    ask = ["explain", "-m", tmp_path / "m.onnx", "-i", tmp_path / "a.png", "-i", tmp_path / "b.png", "-o", tmp_path / "out"]
    done = ovxai(*ask, "--against", tmp_path / "c.png", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["image"]).stem for line in lines] == ["a", "b"]
    assert all(-1 <= line["similarity"] <= 1 and line["measure"] == "cosine" for line in lines)
    names = [Path(target["overlay"]).name for target in lines[0]["targets"]]
    assert names == ["a_like_c.png", "a_in_c.png"] and all((tmp_path / "out" / name).is_file() for name in names)
    assert "are explained already" in ovxai(*ask, "--against", tmp_path / "c.png").stderr
    again = ovxai(*ask, "--against", tmp_path / "b.png", "--similarity", "dot")
    assert again.stdout.count("dot ") == 2 and "a-2_like_b.png" in again.stdout
    for more, message in (
        (["--against", tmp_path / "m.onnx"], "m.onnx"),
        (["--similarity", "dot"], "--against"),
        (["--against", tmp_path / "c.png", "--targets", "1"], "are for classes"),
        (["--against", tmp_path / "c.png", "--method", "rise"], "rise of"),
    ):
        refused = ovxai(*ask, *more, status=2)
        assert message in refused.stderr
