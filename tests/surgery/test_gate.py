"""A gate: images that are not asked for cost nothing, and change nothing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tiny import CASES, DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError, PlanError

pytestmark = pytest.mark.slow

WORKING = [
    "pool and linear", "residual, layer second", "3x3 convolution after the layer", "strided depthwise convolution",
    "batch norm", "squeeze and excite", "mlp head", "scores from a convolution", "softmax inside",
    "batch from the image's shape", "max pool, flatten, linear", "tokens",
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", WORKING)
def test_some_images_are_explained_as_all_are(name: str, dialect: str) -> None:
    case = CASES[name]
    model = in_dialect(case.build("B", 17), dialect)
    ungated, gated = xai.load(xai.insert(model, layer=case.layer)), xai.load(xai.insert(model, layer=case.layer, gate=True))
    batch = images(case.build(1, 17), 5)
    true = ungated(batch)
    for gates in ([1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]):
        mask = np.array(gates, bool)
        outputs = gated(batch, mask)
        np.testing.assert_array_equal(outputs["logits"], true["logits"])
        np.testing.assert_allclose(outputs["saliency_map"][mask], true["saliency_map"][mask], atol=1e-5)
        assert not outputs["saliency_map"][~mask].any()
    np.testing.assert_allclose(gated(batch)["saliency_map"], true["saliency_map"], atol=1e-5)  # all, where nobody says which


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("scale", "targets"), [("u8", "all"), ("none", [0, 3]), ("unit", "top:2")])
def test_whatever_is_returned(scale: str, targets: object, dialect: str) -> None:
    model = in_dialect(CASES["pool and linear"].build("B", 17), dialect)
    options = {"layer": "f", "scale": scale, "targets": targets}
    ungated, gated = xai.load(xai.insert(model, **options)), xai.load(xai.insert(model, **options, gate=True))  # type: ignore[arg-type]
    batch, mask = images(CASES["pool and linear"].build(1, 17), 3), np.array([True, False, True])
    true, outputs = ungated(batch), gated(batch, mask)
    assert list(outputs) == list(true)
    for name in set(outputs) - {"logits"}:
        assert outputs[name].dtype == true[name].dtype
        np.testing.assert_allclose(outputs[name][mask].astype(float), true[name][mask], atol=1 if scale == "u8" else 1e-5)


def test_the_input_comes_last_and_is_recorded() -> None:
    hooked = xai.insert(CASES["pool and linear"].build("B", 17), layer="f", gate=True)
    last = hooked.model.graph.input[-1]
    assert (last.name, last.type.tensor_type.elem_type) == ("explain", onnx.TensorProto.BOOL)
    assert hooked.record["gate"] == "explain"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_fixed_batch_has_no_gate(dialect: str) -> None:
    with pytest.raises(PlanError, match="the model takes 2 images at a time: .* leave the gate out"):
        xai.insert(in_dialect(CASES["pool and linear"].build(2, 17), dialect), layer="f", gate=True)


def test_asking_a_model_without_a_gate() -> None:
    network = xai.load(xai.insert(CASES["pool and linear"].build("B", 17), layer="f"))
    with pytest.raises(InputError, match="the model has no gate: all images are explained"):
        network(images(CASES["pool and linear"].build(1, 17), 2), np.array([True, False]))
