"""Clips [B, T, C, H, W] whose frames go through a network of images as a batch: explained by cells of single frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from tiny import DIALECTS, in_dialect, in_turn, tiny

import openvino_xai as xai
from openvino_xai.errors import LayerError, PlanError, VerificationError
from openvino_xai.plan.site import PlannedSite
from openvino_xai.tail.clips.frames import Frames
from openvino_xai.tail.masked import Rows

FRAMES = 4
TRUNK = "r = Reshape(image, fold) c = Conv<strides=[2,2]>(r, w0) f = Relu(c) "
POOL = "p = GlobalAveragePool(f) v = Reshape(p, unfold) "
SCORES = "p = GlobalAveragePool(f) q = Flatten(p) y = Gemm<transB=1>(q, w, b) "
HEAD = "logits = Gemm<transB=1>(m, w, b)"
MEAN = "m = ReduceMean<axes=[1], keepdims=0>(v) "
ENDS = {  # what puts frames together
    "mean": POOL + MEAN + HEAD,
    "maximum": POOL + MEAN.replace("Mean", "Max") + HEAD,
    "one": POOL + "m = Gather<axis=1>(v, last) " + HEAD,
    "attention": (
        POOL
        + "t = Transpose<perm=[0,2,1]>(v) a = MatMul(v, t) s = Softmax(a) o = MatMul(s, v) "
        + MEAN.replace("v", "o")
        + HEAD
    ),
    "time_ahead": (
        POOL
        + "t = Transpose<perm=[1,0,2]>(v) q = Reshape(t, rows) x = MatMul(q, w2) z = Relu(x) o = Reshape(z, frames_ahead) "
        + MEAN.replace("v", "o").replace("[1]", "[0]")
        + HEAD
    ),
    "recurrent": POOL + "t = Transpose<perm=[1,0,2]>(v) o, h = LSTM<hidden_size=4>(t, wl, rl) m = Reshape(h, rows) " + HEAD,
    "context": POOL + "n = ReduceMean<axes=[1], keepdims=1>(v) x = Mul(v, n) z = Add(x, v) " + MEAN.replace("v", "z") + HEAD,
    "scores": SCORES + "v = Reshape(y, unfold_scores) logits = ReduceMean<axes=[1], keepdims=0>(v)",
    "convolution": "d = Conv<pads=[1,1,1,1]>(f, w1) e = Relu(d) " + POOL.replace("(f)", "(e)") + MEAN + HEAD,
    "gate": "g = GlobalAveragePool(f) h = Sigmoid(g) e = Mul(f, h) " + POOL.replace("(f)", "(e)") + MEAN + HEAD,
    "shift": (
        "u = Reshape(f, unfold_cells) a = Slice(u, one, all, one) i = Slice(u, zero, one, one) j = Concat<axis=1>(a, i) "
        "k = Mul(u, j) e = Reshape(k, fold_cells) " + POOL.replace("(f)", "(e)") + MEAN + HEAD
    ),
}
CONSTANTS: dict[str, Any] = {
    "w": (5, 4), "b": (5,), "w0": (4, 3, 3, 3), "w1": (4, 4, 3, 3), "last": np.array(2), "one": np.array([1]),
    "all": np.array([9]), "zero": np.array([0]), "fold": np.array([-1, 3, 5, 7]), "unfold": np.array([-1, FRAMES, 4]),
    "unfold_scores": np.array([-1, FRAMES, 5]), "fold_cells": np.array([-1, 4, 2, 3]),
    "unfold_cells": np.array([-1, FRAMES, 4, 2, 3]), "frames_ahead": np.array([FRAMES, -1, 4]),
    "wl": (1, 16, 4), "rl": (1, 16, 4), "rows": np.array([-1, 4]), "w2": (4, 4), "order": np.array([2, 0, 3, 1]),
}  # fmt: skip


def model(body: str, batch: int | str = "B", output: str = "float[B,5] logits") -> onnx.ModelProto:
    words = body.replace("(", " ").replace(")", " ").replace(",", " ").split()
    constants = {name: item for name, item in CONSTANTS.items() if name in words}
    return tiny(body, batch=batch, image=(FRAMES, 3, 5, 7), output=output, **constants)


def clips(count: int = 2) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (count, FRAMES, 3, 5, 7)).astype(np.float32)


def slow(body: str, layer: str, batch: np.ndarray) -> np.ndarray:
    """[B, K, T, H, W]: the probabilities where one cell of one frame of `layer` is kept, one clip at a time."""
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model(body, 1)))
    parts = (["image"], [layer]), ([layer], ["logits"])
    trunk, tail = (ReferenceEvaluator(extractor.extract_model(*ends)) for ends in parts)
    maps = []
    for clip in batch:
        features = trunk.run(None, {"image": clip[None]})[0]  # [T, C, H, W]
        cells = np.zeros((5, FRAMES, *features.shape[2:]))
        for frame, row, column in np.ndindex(cells.shape[1:]):
            alone = np.zeros_like(features)
            alone[frame, :, row, column] = features[frame, :, row, column]
            y = tail.run(None, {layer: alone})[0].reshape(-1).astype(np.float64)
            cells[:, frame, row, column] = np.exp(y) / np.exp(y).sum()
        maps.append(cells)
    return np.stack(maps)


@pytest.mark.slow
@pytest.mark.parametrize(("end", "dialect"), in_turn(ENDS))
def test_a_mask_keeps_one_cell_of_one_frame(end: str, dialect: str) -> None:
    body = TRUNK + ENDS[end]
    hooked = xai.insert(in_dialect(model(body), dialect), scale="none")
    maps = hooked.deployed.compile()({"image": clips()})["saliency_map"]
    np.testing.assert_allclose(maps, slow(body, hooked.record["layer"], clips()), atol=1e-5)
    assert hooked.record["grid"] == "4x2x3"


@pytest.mark.parametrize(("case", "dialect"), in_turn(((1, "mean"), (1, "time_ahead"), (3, "mean"))))
def test_clips_may_be_of_a_fixed_number(case: tuple[int, str], dialect: str) -> None:
    batch, end = case
    body = TRUNK + ENDS[end]
    hooked = xai.insert(in_dialect(model(body, batch), dialect), scale="none")
    maps = hooked.deployed.compile()({"image": clips(batch)})["saliency_map"]
    np.testing.assert_allclose(maps, slow(body, "f", clips(batch)), atol=1e-5)


@pytest.mark.parametrize("batch", ["B", 1])
def test_a_clip_may_be_of_one_frame(batch: int | str) -> None:
    proto = model(TRUNK + ENDS["mean"], batch)
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    next(item for item in proto.graph.initializer if item.name == "unfold").CopyFrom(
        onnx.numpy_helper.from_array(np.array([-1, 1, 4]), "unfold")
    )
    assert xai.insert(proto).record["grid"] == "1x2x3"


def test_what_reduces_frames_makes_no_copies_of_them() -> None:
    memory = {end: xai.insert(model(TRUNK + ENDS[end]), verify=False).layer.memory for end in ("mean", "one")}
    masks = FRAMES * 2 * 3
    assert memory == {"mean": 4 * masks * 5, "one": 4 * masks * FRAMES * 4}  # bytes of f32: the map, and [N * T, C]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"gate": True}, {"targets": "asked"}, {"targets": "top:2"}, {"plan": "direct"}, {"method": "cam"}, {"layer": "r"}],
)
def test_options_of_a_hook(options: dict[str, Any]) -> None:
    for end in ("mean", "scores"):
        assert xai.insert(model(TRUNK + ENDS[end]), **options).verified is not None


GRADIENTS = ("grad_cam", "grad_cam_plus_plus", "layer_cam", "hires_cam", "eigen_cam", "finer_cam")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "dialect"), in_turn(GRADIENTS))
def test_methods_by_gradients_look_at_the_frames_of_each_clip(method: str, dialect: str) -> None:
    hooked = xai.insert(in_dialect(model(TRUNK + ENDS["attention"]), dialect), method=method, feature_vector=True)
    assert hooked.record["grid"] == "4x2x3"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_grad_cam_of_a_linear_tail_weighs_channels_by_the_weights_of_the_class(dialect: str) -> None:
    proto = model(TRUNK + ENDS["mean"])
    hooked = xai.insert(in_dialect(proto, dialect), method="grad_cam", scale="none", targets="all")
    trunk = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(proto)).extract_model(["image"], ["f"])
    features = ReferenceEvaluator(trunk).run(None, {"image": clips()})[0].reshape(2, FRAMES, 4, 2, 3)
    (weights,) = (onnx.numpy_helper.to_array(item) for item in proto.graph.initializer if item.name == "w")
    expected = np.maximum(np.einsum("btchw,kc->bkthw", features, weights), 0) / (FRAMES * 2 * 3)
    np.testing.assert_allclose(hooked.deployed.compile()({"image": clips()})["saliency_map"], expected, atol=1e-5)


def test_gradients_of_another_frame_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PlannedSite._laid_out
    order = np.roll(np.arange(FRAMES * 2 * 3), 2 * 3)
    monkeypatch.setattr(PlannedSite, "_laid_out", lambda self, *rest: self._trace.take(right(self, *rest), order, axis=2))
    with pytest.raises(VerificationError, match="differ from their definition"):
        xai.insert(model(TRUNK + ENDS["attention"]), method="layer_cam")


@pytest.mark.parametrize("method", ["ablation_cam", "fd_cam"])
def test_masks_of_channels_are_refused(method: str) -> None:
    with pytest.raises(PlanError, match=f"{method} masks channels, and layer 'f' .* holds frames of clips: take grad_cam"):
        xai.insert(model(TRUNK + ENDS["mean"]), method=method)


REFUSED = {
    "frames ahead of clips": (
        "t = Transpose<perm=[1,0,2,3,4]>(image) " + TRUNK.replace("image", "t") + POOL.replace("unfold", "frames_ahead")
        + "m = ReduceMean<axes=[0], keepdims=0>(v) " + HEAD,
        "behind 'r' .Reshape. frames .* have to lie clip by clip, .B . 4, ....",
    ),
    "another order": (
        "o = Gather<axis=1>(image, order) " + TRUNK.replace("image", "o") + POOL + MEAN + HEAD,
        "behind 'o' .Gather. frames .* picks or reorders them",
    ),
    "clips that meet": (
        TRUNK + POOL.replace("unfold", "frames_ahead") + "m = ReduceMean<axes=[0], keepdims=0>(v) " + HEAD,
        "'v' .Reshape. cannot be repeated over rows: it mixes the items of a batch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", REFUSED)
def test_frames_in_another_order_are_refused_by_name(case: str, dialect: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises((LayerError, PlanError), match=message) as error:
        xai.insert(in_dialect(model(body), dialect))
    assert "the probe rise" not in str(error.value)  # which covers photos


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_open_number_of_frames_is_refused(dialect: str) -> None:
    proto = model(TRUNK + ENDS["mean"])
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "T"
    with pytest.raises(LayerError, match="their number is open: export the model with a fixed number of frames"):
        xai.insert(in_dialect(proto, dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_scores_of_each_frame_are_refused(dialect: str) -> None:
    proto = model(TRUNK + SCORES.replace("y =", "logits ="), output="float[frames,5] logits")
    with pytest.raises(PlanError, match="'logits' .* has scores of each of 4 frames"):
        xai.insert(in_dialect(proto, dialect))


def _of_the_next_clip(frames: Frames, value: Any, rows: Rows) -> Rows:
    """The rows of masked frames, each as if it were that of the clip ahead."""
    count = frames.count * int(np.prod(frames.cells))
    order = np.roll(np.arange(3 * count).reshape(3, -1), 1, axis=0).reshape(-1)
    return Rows(frames.trace.take(rows.value, order, axis=0), rows.span)


def _of_the_next_frame(frames: Frames, value: Any, rows: Rows) -> Rows:
    """The rows of masked frames, each as if it were that of the frame ahead."""
    order = np.roll(np.arange(3 * frames.count * int(np.prod(frames.cells))), int(np.prod(frames.cells)))
    return Rows(frames.trace.take(rows.value, order, axis=0), rows.span)


@pytest.mark.parametrize("mixed", [_of_the_next_clip, _of_the_next_frame])
def test_frames_of_other_clips_and_times_are_seen(mixed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Frames.in_clips
    monkeypatch.setattr(Frames, "in_clips", lambda self, value, rows: right(self, value, mixed(self, value, rows)))
    with pytest.raises(VerificationError, match="differ from their definition"):
        xai.insert(model(TRUNK + ENDS["attention"], 3))
