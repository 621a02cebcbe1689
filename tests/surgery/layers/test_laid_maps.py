"""Maps of networks that crop the image, or lay it on a canvas: on the whole image, as if they were laid there by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import DIALECTS, images, in_dialect, in_turn, tiny
from tiny_transformers import Transformer

import openvino_xai as xai
from openvino_xai.contract import RECORD
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError, ModelError, PlanError, VerificationError
from openvino_xai.locate.framing import layout
from openvino_xai.record.reading import record_of

NETWORK = (
    "c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w0) f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) "
    "logits = Gemm<transB=1>(v, w, b)"
)
WEIGHTS = {"w0": (4, 3, 3, 3), "w": (5, 4), "b": (5,)}
PIXELS = 2  # of a cell
# what is done to an image, and which rows and columns of it are left, or of the canvas those of the image
CROP = (
    "x = Slice(image, starts, ends, axes) ",
    {"starts": np.array([2, 4]), "ends": np.array([-2, 12]), "axes": np.array([2, 3])},
)
BORDER = ("x = Pad(image, pads) ", {"pads": np.array([0, 0, 3, 2, 0, 0, 1, 0])})
SIZES = {"crop": (3, 12, 16), "border": (3, 6, 8)}
PARTS = {"crop": (2, 4), "border": (-3, -2)}  # the pixel of the image where the network's image begins
SEEN_SIZES = {"crop": (8, 8), "border": (10, 10)}


def network(case: str, batch: int | str = "B", front: str = "") -> onnx.ModelProto:
    body, constants = {"crop": CROP, "border": BORDER}[case]
    return tiny(front + body + NETWORK, batch=batch, image=SIZES[case], **WEIGHTS, **constants)


def alone(case: str) -> onnx.ModelProto:
    """The same network, of what the image is made to."""
    return tiny(NETWORK.replace("(x,", "(image,"), image=(3, *SEEN_SIZES[case]), **WEIGHTS)


def cut(case: str, batch: np.ndarray) -> np.ndarray:
    (top, left), (height, width) = PARTS[case], SEEN_SIZES[case]
    canvas = np.zeros((*batch.shape[:2], 40, 40), np.float32)
    canvas[:, :, 10 : 10 + batch.shape[2], 10 : 10 + batch.shape[3]] = batch
    return canvas[:, :, 10 + top : 10 + top + height, 10 + left : 10 + left + width]


def laid(case: str, maps: np.ndarray, beside: np.ndarray | float = 0.0) -> np.ndarray:
    """[B, K, H, W]: cells laid pixel by pixel over the image."""
    (top, left), (_, height, width) = PARTS[case], SIZES[case]
    pixels = np.empty((*maps.shape[:2], height, width))
    pixels[:] = beside
    for h, w in np.ndindex(height, width):
        row, column = (h - top) // PIXELS, (w - left) // PIXELS
        if 0 <= row < maps.shape[2] and 0 <= column < maps.shape[3]:
            pixels[:, :, h, w] = maps[:, :, row, column]
    return pixels


def as_pixels(maps: np.ndarray, case: str) -> np.ndarray:
    """A map whose parts are whole pixels, pixel by pixel."""
    _, height, width = SIZES[case]
    assert height % maps.shape[2] == 0 == width % maps.shape[3]
    return np.kron(maps, np.ones((height // maps.shape[2], width // maps.shape[3])))


def scaled(maps: np.ndarray, case: str, scale: str) -> np.ndarray:
    """The raw maps of a network, laid on the image; scaled by the cells that lie there at all."""
    least, most = (end[..., None, None] for end in _ends(case, maps))
    if scale == "none":
        return laid(case, maps, least)
    unit = laid(case, (maps - least) / (most - least))
    return np.round(unit * 255) if scale == "u8" else unit


def _ends(case: str, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    on_image = laid(case, maps, np.nan)
    return np.nanmin(on_image, axis=(2, 3)), np.nanmax(on_image, axis=(2, 3))


def test_a_map_lies_where_the_network_looks() -> None:
    """By hand: three rows ahead of the image belong to a cell and a half of its map."""
    maps = xai.load(xai.insert(network("border")))(images(network("border"), 1))["saliency_map"]
    assert maps.shape == (1, 5, 6, 4)
    assert (maps[:, :, 1] == maps[:, :, 2]).all()
    assert (maps[:, :, 0] != maps[:, :, 1]).any()
    cropped = xai.load(xai.insert(network("crop")))(images(network("crop"), 1))["saliency_map"]
    assert cropped.shape == (1, 5, 6, 8)
    assert cropped[:, :, 1:-1, 2:-2].max() == 1
    assert not cropped[:, :, [0, -1]].any()
    assert not cropped[:, :, :, [0, 1, -2, -1]].any()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("scale", ["unit", "u8", "none"])
@pytest.mark.parametrize("case", SIZES)
def test_maps_are_those_of_the_network_alone_laid_by_hand(case: str, scale: str, dialect: str) -> None:
    batch = images(network(case), 2)
    hooked = xai.insert(in_dialect(network(case), dialect), scale=scale)  # type: ignore[arg-type]
    outputs = xai.load(hooked)(batch)
    raw = xai.load(xai.insert(alone(case), scale="none"))(cut(case, batch))["saliency_map"]
    expected = scaled(raw.astype(np.float64), case, scale)
    np.testing.assert_allclose(as_pixels(outputs["saliency_map"], case), expected, atol=1 if scale == "u8" else 1e-5)
    assert outputs["saliency_map"].dtype == (np.uint8 if scale == "u8" else np.float32)


METHODS = ["grad_cam", "hires_cam", "eigen_cam", "abs_cam", "ablation_cam", "layer_cam"]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "dialect"), in_turn(METHODS))
@pytest.mark.parametrize("case", SIZES)
def test_all_methods_are_laid_alike(case: str, method: Any, dialect: str) -> None:
    """abs_cam and such mask what the network sees of the image."""
    batch = images(network(case), 1)
    hooked = xai.insert(in_dialect(network(case, 1), dialect), method=method, scale="none", targets=[0, 3])
    raw = xai.load(xai.insert(alone(case), method=method, scale="none", targets=[0, 3]))(cut(case, batch))["saliency_map"]
    np.testing.assert_allclose(as_pixels(xai.load(hooked)(batch)["saliency_map"], case), laid(case, raw), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "options",
    [
        {"gate": True},
        {"portable": True},
        {"targets": "top:2", "grid": "2x4"},
        {"method": "grad_cam", "layer": "f", "confidence": True, "feature_vector": True},
        {"method": "layer_cam", "layer": "c,f", "targets": [1]},
        {"targets": "asked", "plan": "direct", "scale": "u8"},
        {"method": "input_gradient", "targets": [0]},
    ],
    ids="-".join,
)
def test_options_of_hooks_are_verified_there(options: dict[str, Any], dialect: str) -> None:
    assert xai.insert(in_dialect(network("crop"), dialect), **options).verified


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vit_reciprocam", "attention_rollout", "legrad"])
def test_tokens_of_a_crop_are_laid(method: Any) -> None:
    """A transformer, of 2 x 2 pixels a patch, in the middle half of an image."""
    proto = Transformer().build("B")
    (image,) = proto.graph.input
    height, width = (dim.dim_value for dim in image.type.tensor_type.shape.dim[2:])
    model = cropped(proto, height, width)
    hooked = xai.insert(model, method=method, targets=[0])
    plain = xai.insert(proto, method=method, targets=[0])
    batch = images(model, 1)
    maps = xai.load(hooked)(batch)["saliency_map"]
    expected = xai.load(plain)(batch[:, :, height // 2 : -height // 2])["saliency_map"]
    parts = maps.shape[2] // 4, maps.shape[3]
    assert maps.shape[2] % 4 == 0
    inner = maps[:, :, parts[0] : -parts[0]]
    assert not maps[:, :, : parts[0]].any() and not maps[:, :, -parts[0] :].any()
    repeats = [inner.shape[axis] // expected.shape[axis] for axis in (2, 3)]
    np.testing.assert_allclose(inner, np.kron(expected, np.ones(repeats)), atol=1e-5)


def cropped(proto: onnx.ModelProto, height: int, width: int) -> onnx.ModelProto:
    """A model of an image that is twice as high, of which it takes the rows in the middle."""
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    (image,) = model.graph.input
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == image.name:
                node.input[index] = "middle"
    image.type.tensor_type.shape.dim[2].dim_value = 2 * height
    ends = {"top": [height // 2], "bottom": [height // 2 + height], "down": [2]}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(x), name) for name, x in ends.items())
    model.graph.node.insert(0, onnx.helper.make_node("Slice", [image.name, *ends], ["middle"], name="middle"))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["first", "each"])
def test_cells_that_are_laid_elsewhere_are_refused(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What verifies a map asks where the middle of each part of it lies, and knows nothing of layouts."""
    side = layout.Side.of

    def wrong(extent: layout.Extent, cells: int) -> layout.Side | None:
        true = side(extent, cells)
        return true and layout.Side(**{**vars(true), broken: getattr(true, broken) + 1})

    monkeypatch.setattr(layout.Side, "of", wrong)
    with pytest.raises(VerificationError, match="'saliency_map' does not show the cells of layer 'f' where they lie"):
        xai.insert(network("crop", 1))
    maps = xai.load(xai.insert(network("crop", 1), verify=False))(images(network("crop"), 1))["saliency_map"]
    raw = xai.load(xai.insert(alone("crop"), scale="none"))(cut("crop", images(network("crop"), 1)))["saliency_map"]
    assert np.abs(as_pixels(maps, "crop") - scaled(raw, "crop", "unit")).max() > 0.1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_record_tells_where_cells_lie(dialect: str) -> None:
    deployed = xai.insert(in_dialect(network("crop", 1), dialect), verify=False).deployed
    record = record_of(deployed.graph, deployed.info)
    assert (record["grid"], record["laid"], record["part"]) == ("4x4", "6x8", "1:5,2:6")
    for key, text in (("laid", "7x8"), ("laid", "6"), ("laid", "6\nx8"), ("part", "1:5"), ("part", "'1:5,2:6'")):
        forged = open_model(deployed.object())
        forged.set_info(RECORD, {**record, key: text})
        with pytest.raises(ModelError, match=f"entry '{key}' is '{re.escape(text)}'"):
            record_of(forged.graph, forged.info)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_border_that_windows_have_is_laid_as_one_apart(dialect: str) -> None:
    """Converters write it so. No value holds the canvas there, which abs_cam would mask."""
    apart = tiny("x = Pad(image, pads) " + NETWORK, image=(3, 6, 8), **WEIGHTS, pads=np.array([0, 0, 4, 6, 0, 0, 2, 4]))
    together = tiny(NETWORK.replace("pads=[1,1,1,1]", "pads=[5,7,3,5]").replace("(x,", "(image,"), image=(3, 6, 8), **WEIGHTS)
    batch = images(apart, 1)
    hooks = [xai.insert(in_dialect(model, dialect)) for model in (apart, together)]
    first, second = (xai.load(hook)(batch)["saliency_map"] for hook in hooks)
    assert first.shape == (1, 5, 3, 4)
    np.testing.assert_allclose(first, second, atol=1e-5)
    with pytest.raises(PlanError, match=r"abs_cam masks what .* 'c.*' \(Conv.*\) lays the image on a canvas by borders"):
        xai.insert(in_dialect(together, dialect), method="abs_cam", targets=[0])


