"""Contrasts of classes in the deployed file: each method is held to what it makes of a model whose last layer subtracts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from command import ovxai
from tiny import CASES, DIALECTS, LINEAR, STEM, Oracle, images, in_dialect, tiny
from tiny_transformers import Transformer
from two_heads import shared

import openvino_xai as xai
from openvino_xai.errors import ImageError, InputError, ModelError, PlanError, VerificationError
from openvino_xai.evaluate.compare import compare
from openvino_xai.hooks import BUILT_IN, METHODS
from openvino_xai.render.report_image import COARSE, report_image
from openvino_xai.tail.target import Contrasts
from openvino_xai.tail.tasks.contrasts import ContrastTarget, Differences

BODY = "f = Conv(image, k) r = Relu(f) g = Conv<pads=[1,1,1,1]>(r, m) s = Sigmoid(g) p = GlobalAveragePool(s) v = Flatten(p) "
HEAD, PAIRS, TARGETS = "logits = Gemm<transB=1>(v, w, b)", [(3, 0), (1, 4)], "3-0,1-4"
SHAPES = {"k": (4, 3, 1, 1), "m": (4, 4, 3, 3)}
RNG = np.random.default_rng(9)
WEIGHTS, ADDENDS = RNG.normal(0, 1, (5, 4)).astype(np.float32), RNG.normal(0, 1, 5).astype(np.float32)
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
LABELS = ["cat", "t-shirt", "tabby, tiger cat", "dog", 'sea "lion"\nx']


def model(body: str = BODY, **weights: Any) -> onnx.ModelProto:
    shapes = {name: shape for name, shape in SHAPES.items() if f" {name})" in body}
    return tiny(body + HEAD, **{**shapes, "w": WEIGHTS, "b": ADDENDS, **weights})


def subtracted(body: str = BODY) -> onnx.ModelProto:
    """The same model, whose classes are the differences: the last layer has the difference of two rows for a row."""
    first, second = (list(side) for side in zip(*PAIRS, strict=True))
    return model(body, w=WEIGHTS[first] - WEIGHTS[second], b=ADDENDS[first] - ADDENDS[second], output="float[B,2] logits")


FAST = ("reciprocam", "grad_cam", "input_gradient")
OF_LOGITS = sorted(
    name
    for name, method in BUILT_IN.items()
    if name not in ("vit_reciprocam", "abs_cam", "finer_cam")
    and method.score != "none"
    and not method.linear
    and not method.attention
)
OF_ATTENTION = [name for name, method in BUILT_IN.items() if method.attention and method.score != "none"]


@pytest.mark.slow
@pytest.mark.parametrize("method", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in OF_LOGITS])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_are_subtracted_ahead_of_what_a_method_does(method: str, dialect: str) -> None:
    options: dict[str, Any] = {"method": method, "layer": None if METHODS[method].of_elements else "r", "score": "logit"}
    options |= {"scale": "none", **({"steps": 3} if method == "integrated_gradients" else {})}
    batch = images(model(), 3)
    results = xai.load(xai.insert(in_dialect(model(), dialect), targets=TARGETS, **options))(batch)
    expected = xai.load(xai.insert(in_dialect(subtracted(), dialect), targets="all", **options))(batch)
    for name in ("saliency_map", *(["gradient"] if METHODS[method].of_elements else [])):
        size = np.abs(expected[name]).max()
        assert size > 0
        np.testing.assert_allclose(results[name], expected[name], atol=1e-4 * size)


@pytest.mark.slow
@pytest.mark.parametrize("method", OF_ATTENTION)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_methods_of_attention(method: str, dialect: str) -> None:
    network, twin = (Transformer().build("B") for _ in range(2))
    first, second = PAIRS[0]
    for item in twin.graph.initializer:
        if item.name in ("w", "b"):  # class 0 is the difference
            rows = onnx.numpy_helper.to_array(item).copy()
            rows[0] = rows[first] - rows[second]
            item.CopyFrom(onnx.numpy_helper.from_array(rows, item.name))
    batch, options = images(network, 2), {"method": method, "score": "logit", "scale": "none"}
    results = xai.load(xai.insert(in_dialect(network, dialect), targets="3-0", **options))(batch)
    expected = xai.load(xai.insert(in_dialect(twin, dialect), targets="0", **options))(batch)
    size = np.abs(expected["saliency_map"]).max()
    assert size > 0
    np.testing.assert_allclose(results["saliency_map"], expected["saliency_map"], atol=1e-4 * size)


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name, method in BUILT_IN.items() if method.linear])
def test_methods_for_linear_tails(method: str) -> None:
    body = "f = Conv(image, k) r = Relu(f) p = GlobalAveragePool(r) v = Flatten(p) "
    options: dict[str, Any] = {"method": method, "layer": "r", "scale": "none"}
    batch = images(model(body), 2)
    results = xai.load(xai.insert(model(body), targets=TARGETS, **options))(batch)
    expected = xai.load(xai.insert(subtracted(body), targets="all", **options))(batch)
    np.testing.assert_allclose(results["saliency_map"], expected["saliency_map"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_class_weights_of_a_linear_tail_are_subtracted(dialect: str) -> None:
    body = "f = Conv(image, k) r = Relu(f) p = GlobalAveragePool(r) v = Flatten(p) "
    batch = images(model(body), 2)
    hooked = xai.insert(in_dialect(model(body), dialect), method="cam", layer="r", targets=TARGETS, scale="none")
    kernel = onnx.numpy_helper.to_array(model(body).graph.initializer[0])[:, :, 0, 0]
    features = np.maximum(np.einsum("bchw,oc->bohw", batch, kernel), 0)
    expected = [
        np.einsum("c,bchw->bhw", (WEIGHTS[a] - WEIGHTS[b]) / features[0, 0].size, features) + ADDENDS[a] - ADDENDS[b]
        for a, b in PAIRS
    ]
    np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], np.stack(expected, axis=1), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_probabilities_of_masked_cells_are_subtracted(dialect: str, score: str) -> None:
    case = CASES["pool and linear"].build("B", 17)
    batch, true = images(case, 2), Oracle(case, "f", score).raw(images(case, 2))
    for scale in ("none", "unit"):
        hooked = xai.insert(in_dialect(case, dialect), layer="f", targets="4-1,0-2", score=score, scale=scale)
        expected = true[:, [4, 0]] - true[:, [1, 2]]
        if scale == "unit":
            low, high = (end(expected, axis=(2, 3), keepdims=True) for end in (np.min, np.max))
            expected = (expected - low) / (high - low)
        np.testing.assert_allclose(xai.load(hooked)(batch)["saliency_map"], expected, atol=1e-4)
        assert hooked.record["targets"] == "4-1,0-2"
        assert hooked.record["score"] == score


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vit_reciprocam", "abs_cam"])
def test_what_is_linear_in_the_scores_is_a_difference_of_maps(method: str) -> None:
    network = Transformer().build("B") if method == "vit_reciprocam" else model()
    options: dict[str, Any] = {"method": method, "scale": "none", "layer": None if method == "vit_reciprocam" else "r"}
    batch = images(network, 2)
    first, second, contrast = (
        xai.load(xai.insert(network, targets=targets, **options))(batch)["saliency_map"] for targets in ("0", "2", "0-2")
    )
    np.testing.assert_allclose(contrast, first - second, atol=1e-5 * np.abs(first).max())
    assert np.abs(contrast).max() > 1e-3 * np.abs(first).max()


@pytest.mark.parametrize("options", [{"portable": True}, {"gate": True}, {"grid": "3x4"}, {"plan": "direct"}])
def test_other_ways_to_make_a_hook(options: dict[str, Any]) -> None:
    case = CASES["pool and linear"].build("B", 17)
    layer = {"layer": "f", "scale": "none"}
    true = xai.load(xai.insert(case, targets="all", **layer, **({"grid": "3x4"} if "grid" in options else {})))(images(case, 2))
    results = xai.load(xai.insert(case, targets="4-1", **layer, **options))(images(case, 2))
    expected = true["saliency_map"][:, 4] - true["saliency_map"][:, 1]
    np.testing.assert_allclose(results["saliency_map"][:, 0], expected, atol=1e-6)


def test_two_heads_have_contrasts_of_their_own() -> None:
    hooked = xai.insert(shared(), scores=["color", "shape"], targets="0-1", layer="f", scale="none")
    of_classes = xai.load(
        xai.insert(shared(), scores=["color", "shape"], targets="all", layer="f", scale="none"), scores="color"
    )
    batch = images(shared(), 2)
    maps = of_classes(batch)["saliency_map"]
    np.testing.assert_allclose(
        xai.load(hooked, scores="color")(batch)["saliency_map"][:, 0], maps[:, 0] - maps[:, 1], atol=1e-6
    )


def broken_seed(self: Differences, xp: Any, rows: Any, dtype: Any) -> Any:
    return xp.multiply(SEED(self, xp, rows, dtype), -1.0)


SEED = Differences.seed_of_rows
BROKEN: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "rows are added": (Differences, "taken", lambda self, xp, scores: xp.add(*sides(self, xp, scores))),
    "rows are turned": (Differences, "taken", lambda self, xp, scores: xp.subtract(*sides(self, xp, scores)[::-1])),
    "seeds are turned": (Differences, "seed_of_rows", broken_seed),
    "the second class is left out": (
        Differences,
        "seed_of_rows",
        lambda self, xp, rows, dtype: xp.maximum(SEED(self, xp, rows, dtype), 0.0),
    ),
    "nothing squashes the slopes": (ContrastTarget, "adjoint", lambda self, xp, y, g: g),
}


def sides(self: Differences, xp: Any, scores: Any) -> tuple[Any, Any]:
    place = {k: index for index, k in enumerate(self.pick.ids)}
    first, second = (xp.take(scores, np.array([place[k] for k in side]), axis=2) for side in zip(*self.pick.pairs, strict=True))
    return first, second


@pytest.mark.slow
@pytest.mark.parametrize("rule", BROKEN)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_broken_rule_is_seen(rule: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, name, broken = BROKEN[rule]
    monkeypatch.setattr(holder, name, broken)
    method = "reciprocam" if name == "taken" else "grad_cam"
    reason = "differ from their definition" if name == "taken" else r"the gradient of class (3-0|1-4) at layer 'r'"
    with pytest.raises(VerificationError, match=reason):
        xai.insert(in_dialect(model(), dialect), method=method, layer="r", targets=TARGETS, score="softmax", scale="none")


def test_scores_that_are_nearly_equal_are_no_reason_to_refuse() -> None:
    """Their difference is rounding: it is held to the scores that it is of."""
    alike = WEIGHTS.copy()
    alike[3], addends = alike[0] * (1 + 1e-7), ADDENDS.copy()
    addends[3] = addends[0]
    for score in ("softmax", "logit"):
        hooked = xai.insert(model(w=alike, b=addends), method="reciprocam", layer="r", targets="3-0", score=score)
        assert hooked.verified is not None


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ("3-3", "take a class from itself"),
        ("3-5", "class 5 is not there: the model has 5 classes, 0 to 4"),
        ("3-0,3-0", "name a contrast twice"),
        ("3-0,1", "contrasts and single classes are explained in turn"),
        ("3--0", "are not understood"),
        ("3-", "are not understood"),
        ("cat-dog", "are not understood"),
        ("3-0\n", "are not understood"),
        ("\u0663-\u0660", "are not understood"),
        ([(3, 0), 1], "ids, all, top:K"),
        ([(3, 0, 1)], "is no contrast"),
        ([(3, True)], "is no contrast"),
        ("0-1,1-2,2-3,3-4,4-0", "as many contrasts as classes"),
    ],
)
def test_what_is_no_contrast_is_refused(targets: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        xai.insert(model(), layer="r", targets=targets)


def test_methods_without_a_contrast_say_so() -> None:
    for method in ("activation_map", "eigen_cam"):
        with pytest.raises(InputError, match=f"{method} knows no classes: a contrast of two, 3-0, has nothing to tell apart"):
            xai.insert(model(), method=method, layer="r", targets="3-0")
    with pytest.raises(PlanError, match="finer_cam compares a class with others, and targets '3-0' .* take grad_cam"):
        xai.insert(model(), method="finer_cam", layer="r", targets="3-0")


def test_pixels_vectors_and_boxes_have_none() -> None:
    body = STEM + "d = Conv<pads=[1,1,1,1]>(f, w1) e = Relu(d) l = Conv(e, w2) logits = Identity(l)"
    sizes: dict[str, Any] = {"w0": LINEAR["w0"], "w1": (4, 4, 3, 3), "w2": (5, 4, 1, 1)}
    pixels = tiny(body, batch=2, output="float[B,5,6,8] logits", **sizes)
    with pytest.raises(InputError, match="tells classes of pixels, each explained over a region of its own"):
        xai.insert(pixels, targets="3-0")
    network = xai.load(xai.insert(pixels, targets="all"))
    with pytest.raises(InputError, match="contrast classes of images, and this model tells classes of pixels"):
        network.explain(PHOTO, targets="3-0")


def test_a_pair_of_ids_and_its_text_are_the_same() -> None:
    hooked = xai.insert(model(), layer="r", targets=[(3, 0), (1, 4)])
    assert hooked.record["targets"] == TARGETS
    assert Contrasts(tuple(PAIRS)).ids == (3, 0, 1, 4)


def test_a_hook_explains_its_contrasts() -> None:
    network = xai.load(xai.insert(model(), layer="r", targets=TARGETS))
    network.configure(labels=LABELS)
    explanation = network.explain(PHOTO)
    assert [target.label for target in explanation.targets] == ["dog, not cat", 't-shirt, not sea "lion"\nx']
    first = explanation.targets[0]
    assert isinstance(first, xai.Contrast)
    scores = network.predict(network.prepare(PHOTO))[0]
    assert (first.id, first.other.id) == (3, 0)
    assert first.to_dict()["other"] == {"id": 0, "label": "cat", "probability": round(scores[0], 6)}
    assert explanation.caption(0) == f"dog, not cat {scores[3]:.1%} - {scores[0]:.1%}"
    assert explanation.endings == ["_3-0_dog_not_cat", "_1-4_t-shirt_not_sea_lion_x"]
    assert network.explain(PHOTO, targets="1-4").maps.shape[0] == 1
    assert network.explain(PHOTO, targets=[("dog", "cat")]) == network.explain(PHOTO, targets="dog-cat")
    for targets in ("3", "top:2", "dog"):
        with pytest.raises(InputError, match="the hook explains contrasts of two: 3-0,1-4"):
            network.explain(PHOTO, targets=targets)
    with pytest.raises(InputError, match="the contrast 0-3 is not explained"):
        network.explain(PHOTO, targets="0-3")
    with pytest.raises(InputError, match="hook explains contrasts"):
        network.maps(network.prepare(PHOTO), [None])


def test_a_check_reads_the_difference() -> None:
    network = xai.load(xai.insert(model(), layer="r", targets="3-0"))
    (check,) = network.checked(network.explain(PHOTO)).checks or ()
    scores = network.predict(network.prepare(PHOTO))[0]
    assert check.score == pytest.approx(scores[3] - scores[0])


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    explanation = xai.load(xai.insert(model(), layer="r", targets=TARGETS)).explain(PHOTO)
    explanation.save(tmp_path / "contrast.npz")
    assert xai.Explanation.load(tmp_path / "contrast.npz") == explanation


def test_parts_that_are_none_are_refused() -> None:
    first, other = xai.Prediction(3, "dog", 0.5), xai.Prediction(0, "cat", float("nan"))
    explanation = xai.load(xai.insert(model(), layer="r", targets="3-0")).explain(PHOTO)
    with pytest.raises(ImageError, match="scores are not finite"):
        replace(explanation, targets=(xai.Contrast.of(first, other),))
    for wrong in (first, xai.Contrast.of(first, replace(other, probability=0.1)), 0, None):
        with pytest.raises(InputError, match="a class"):
            xai.Contrast(3, "dog, not cat", 0.5, wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_maps_of_classes_are_subtracted_only_where_that_is_the_contrast() -> None:
    case = CASES["pool and linear"].build("B", 17)
    expected = xai.load(xai.insert(case, layer="f", targets="4-1,0-2", scale="none")).explain(PHOTO)
    of_classes = xai.load(xai.insert(case, layer="f", scale="none")).explain(PHOTO, targets="4-1,0-2")
    np.testing.assert_allclose(of_classes.maps, expected.maps, atol=1e-6)
    assert of_classes.targets == expected.targets
    for options in ({"scale": "unit"}, {"scale": "none", "method": "grad_cam", "targets": "all"}, {"targets": "asked"}):
        network = xai.load(xai.insert(case, layer="f", **options))
        with pytest.raises(InputError, match="no difference of its maps means it; insert with targets 4-1"):
            network.explain(PHOTO, targets="4-1")


@pytest.mark.slow
def test_a_plain_model_gets_the_hook_that_its_labels_name() -> None:
    for targets, ids in (("t-shirt-dog", "1-3"), ("tabby, tiger cat-cat", "2-0"), ([("DOG", 4), (1, "cat")], "3-4,1-0")):
        explanation = xai.explain(model(), PHOTO, targets, layer="r", method="grad_cam", labels=LABELS)
        assert explanation.record["targets"] == ids
        assert [target.name for target in explanation.targets] == ids.split(",")
    assert xai.explain(model(), PHOTO, "t-shirt", layer="r", labels=LABELS).targets[0].id == 1


def test_a_file_is_explained_anew_where_labels_mean_other_classes(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    turned = [LABELS[k] for k in (3, 1, 2, 0, 4)]
    for labels, ids in ((LABELS, "3-0"), (turned, "0-3")):
        assert xai.explain(tmp_path / "m.onnx", PHOTO, "dog-cat", layer="r", labels=labels).record["targets"] == ids


def test_a_report_takes_a_contrast_for_no_class_that_is_predicted(tmp_path: Path) -> None:
    explanation = xai.load(xai.insert(model(), layer="r", targets=TARGETS)).explain(PHOTO)
    cv2.imwrite(str(tmp_path / "p.png"), PHOTO)
    line = {**explanation.to_dict(explanation.save(tmp_path / "out")), "image": str(tmp_path / "p.png")}
    image = report_image(line, str(tmp_path), COARSE)
    assert [target["id"] for target in image.facts["targets"]] == ["3-0", "1-4"]
    assert image.best is None


def test_measures_of_classes_refuse_a_hook_of_contrasts(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "p.png"), PHOTO)
    contrasts, classes = (xai.load(xai.insert(model(), layer="r", targets=targets)) for targets in (TARGETS, "all"))
    with pytest.raises(InputError, match="the hook explains 2 contrasts, 3-0,1-4, and one is measured: name it"):
        xai.metrics.case(contrasts, PHOTO)
    with pytest.raises(InputError, match="the hook explains contrasts of classes, 3-0,1-4, and the target is 2: name one"):
        xai.metrics.case(contrasts, PHOTO, 2)
    for pair in ((contrasts, classes), (classes, contrasts)):
        with pytest.raises(InputError, match="the hook explains contrasts of two"):
            list(compare(*pair, [tmp_path / "p.png"], lambda error: None))


def test_pages_of_classes_refuse_a_hook_of_contrasts(tmp_path: Path) -> None:
    xai.insert(model(), layer="r", targets=TARGETS).save(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="the hook explains contrasts of classes, 3-0,1-4"):
        xai.export(tmp_path / "m.onnx", tmp_path / "page", server="web")


def test_a_record_that_is_not_true_is_refused() -> None:
    hooked = xai.insert(model(), layer="r", targets=TARGETS).model
    for item in hooked.metadata_props:
        item.value = item.value.replace(TARGETS, "3-0,1-9")
    with pytest.raises(ModelError, match=r"its entry 'targets' is '3-0,1-9'"):
        xai.load(hooked)


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    cv2.imwrite(str(tmp_path / "p.png"), PHOTO)
    (tmp_path / "labels.txt").write_text("\n".join(["cat", "t-shirt", "tabby, tiger cat", "dog", "sea lion"]))
    ovxai("insert", "--model", tmp_path / "m.onnx", "--layer", "r", "--targets", "3-0", "--output", tmp_path / "h.onnx")
    explain = ("explain", "--input", tmp_path / "p.png", "--labels", tmp_path / "labels.txt", "--json")
    hooked = ovxai(*explain, "--model", tmp_path / "h.onnx", "--output", tmp_path / "a")
    plain = ovxai(*explain, "--model", tmp_path / "m.onnx", "--layer", "r", "--targets", "dog-cat", "--output", tmp_path / "b")
    lines = [json.loads(run.stdout.splitlines()[-1]) for run in (hooked, plain)]
    for line in lines:
        (target,) = line["targets"]
        assert (target["id"], target["label"], target["other"]["id"]) == (3, "dog, not cat", 0)
        assert Path(target["map"]).name == "p_3-0_dog_not_cat.npy"
    maps = [np.load(line["targets"][0]["map"]) for line in lines]
    np.testing.assert_array_equal(*maps)
    wrong = ovxai(*explain, "--model", tmp_path / "m.onnx", "--targets", "dog-dog", "--output", tmp_path / "c", status=2)
    assert "take a class from itself" in wrong.stderr
