"""Signals [B, C, L] and videos [B, C, T, H, W]: explained by cells of time, and of time, rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from tiny import DIALECTS, images, in_dialect, tiny

import openvino_xai as xai
from openvino_xai.errors import InputError, PlanError, VerificationError

LINEAR: dict[str, Any] = {"w": (5, 4), "b": (5,)}
POOLED = "p = GlobalAveragePool({}) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
ENDS = {
    "mean": POOLED.format("f"),
    "maximum": POOLED.format("f").replace("GlobalAveragePool", "ReduceMax<axes=[AXES]>"),
    "convolution": "d = Conv<pads=[PADS]>(f, wd) e = Relu(d) " + POOLED.format("e"),
    "flat": "v = Flatten(f) logits = Gemm<transB=1>(v, wf, b)",
    "gate": "s = GlobalAveragePool(f) g = Sigmoid(s) m = Mul(f, g) " + POOLED.format("m"),
}
SHAPES = {"signal": (3, 12), "video": (3, 4, 6, 8)}


def model(kind: str, end: str, batch: int | str = "B") -> onnx.ModelProto:
    image = SHAPES[kind]
    axes = len(image) - 1
    strides = "2" if kind == "signal" else "1,2,2"
    pads = ",".join("1" * 2 * axes)
    body = f"c = Conv<pads=[{pads}], strides=[{strides}]>(image, w0) f = Relu(c) " + ENDS[end].replace("PADS", pads)
    body = body.replace("AXES", ",".join(map(str, range(2, axes + 2))))
    cells = 6 if kind == "signal" else 4 * 3 * 4
    weights = {**LINEAR, "w0": (4, 3, *[3] * axes), "wd": (4, 4, *[3] * axes), "wf": (5, 4 * cells)}
    words = body.replace("(", " ").replace(")", " ").replace(",", " ").split()
    return tiny(body, batch=batch, image=image, **{name: item for name, item in weights.items() if name in words})


def slow(proto: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    """[B, K, ...]: the probabilities where one cell of `f` is kept, one image and one cell at a time."""
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(proto))
    trunk, tail = (ReferenceEvaluator(extractor.extract_model(*ends)) for ends in ((["image"], ["f"]), (["f"], ["logits"])))
    maps = []
    for image in batch:
        f = trunk.run(None, {"image": image[None]})[0]
        cells = np.zeros((5, *f.shape[2:]))
        for place in np.ndindex(*f.shape[2:]):
            alone = np.zeros_like(f)
            alone[(slice(None), slice(None), *place)] = f[(slice(None), slice(None), *place)]
            y = tail.run(None, {"f": alone})[0].reshape(-1).astype(np.float64)
            cells[(slice(None), *place)] = np.exp(y) / np.exp(y).sum()
        maps.append(cells)
    return np.stack(maps)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", SHAPES)
def test_maps_have_the_axes_of_the_image(kind: str, end: str, dialect: str) -> None:
    proto = model(kind, end)
    batch = images(proto, 2)
    hooked = xai.insert(in_dialect(proto, dialect), scale="none", layer="f")
    outputs = hooked.deployed.compile()({"image": batch})
    np.testing.assert_allclose(outputs["saliency_map"], slow(model(kind, end, 1), batch), atol=1e-5)
    assert hooked.layer.cells == outputs["saliency_map"].shape[2:]


def with_frames_ahead(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same network of videos [B, T, C, H, W], as VideoMAE takes them."""
    turned = onnx.ModelProto.FromString(proto.SerializeToString())
    sizes = turned.graph.input[0].type.tensor_type.shape.dim
    sizes[1].dim_value, sizes[2].dim_value = sizes[2].dim_value, sizes[1].dim_value
    turned.graph.node[0].input[0] = "channels_ahead"
    turned.graph.node.insert(0, onnx.helper.make_node("Transpose", ["image"], ["channels_ahead"], perm=[0, 2, 1, 3, 4]))
    return turned


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_video_may_have_its_frames_ahead_of_its_channels(dialect: str) -> None:
    batch = images(model("video", "mean"), 2)
    hooked = xai.insert(in_dialect(with_frames_ahead(model("video", "mean")), dialect), scale="none", layer="f")
    maps = hooked.deployed.compile()({"image": batch.swapaxes(1, 2)})["saliency_map"]
    np.testing.assert_allclose(maps, slow(model("video", "mean", 1), batch), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"gate": True},
        {"targets": "asked"},
        {"plan": "direct"},
        {"method": "cam"},
        {"scale": "u8"},
        {"method": "grad_cam", "feature_vector": True},
        {"method": "ablation_cam"},
    ],
)
@pytest.mark.parametrize("kind", SHAPES)
def test_options_of_a_hook(kind: str, options: dict[str, Any]) -> None:
    assert xai.insert(model(kind, "mean"), layer="f", **options).verified is not None


@pytest.mark.slow
def test_a_signal_of_any_length() -> None:
    proto = model("signal", "mean")
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "length"
    hooked = xai.insert(proto, scale="none", layer="f")
    for length in (12, 22):
        batch = np.random.default_rng(length).normal(0, 1, (2, 3, length)).astype(np.float32)
        proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = length
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        expected = slow(proto, batch)
        np.testing.assert_allclose(hooked.deployed.compile()({"image": batch})["saliency_map"], expected, atol=1e-5)


@pytest.mark.slow
def test_cells_in_another_order_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from openvino_xai.tail.masks import BlockMask

    right = BlockMask.beside
    monkeypatch.setattr(
        BlockMask, "beside", lambda self, xp, at: xp.take(right(self, xp, at), np.arange(48)[::-1].copy(), axis=1)
    )
    with pytest.raises(VerificationError, match="differ from their definition"):
        xai.insert(model("video", "convolution"), layer="f")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", SHAPES)
def test_what_draws_photos_says_that_there_are_none(kind: str, dialect: str) -> None:
    hooked = xai.insert(in_dialect(model(kind, "mean"), dialect), targets="top:2", verify=False)
    assert hooked.record["layer"] == "f"
    with pytest.raises(InputError, match="holds a signal or a video, no photo"):
        xai.load(hooked)
    for options in ({"method": "input_gradient"}, {"method": "abs_cam"}, {"method": "grad_cam", "confidence": True}):
        with pytest.raises(PlanError, match="is for images, and 'image' .* holds a signal or a video"):
            xai.insert(in_dialect(model(kind, "mean"), dialect), **options)
    with pytest.raises(PlanError, match="a signal or a video: a coarser grid"):
        xai.insert(in_dialect(model(kind, "mean"), dialect), layer="f", grid=(2, 2))
