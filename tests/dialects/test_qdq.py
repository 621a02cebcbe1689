"""QOperator files, as ONNX Runtime's quantiser writes them, read as QDQ: the same to the bit, or left as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tiny import tiny

import openvino_xai as xai
from openvino_xai.dialects.onnx import qdq
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import OvxaiError

BODY = """
    c = Conv<strides=[2, 2], pads=[1, 1, 1, 1]>(image, w0, b0) f = Relu(c) d = Conv<pads=[1, 1, 1, 1]>(f, w1) s = Add(d, f)
    m = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(s) g = Sigmoid(m) h = Mul(g, m) j = Concat<axis=1>(h, m)
    a = AveragePool<kernel_shape=[2, 2]>(j) k = Conv(a, w2, b2) l = LeakyRelu<alpha=0.1>(k) p = GlobalAveragePool(l)
    v = Flatten(p) t = MatMul(v, w3) n = Add(t, b3) logits = Gemm(n, w4, b4)
"""
SIZES = {
    "w0": (8, 3, 3, 3), "b0": (8,), "w1": (8, 8, 3, 3), "w2": (8, 16, 1, 1), "b2": (8,), "w3": (8, 8), "b3": (8,), "w4": (8, 5),
    "b4": (5,),
}  # fmt: skip
LEVELS = {  # of activations, and of weights
    "u8": (QuantType.QUInt8, QuantType.QUInt8),
    "s8": (QuantType.QInt8, QuantType.QInt8),
    "u8 and s8 by channel": (QuantType.QUInt8, QuantType.QInt8),
}


class Images(CalibrationDataReader):
    """A few random images."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.images = iter([{"image": rng.normal(0, 1, (2, 3, 16, 16)).astype(np.float32)} for _ in range(4)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.images, None)


@pytest.fixture(scope="module", params=LEVELS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that computes on levels."""
    folder = tmp_path_factory.mktemp("qdq")
    onnx.save(tiny(BODY, image=(3, 16, 16), **SIZES), folder / "float.onnx")
    activations, weights = LEVELS[request.param]
    quantize_static(
        folder / "float.onnx",
        folder / "levels.onnx",
        Images(),
        quant_format=QuantFormat.QOperator,
        activation_type=activations,
        weight_type=weights,
        per_channel="channel" in request.param,
    )
    return folder / "levels.onnx"


def outputs(path: Path, images: np.ndarray) -> np.ndarray:
    return np.asarray(onnxruntime.InferenceSession(path).run(["logits"], {"image": images})[0])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["reciprocam", "grad_cam", "ablation_cam"])
def test_a_file_that_computes_on_levels_is_explained(path: Path, method: str, tmp_path: Path) -> None:
    written = {node.op_type for node in onnx.load(path).graph.node}
    assert {"QLinearConv", "QLinearAdd", "QLinearMatMul", "QGemm", "QLinearConcat", "QLinearAveragePool"} <= written
    hooked = xai.insert(path, method=method)
    assert hooked.record["written_as"] == "QDQ"
    assert hooked.layer.cost < 1.5
    file = hooked.save(tmp_path / "hooked.onnx")
    assert not qdq.operators(open_model(file).native)
    for seed in range(3):
        images = np.random.default_rng(seed).normal(0, 1, (1 + seed, 3, 16, 16)).astype(np.float32)
        np.testing.assert_array_equal(outputs(file, images), outputs(path, images))


@pytest.mark.slow
def test_an_operation_that_comes_out_otherwise_is_left_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is refused by its name."""
    monkeypatch.setattr(qdq, "FORMS", {**qdq.FORMS, "QLinearMul": replace(qdq.FORMS["QLinearMul"], op="Add")})
    assert qdq.operators(open_model(path).native) == {"QLinearMul"}
    with pytest.raises(OvxaiError, match="QLinearMul"):
        xai.insert(path)


@pytest.mark.slow
def test_operations_that_lack_operands_are_left_as_they_are(path: Path) -> None:
    nodes = onnx.load(path).graph.node
    for index, count in ((i, n) for i, node in enumerate(nodes) if node.op_type in qdq.FORMS for n in range(len(node.input))):
        model = onnx.load(path)
        del model.graph.node[index].input[count:]
        native = ir.serde.deserialize_model(model)
        qdq.rewrite(native, qdq.operators(native))
        needed = {
            reads
            for form in [qdq.FORMS[nodes[index].op_type]]
            for levels, scale, _ in form.operands
            for reads in (levels, scale)
        }
        assert (nodes[index].op_type in {node.op_type for node in native.graph}) or max(needed, default=0) < count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["channels_last", "alpha", "axis", "transB", "opset"])
def test_operations_with_words_for_numbers_are_refused(path: Path, name: str) -> None:
    model = onnx.load(path)
    for node in model.graph.node:
        if node.domain:
            others = [attribute for attribute in node.attribute if attribute.name != name]
            del node.attribute[:]
            node.attribute.extend([*others, onnx.helper.make_attribute(name, "many")])
    with pytest.raises(OvxaiError):
        xai.insert(model)
