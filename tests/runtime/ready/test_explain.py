"""One call: a model and images of any kind in, what `load` and `insert` give out."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest
from tiny import CASES, STEM, in_dialect, tiny
from tiny_detector import detector
from two_heads import shared

import openvino_xai as xai
from openvino_xai.detection import DetectionExplanation
from openvino_xai.errors import ImageError, InputError, OvxaiError, PreprocessingWarning
from openvino_xai.explanation import HeadsExplanation, Match
from openvino_xai.runtime.ready import explain as module
from openvino_xai.runtime.ready.networks import Shelf
from openvino_xai.segmentation import SegmentationExplanation

pytestmark = pytest.mark.slow

MODEL = CASES["pool and linear"].build("B", 17)
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
LABELS = ["cat", "dog", "tabby, tabby cat", "all", "top:1"]
SEGMENTER = tiny(STEM + "logits = Conv(f, w2)", output="float[B,5,6,8] logits", w0=(4, 3, 3, 3), w2=(5, 4, 1, 1))
EMBEDDER = tiny(STEM + "p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm(v, w)", w0=(4, 3, 3, 3), w=(4, 5))


def png(photo: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", photo[..., ::-1])[1])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in a file, and no network from another test."""
    monkeypatch.setattr(module, "SHELF", Shelf())
    onnx.save(MODEL, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_it_is_what_load_and_insert_return(model: Path) -> None:
    expected = xai.load(xai.insert(model)).explain(PHOTO, targets="top:2")
    explanation = xai.explain(model, PHOTO, "top:2")
    np.testing.assert_array_equal(explanation.maps, expected.maps)
    assert explanation.targets == expected.targets
    assert explanation.record == expected.record


def test_images_of_any_kind(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(png(PHOTO))
    expected = xai.explain(model, PHOTO)
    pillow = pytest.importorskip("PIL.Image")
    for image in (
        path,
        str(path),
        png(PHOTO),
        bytearray(png(PHOTO)),
        memoryview(png(PHOTO)),
        PHOTO.astype(np.float32) / 255,
        PHOTO.astype(np.float64) / 255,
        PHOTO[:, ::-1][:, ::-1],
        pillow.fromarray(PHOTO),
    ):
        explanation = xai.explain(model, image)
        np.testing.assert_array_equal(explanation.image, PHOTO)
        np.testing.assert_array_equal(explanation.maps, expected.maps)
    assert xai.explain(model, path).path == path
    several = xai.explain(model, [path, PHOTO, (png(PHOTO))])
    assert [item.path for item in several] == [path, None, None]
    assert xai.explain(model, []) == []


def test_grey_images_are_in_all_channels(model: Path) -> None:
    grey = PHOTO[..., 1]
    expected = np.repeat(grey[..., None], 3, axis=2)
    pillow = pytest.importorskip("PIL.Image")
    for image in (grey, grey[..., None], grey / 255, pillow.fromarray(grey), png(expected)):
        np.testing.assert_array_equal(xai.explain(model, image).image, expected)


def test_what_pillow_has_is_read_as_files_are(model: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    opaque = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    opaque[:4, :, 3] = 0
    file = io.BytesIO()
    pillow.fromarray(opaque).save(file, "png")
    as_file = xai.explain(model, file.getvalue()).image
    np.testing.assert_array_equal(xai.explain(model, pillow.fromarray(opaque)).image, as_file)
    assert (as_file[:4] == 255).all()
    assert xai.explain(model, pillow.fromarray(PHOTO).convert("P")).image.shape == PHOTO.shape
    with pytest.raises(ImageError, match="mode 'F'"):
        xai.explain(model, pillow.fromarray(PHOTO[..., 0].astype(np.float32)))
    broken = pillow.open(io.BytesIO(file.getvalue()[:-60]))
    with pytest.raises(ImageError, match="cannot be read"):
        xai.explain(model, broken)


def test_a_photo_that_pillow_has_not_turned_is_told(model: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = pillow.fromarray(PHOTO)
    image.getexif()[274] = 6
    with pytest.warns(PreprocessingWarning, match=r"is to be turned \(EXIF orientation 6\)"):
        explanation = xai.explain(model, image)
    np.testing.assert_array_equal(explanation.image, PHOTO)


def test_arrays_that_say_not_what_they_are(model: Path) -> None:
    for image, match in (
        (PHOTO.astype(np.float32), r"holds 0 to 255: floats are in \[0, 1\]; image.astype\(np.uint8\)"),
        (PHOTO / 127.5 - 1, r"holds -1 to 1: .*it looks prepared already, and a prepared tensor is \[B, 3, H, W\]"),
        (PHOTO.transpose(2, 0, 1), r"\[3, 12, 16\].*image.transpose\(1, 2, 0\)"),
        (PHOTO.astype(np.int64), "int64.*bytes"),
        (PHOTO > 3, "bool.*bytes"),
        (np.dstack([PHOTO, PHOTO[..., :1]]), "leave the fourth channel out"),
        (np.full(PHOTO.shape, np.nan), "not finite"),
        (PHOTO[:0], r"\[0, 16, 3\]"),
        (np.zeros((1, 2, 3, 4, 5)), r"\[1, 2, 3, 4, 5\]"),
        (np.array(3), r"int64 \[\]"),
        (np.array([["a"]]), "<U1"),
    ):
        with pytest.raises(ImageError, match=match):
            xai.explain(model, image)


def test_prepared_tensors_are_fed_as_they_are(model: Path) -> None:
    network = xai.load(xai.insert(model))
    network.configure(preprocessing={"mean_values": "1 2 3", "scale_values": "2", "resize_type": "standard"})
    samples = np.concatenate([network.prepare(PHOTO), network.prepare(PHOTO[::-1])])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is doubtful about what is prepared
        explanations = xai.explain(model, samples, "top:2")
    for explanation, photo in zip(explanations, (PHOTO, PHOTO[::-1]), strict=True):
        expected = network.explain(photo, targets="top:2")
        np.testing.assert_array_equal(explanation.maps, expected.maps)
        assert explanation.targets == expected.targets
        assert explanation.image.shape == (6, 8, 3)
        assert explanation.box == (0, 0, 8, 6)
        assert explanation.preprocessing["fed"] == "a tensor, as it was given"
        assert explanation.overlay().shape == (6, 8, 3)
    pictured = xai.explain(model, samples, preprocess={"preset": "unit", "scale_values": "1"})[0]
    assert pictured.image.shape == (6, 8, 3)
    for wrong, match in ((samples[:, :, :5], "does not fit input"), (samples[:, :2], r"float32 \[2, 2, 6, 8\]")):
        with pytest.raises(InputError, match=match):
            xai.explain(model, wrong)
    samples[0, 0, 0, 0] = np.inf
    with pytest.raises(ImageError, match="not finite"):
        xai.explain(model, samples)


def test_pictures_of_prepared_tensors_are_the_photos_where_the_model_tells_its_numbers(model: Path) -> None:
    photo = PHOTO[:6, :8]
    for preset in ("imagenet", "caffe", "inception", "unit"):
        network = xai.load(xai.insert(model))
        network.configure(preprocessing=preset)
        (explanation,) = xai.explain(model, network.prepare(photo), preprocess=preset)
        np.testing.assert_array_equal(explanation.image, photo)


def test_a_stack_of_photos_is_several(model: Path) -> None:
    explanations = xai.explain(model, np.stack([PHOTO, PHOTO[::-1]]))
    np.testing.assert_array_equal(explanations[1].image, PHOTO[::-1])


def test_torch_is_not_imported(model: Path, torch: Any) -> None:
    network = xai.load(xai.insert(model))
    sample = network.prepare(PHOTO)
    (explanation,) = xai.explain(model, torch.from_numpy(sample).requires_grad_())
    np.testing.assert_array_equal(explanation.maps, network.explain(PHOTO).maps)
    np.testing.assert_array_equal(xai.explain(model, torch.from_numpy(PHOTO)).image, PHOTO)
    with pytest.raises(InputError, match="does not become an array"):
        xai.explain(model, torch.from_numpy(sample).bfloat16())


@pytest.mark.parametrize("method", [None, "grad_cam", "occlusion"])
def test_targets_by_id_and_label(model: Path, method: str | None) -> None:
    def ids(targets: Any) -> list[int]:
        return [target.id for target in xai.explain(model, PHOTO, targets, method=method, labels=LABELS).targets]

    best = xai.explain(model, PHOTO, method=method).predictions
    assert ids(None) == ids("top:1") == [best[0].id]
    assert ids(2) == ids(np.int64(2)) == ids("tabby, tabby cat") == ids("2") == [2]
    assert ids(["dog", 0]) == ids((1, "cat")) == ids("1,0") == [1, 0]
    assert ids(["top:1"]) == [4]
    assert ids("all") == ids("top:5") == [prediction.id for prediction in best]
    for wrong, match in (
        ("dgo", "did you mean 'dog'"),
        (5, "class 5 is not there"),
        (-1, "class -1 is not there"),
        ([], "targets are empty"),
        ([0, 0], "twice"),
        (True, "targets are True"),
        ([[0]], r"\[0\] is no class"),
        ("vector", "say against="),
        ("asked", "'asked' is no class"),
    ):
        with pytest.raises(InputError, match=match):
            ids(wrong)


def test_labels_from_a_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS))
    assert xai.explain(model, PHOTO, "dog", labels=path).targets[0].label == "dog"
    assert xai.explain(model, PHOTO, "dog", labels=str(path)).targets[0].id == 1
    with pytest.raises(InputError, match="there are 2 labels for 5 classes"):
        xai.explain(model, PHOTO, labels=["a", "b"])


def test_models_of_any_kind(model: Path) -> None:
    hooked = xai.insert(model)
    expected = xai.explain(model, PHOTO)
    ir = in_dialect(MODEL, "openvino")
    for given_model in (str(model), MODEL, ir, hooked, hooked.model, xai.load(hooked)):
        explanation = xai.explain(given_model, PHOTO)
        np.testing.assert_allclose(explanation.maps, expected.maps, atol=1e-5)
        assert explanation.targets[0].id == expected.targets[0].id


def test_compiled_models_explain_where_they_carry_a_hook() -> None:
    expected = xai.explain(MODEL, PHOTO)
    hooked = xai.insert(MODEL).model.SerializeToString()
    for compiled in (
        ort.InferenceSession(hooked),
        ov.Core().compile_model(in_dialect(xai.insert(MODEL).model, "openvino"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}),
        xai.wrap(ort.InferenceSession(hooked)),
    ):
        np.testing.assert_allclose(xai.explain(compiled, PHOTO).maps, expected.maps, atol=1e-5)
    plain = ort.InferenceSession(MODEL.SerializeToString())
    with pytest.raises(InputError, match=r"holds no graph .* give explain the file that it was compiled from"):
        xai.explain(plain, PHOTO)
    with pytest.raises(InputError, match="layer says how a hook is made"):
        xai.explain(plain, PHOTO, layer="f")
    with pytest.raises(InputError, match="which needs its file"):
        xai.explain(plain, PHOTO, method="grad_cam")
    of_file = xai.explain(MODEL, PHOTO, method="rise", masks=32, seed=3)
    np.testing.assert_array_equal(xai.explain(plain, PHOTO, method="rise", masks=32, seed=3).maps, of_file.maps)


def test_settings_of_probes_are_keywords(model: Path) -> None:
    first, other, same = (xai.explain(model, PHOTO, method="rise", masks=16, seed=seed).maps for seed in (0, 1, 0))
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, same)
    heard: list[tuple[int, int]] = []
    xai.explain(model, PHOTO, method="rise", masks=16, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (16, 16)
    for options, match in (
        ({"method": "rise", "masks": 0}, "masks is 0; 1 or more"),
        ({"method": "rise", "steps": 3}, "steps is a setting of opti_cam, integrated_gradients, and rise does not read it"),
        ({"masks": 3}, "masks is a setting of tis, rise, lime, kernel_shap, d_rise, and no method is named"),
        ({"method": "grad_cam", "seed": 3}, "grad_cam does not read it"),
        ({"method": "rise", "grid": "2x2"}, "grid says how a hook is made"),
        ({"method": "gradcam"}, "method 'gradcam' is not known: .*did you mean 'grad_cam'"),
        ({"methud": "grad_cam"}, "no option 'methud'.*did you mean 'method'"),
        ({"masks_": 3}, "did you mean 'masks'"),
        ({"mask": "keep"}, "mask is 'keep', which is for the rows of a detector"),
    ):
        with pytest.raises(InputError, match=match):
            xai.explain(model, PHOTO, **options)  # type: ignore[arg-type]


def test_a_file_is_compiled_once_until_it_changes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[object] = []
    insert = xai.insert

    def counted(*arguments: Any, **options: Any) -> Any:
        models.append(arguments[0])
        return insert(*arguments, **options)

    monkeypatch.setattr("openvino_xai.runtime.ready.networks.insert", counted)
    first = xai.explain(model, PHOTO)
    for targets in (None, "top:2", 3, "all"):
        xai.explain(str(model), PHOTO, targets, labels=LABELS)
    assert len(models) == 1
    assert xai.explain(model, PHOTO).targets[0].label != LABELS[first.targets[0].id]  # labels are of one call
    xai.explain(model, PHOTO, method="grad_cam")
    assert len(models) == 2
    changed = CASES["pool and linear"].build("B", 17)
    weights = changed.graph.initializer[0]
    weights.raw_data = np.frombuffer(weights.raw_data, np.float32)[::-1].tobytes()
    status = model.stat()
    onnx.save(changed, model)
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a tool that restores times does
    assert not np.array_equal(xai.explain(model, PHOTO).maps, first.maps)
    assert len(models) == 3
    model.unlink()
    with pytest.raises(InputError, match="there is no file"):
        xai.explain(model, PHOTO)


def test_few_networks_are_kept(model: Path) -> None:
    shelf = Shelf(2)
    making = [module.Making(device="CPU", options={"layer": "f", "score": score}) for score in ("softmax", "logit", "sigmoid")]
    networks = [shelf.network(model, item) for item in making]
    assert shelf.network(model, making[2]) is networks[2]
    assert shelf.network(model, making[1]) is networks[1]
    assert shelf.network(model, making[0]) is not networks[0]


def test_what_is_doubtful_is_told_where_explain_is_called(model: Path) -> None:
    with pytest.warns(PreprocessingWarning, match="does not tell its preprocessing") as caught:
        xai.explain(model, PHOTO)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xai.explain(model, PHOTO, preprocess="raw")


def test_other_tasks_give_what_load_gives(tmp_path: Path) -> None:
    boxes = xai.explain(detector([(2, 2, 20, 20), (4, 4, 30, 30)], [0, 1], [0.9, 0.3]), PHOTO)
    assert isinstance(boxes, DetectionExplanation)
    assert [box.id for box in boxes.targets] == [0, 1]
    assert len(xai.explain(detector([(2, 2, 20, 20)], [0], [0.3]), PHOTO, min_score=0.5).targets) == 0
    (fed,) = xai.explain(detector([(2, 4, 20, 22)], [0], [0.9]), np.zeros((1, 3, 32, 40), np.float32))
    assert fed.targets[0].box == (2, 4, 20, 22)
    onnx.save(SEGMENTER, tmp_path / "segmenter.onnx")
    regions = xai.explain(tmp_path / "segmenter.onnx", PHOTO)
    assert isinstance(regions, SegmentationExplanation)
    first = regions.targets[0].id
    np.testing.assert_allclose(xai.explain(tmp_path / "segmenter.onnx", PHOTO, first).maps, regions.maps[:1], atol=1e-5)
    heads = xai.explain(shared(), PHOTO, "top:2", scores=["color", "shape"])
    assert isinstance(heads, HeadsExplanation)
    assert list(heads.heads) == ["color", "shape"]
    (fed_heads,) = xai.explain(shared(), np.zeros((1, 3, 6, 8), np.float32), scores=["color", "shape"])
    assert list(fed_heads.heads) == ["color", "shape"]
    match = xai.explain(EMBEDDER, PHOTO, against=PHOTO[::-1])
    assert isinstance(match, Match)
    expected = xai.load(xai.insert(EMBEDDER, targets="vector")).match(PHOTO, PHOTO[::-1])
    assert match.similarity == expected.similarity
    with pytest.raises(InputError, match="leave targets out"):
        xai.explain(EMBEDDER, PHOTO, "top:1", against=PHOTO)


def test_a_model_with_a_hook_keeps_it(tmp_path: Path) -> None:
    path = xai.insert(MODEL, method="grad_cam", targets="top:2").save(tmp_path / "hooked.onnx")
    assert len(xai.explain(path, PHOTO, "all").targets) == 2
    for options in ({"method": "reciprocam"}, {"layer": "f"}, {"score": "logit"}):
        with pytest.raises(OvxaiError, match="carries a hook already, of grad_cam"):
            xai.explain(path, PHOTO, **options)  # type: ignore[arg-type]
    with pytest.raises(OvxaiError, match="carries a hook already"):
        xai.explain(path, PHOTO, method="rise")
    with pytest.raises(InputError, match="carries a hook already"):
        xai.explain(path, PHOTO, against=PHOTO)