def test_a_probe_that_covers_cells_is_refused() -> None:
    with pytest.raises(LayerError, match=r"score_cam asks about cells .* what 'x.*' \(Slice\) crops or pads: a hook lays"):
        xai.probe(network("crop", 1), "score_cam")
    assert xai.probe(network("crop", 1), "rise")


def test_a_grid_that_no_map_shows_is_refused() -> None:
    """7 cells of a crop of 35 of 211 pixels lie on 211 rows."""
    starts, ends = np.array([88, 0]), np.array([123, 14])
    body = CROP[0] + NETWORK.replace("strides=[2,2]", "strides=[5,2]")
    model = tiny(body, image=(3, 211, 14), **WEIGHTS, starts=starts, ends=ends, axes=np.array([2, 3]))
    why = r"layer 'f' cannot carry a hook: it has 7 rows of cells from 0\.4171 to 0\.5829 .* at most 128 rows shows .* 'x"
    with pytest.raises(LayerError, match=why):
        xai.insert(model)
    with pytest.raises(LayerError, match="which no map of at most 128 rows shows exactly"):
        xai.insert(model, layer="f")
    assert any("shows exactly" in (layer.reason or "") for layer in xai.layers(model))
    with pytest.raises(PlanError, match="of layer 'f', 1 cells lie on the image"):
        layout.layout_of(layout.Extent(), layout.Extent(), (1, 1), "layer 'f'")
