"""Fused operations of ONNX files: what is written beside them is what NumPy says, and explained as the unfused file is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from models.fused_transformers import (
    MICROSOFT,
    PLAIN,
    attention_of_heads,
    attention_of_tokens,
    modern,
    multi_head_attention,
    optimised,
)
from onnx import TensorProto, helper
from tiny import images
from tiny_detectors import CASES as DETECTORS
from tiny_transformers import ROUNDING, TokenOracle

import openvino_xai as xai
from openvino_xai.dialects.onnx import OnnxModel
from openvino_xai.dialects.onnx.fused import beside
from openvino_xai.dialects.onnx.fused.table import RULES
from openvino_xai.dialects.onnx.fused.writing import Results, Rule, Writing
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import OvxaiError
from openvino_xai.record.removal import unhooked

RNG = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0.1, 0.7, shape).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A node of a fused operation, whose first operand is the model's input, and what NumPy makes of its operands."""

    op: str
    operands: tuple[np.ndarray | None, ...]
    meaning: Callable[..., np.ndarray]
    domain: str = ""
    opset: int = 23
    outputs: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        names = [f"x{index}" if array is not None else "" for index, array in enumerate(self.operands)]
        x = self.operands[0]
        assert x is not None
        outputs = [f"y{index}" if index in (0, self.outputs - 1) else "" for index in range(self.outputs)]
        node = helper.make_node(self.op, names, outputs, name="fused", domain=self.domain, **self.attributes)
        graph = helper.make_graph(
            [node],
            "fused",
            [helper.make_tensor_value_info("x0", TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs if name],
            [
                onnx.numpy_helper.from_array(array, f"x{index}")
                for index, array in enumerate(self.operands)
                if index and names[index]
            ],
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def slow_attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    scale: float,
    causal: bool = False,
    softcap: float = 0.0,
) -> np.ndarray:
    """[B, M, T, D] by one query at a time; heads of keys and values are shared by groups of queries."""
    y = np.zeros((*q.shape[:3], v.shape[3]))
    for b, m, t in np.ndindex(*q.shape[:3]):
        group = m // (q.shape[1] // k.shape[1])
        logits = k[b, group].astype(np.float64) @ q[b, m, t] * scale
        if softcap:
            logits = softcap * np.tanh(logits / softcap)
        if mask is not None:
            row = np.broadcast_to(mask, (q.shape[0], q.shape[1], q.shape[2], k.shape[2]))[b, m, t]
            logits = np.where(row, logits, -np.inf) if mask.dtype == bool else logits + row
        if causal:
            logits[t + 1 :] = -np.inf
        weights = np.exp(logits - logits.max())
        y[b, m, t] = weights / weights.sum() @ v[b, group]
    return y


def heads_apart(x: np.ndarray, heads: int) -> np.ndarray:
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def heads_joined(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def of_tokens(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: Any = None, *, heads: int, **options: Any) -> np.ndarray:
    return heads_joined(slow_attention(*(heads_apart(x, heads) for x in (q, k, v)), mask, **options))


def slow_rms(x: np.ndarray, scale: np.ndarray, *, axis: int = -1, epsilon: float = 1e-5) -> np.ndarray:
    axes = tuple(range(axis % x.ndim, x.ndim))
    return np.asarray(x / np.sqrt((x.astype(np.float64) ** 2).mean(axis=axes, keepdims=True) + epsilon) * scale)


def slow_rotary(
    x: np.ndarray, cosines: np.ndarray, sines: np.ndarray, positions: Any = None, *, turned: int, neighbours: bool = False
) -> np.ndarray:
    """[B, M, T, D], one complex number at a time."""
    y = x.astype(np.float64)
    for b, m, t in np.ndindex(*x.shape[:3]):
        row = (b, t) if positions is None else (positions[b, t],)
        for pair in range(turned // 2):
            first, second = (2 * pair, 2 * pair + 1) if neighbours else (pair, pair + turned // 2)
            number = complex(*x[b, m, t, [first, second]]) * complex(cosines[row][pair], sines[row][pair])
            y[b, m, t, first], y[b, m, t, second] = number.real, number.imag
    return y


def gelu(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))))


def gelu_by_tanh(x: np.ndarray, bias: Any = 0) -> np.ndarray:
    x = x + bias
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def slow_residual_norm(
    x: np.ndarray, skip: np.ndarray, scale: np.ndarray, shift: Any = None, bias: Any = None, *, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    total = x + skip + (0 if bias is None else bias)
    centred = total - total.mean(axis=-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon) * scale
    return y + (0 if shift is None else shift), total


def slow_packed(x: np.ndarray, weights: np.ndarray, bias: Any, *more: Any, heads: int) -> np.ndarray:
    projected = x.astype(np.float64) @ weights + bias
    q, k, v = np.split(projected, 3, axis=-1)
    return of_tokens(q, k, v, more[-1] if more else None, heads=heads, scale=(q.shape[-1] / heads) ** -0.5)


def slow_multi_head(*x: Any) -> np.ndarray:
    """With two heads of four channels each."""
    factors = [a + b for a, b in zip(x[:3], np.split(x[3], 3), strict=True)] if len(x) > 3 else x
    return of_tokens(*factors, x[5] if len(x) > 5 else None, heads=2, scale=0.5)


def slow_conv(x: np.ndarray, weights: np.ndarray, bias: Any = None, addend: Any = 0) -> np.ndarray:
    """A convolution of stride 1 and a pad of 1 on each side."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), (3, 3), axis=(2, 3))
    y = np.einsum("bcijhw,ochw->boij", windows, weights)
    return np.asarray(y + (0 if bias is None else bias[:, None, None]) + addend)


def microsoft(
    op: str, *operands: Any, meaning: Callable[..., Any], outputs: int = 1, opset: int = 17, **attributes: Any
) -> Case:
    return Case(op, operands, meaning, MICROSOFT, opset, outputs, attributes)


Q, K, V = (normal(2, 4, 5, 6) for _ in range(3))
TOKENS, PIXELS = normal(2, 5, 8), normal(2, 3, 6, 5)
MASK = RNG.random((2, 1, 5, 5)) < 0.7
MASK[..., 0] = True
CASES: dict[str, Case] = {
    "attention": Case("Attention", (Q, K, V), lambda *x: slow_attention(*x, scale=6**-0.5)),
    "attention, scaled": Case("Attention", (Q, K, V), lambda *x: slow_attention(*x, scale=0.3), attributes={"scale": 0.3}),
    "attention, masked": Case("Attention", (Q, K, V, MASK), lambda *x: slow_attention(*x, scale=6**-0.5), opset=24),
    "attention, biased": Case("Attention", (Q, K, V, normal(5, 5)), lambda *x: slow_attention(*x, scale=6**-0.5)),
    "attention, capped": Case(
        "Attention", (Q, K, V, normal(5, 5)), lambda *x: slow_attention(*x, scale=2.0, softcap=1.5),
        attributes={"scale": 2.0, "softcap": 1.5},
    ),
    "attention, causal": Case(
        "Attention", (Q, K, V), lambda *x: slow_attention(*x, scale=6**-0.5, causal=True), attributes={"is_causal": 1}
    ),
    "attention, in groups": Case("Attention", (Q, K[:, :2], V[:, 1:3]), lambda *x: slow_attention(*x, scale=6**-0.5)),
    "attention of tokens": Case(
        "Attention", (normal(2, 5, 8), normal(2, 7, 8), normal(2, 7, 4)), lambda *x: of_tokens(*x, heads=2, scale=0.5),
        attributes={"q_num_heads": 2, "kv_num_heads": 2},
    ),
    "rms": Case("RMSNormalization", (Q, normal(6)), slow_rms),
    "rms, of several axes": Case(
        "RMSNormalization", (Q, normal(5, 6)), lambda *x: slow_rms(*x, axis=2, epsilon=0.1),
        attributes={"axis": 2, "epsilon": 0.1},
    ),
    "rotary": Case("RotaryEmbedding", (Q, normal(2, 5, 3), normal(2, 5, 3)), lambda *x: slow_rotary(*x, turned=6)),
    "rotary, of neighbours": Case(
        "RotaryEmbedding", (Q, normal(9, 2), normal(9, 2), RNG.integers(0, 9, (2, 5))),
        lambda *x: slow_rotary(*x, turned=4, neighbours=True), attributes={"interleaved": 1, "rotary_embedding_dim": 4},
    ),
    "rotary, of tokens": Case(
        "RotaryEmbedding", (normal(2, 5, 8), normal(9, 1), normal(9, 1), RNG.integers(0, 9, (2, 5))),
        lambda x, *more: heads_joined(slow_rotary(heads_apart(x, 2), *more, turned=2)),
        attributes={"num_heads": 2, "rotary_embedding_dim": 2},
    ),
    "rms, as first written": Case(
        "SimplifiedLayerNormalization", (Q, normal(6)), lambda *x: slow_rms(*x, epsilon=0.1), opset=17,
        attributes={"epsilon": 0.1},
    ),
    "gelu with a bias": microsoft("BiasGelu", Q, normal(6), meaning=lambda x, b: gelu(x + b)),
    "gelu with a bias, of a newer opset": microsoft("BiasGelu", Q, normal(6), meaning=lambda x, b: gelu(x + b), opset=20),
    "gelu by a tanh": microsoft("FastGelu", Q, meaning=gelu_by_tanh),
    "gelu by a tanh, with a bias": microsoft("FastGelu", Q, normal(6), meaning=gelu_by_tanh, opset=20),
    "gelu by a sigmoid": microsoft("QuickGelu", Q, meaning=lambda x: x / (1 + np.exp(-1.5 * x)), alpha=1.5),
    "norm of a sum": microsoft(
        "SkipLayerNormalization", TOKENS, normal(2, 5, 8), normal(8), normal(8), normal(8), outputs=4, epsilon=0.1,
        meaning=lambda *x: slow_residual_norm(*x, epsilon=0.1),
    ),
    "norm of a sum alone": microsoft(
        "SkipLayerNormalization", TOKENS, normal(2, 5, 8), normal(8), epsilon=0.1,
        meaning=lambda *x: slow_residual_norm(*x, epsilon=0.1)[0],
    ),
    "rms of a sum": microsoft(
        "SkipSimplifiedLayerNormalization", TOKENS, normal(2, 5, 8), normal(8), normal(8), outputs=4, epsilon=0.1,
        meaning=lambda x, y, scale, bias: (slow_rms(x + y + bias, scale, epsilon=0.1), x + y + bias),
    ),
    "packed attention": microsoft(
        "Attention", TOKENS, normal(8, 24), normal(24), meaning=lambda *x: slow_packed(*x, heads=2), num_heads=2
    ),
    "packed attention, biased": microsoft(
        "Attention", TOKENS, normal(8, 24), normal(24), None, None, normal(1, 2, 5, 5), num_heads=2,
        meaning=lambda *x: slow_packed(*x, heads=2),
    ),
    "attention of heads": microsoft(
        "MultiHeadAttention", TOKENS, normal(2, 5, 8), normal(2, 5, 8), meaning=slow_multi_head, num_heads=2
    ),
    "attention of heads, biased": microsoft(
        "MultiHeadAttention", TOKENS, normal(2, 5, 8), normal(2, 5, 8), normal(24), None, normal(1, 2, 5, 5), num_heads=2,
        scale=0.5, meaning=slow_multi_head,
    ),
    "product": microsoft(
        "FusedMatMul", Q, normal(2, 4, 5, 3), meaning=lambda a, b: 0.3 * a.swapaxes(2, 3) @ b, transA=1, alpha=0.3
    ),
    "product, turned": microsoft("FusedMatMul", Q, K, meaning=lambda a, b: a @ b.swapaxes(2, 3), transB=1),
    "gemm, activated": microsoft(
        "FusedGemm", normal(4, 3), normal(5, 3), normal(5), transB=1, alpha=0.5, activation="LeakyRelu", activation_alpha=0.2,
        meaning=lambda a, b, c: np.maximum(0.5 * a @ b.T + c, 0.2 * (0.5 * a @ b.T + c)),
    ),
    "convolution, clipped": microsoft(
        "FusedConv", PIXELS, normal(4, 3, 3, 3), normal(4), activation="Clip", activation_params=[-0.2, 0.5], pads=[1] * 4,
        meaning=lambda *x: np.clip(slow_conv(*x), -0.2, 0.5),
    ),
    "convolution with an addend": microsoft(
        "FusedConv", PIXELS, normal(4, 3, 3, 3), None, normal(2, 4, 6, 5), activation="Relu", pads=[1] * 4,
        meaning=lambda *x: np.maximum(slow_conv(*x), 0),
    ),
}  # fmt: skip


def written(model: onnx.ModelProto, x: np.ndarray) -> Iterator[np.ndarray]:
    """What is made beside the operation, as its outputs."""
    native = OnnxModel.of(model).native.clone()
    results = beside.replace(native)
    outputs = [results[str(output.name)] for output in native.graph.outputs]
    native.graph.outputs.clear()
    native.graph.outputs.extend(outputs)
    yield from OnnxModel(native).compile()({"x0": x}).values()


@pytest.mark.parametrize("name", CASES)
def test_what_is_beside_an_operation_is_what_numpy_says(name: str) -> None:
    case = CASES[name]
    expected = case.meaning(*case.operands)
    for result, true in zip(
        written(case.model(), case.operands[0]), expected if isinstance(expected, tuple) else [expected], strict=True
    ):
        assert result.shape == true.shape
        np.testing.assert_allclose(result, true, rtol=1e-5, atol=1e-5)


def test_a_file_of_an_older_opset_is_read_with_what_is_beside_its_operations() -> None:
    model = open_model(replace(CASES["convolution, clipped"], opset=11).model())
    assert model.conversion is not None
    assert [node.kind for node in model.graph.nodes] == ["conv", "clip"]


def test_every_operation_is_tried() -> None:
    assert {(case.domain, case.op) for case in CASES.values()} == set(RULES)


def negated(rule: Rule) -> Rule:
    """A rule that writes something else."""

    def write(w: Writing) -> Results:
        results = rule.write(w)
        return None if results is None else {index: w.write("Neg", value) for index, value in results.items()}

    return Rule(write, rule.needed, rule.operands, rule.attributes)


@pytest.mark.slow
def test_a_rule_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ("", "Attention")
    assert all(node.kind for node in open_model(attention_of_heads("B")).graph.nodes)
    monkeypatch.setattr(beside, "RULES", {key: negated(RULES[key])})
    model = open_model(attention_of_heads("B"))
    assert [str(node) for node in model.graph.nodes if not node.kind] == [
        "'attention_0' (Attention)",
        "'attention_1' (Attention)",
    ]
    assert beside.pruned(model.native) is model.native  # nothing is left of what was wrong


@pytest.mark.slow
@pytest.mark.parametrize("more", ["cache", "scores"])
def test_what_is_not_read_is_refused_by_name(more: str) -> None:
    model = attention_of_heads(1)
    node = next(node for node in model.graph.node if node.name == "attention_1")
    if more == "cache":
        node.input.extend(["", "cache", "cache"])
        cache = onnx.numpy_helper.from_array(normal(1, 2, 3, 4), "cache")
        model.graph.initializer.append(cache)
        node.output.extend(["keys", "values"])
    else:
        node.output.extend(["", "", "weights"])
        model.graph.output.append(
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, [1, 2, PLAIN.tokens, PLAIN.tokens])
        )
    assert [str(node) for node in open_model(model).graph.nodes if not node.kind] == ["'attention_1' (Attention)"]
    with pytest.raises(OvxaiError, match=r"'attention_1' \(Attention\)"):
        xai.insert(model, method="chefer", scores="logits")


HOSTILE = {  # attributes that no runtime takes
    "heads as a text": ("attention of heads", {"num_heads": "eight"}),
    "heads as fractions": ("attention of heads", {"num_heads": 2.0}),
    "an epsilon that is a text": ("rms", {"epsilon": "small\n\x1b[31m"}),
    "an axis far away": ("rms", {"axis": -(10**15)}),
    "sizes of parts that are fractions": ("packed attention", {"qkv_hidden_sizes": [0.5, 0.5, 1.0]}),
    "an activation that is a number": ("convolution, clipped", {"activation": 7}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attributes_that_a_stranger_wrote_are_not_read(name: str) -> None:
    case, attributes = HOSTILE[name]
    right, wrong = (
        onnx_ir.from_proto(replace(CASES[case], attributes=some).model())
        for some in (
            CASES[case].attributes,
            CASES[case].attributes | attributes,
        )
    )
    assert [node.outputs[0].name for node in beside_of(right)] and not beside_of(wrong)


def test_a_few_bytes_that_tell_of_any_number_of_tokens_are_not_read() -> None:
    native = onnx_ir.from_proto(CASES["attention, causal"].model())
    for value in (*native.graph.inputs, *native.graph.initializers.values()):
        value.shape, value.const_value = onnx_ir.Shape((1, 2, 10**9, 6)), None
    assert not beside_of(native)


def beside_of(native: onnx_ir.Model) -> list[onnx_ir.Node]:
    """What is put beside the only operation of a model."""
    before, values = list(native.graph), [*native.graph.inputs, *native.graph.initializers.values()]
    beside.put_beside(native, {str(value.name): value for value in values})
    return [node for node in native.graph if node not in before]


def test_a_file_without_a_hook_stays_as_it_is() -> None:
    model = attention_of_tokens("B")
    nodes = [list(item.graph.node) for item in (model, open_model(model).object())]  # type: ignore[attr-defined]
    before, after = ([(node.op_type, list(node.input), list(node.output)) for node in some] for some in nodes)
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vit_reciprocam", "chefer", "layer_cam"])
def test_a_mask_of_keys_is_refused_with_a_way_out(method: str) -> None:
    model = multi_head_attention(1)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1, PLAIN.tokens), np.int32), "mask"))
    for node in model.graph.node:
        if node.op_type == "MultiHeadAttention":
            node.input.extend(["", "mask"])
    with pytest.raises(OvxaiError, match=r"'attention_0' \(MultiHeadAttention\) .* as it was before it was optimised"):
        xai.insert(model, method=method)


def test_a_detector_with_an_operation_that_is_not_read_is_refused_with_a_way_out() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(DETECTORS["one level"](1).model)
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    last.op_type, last.domain = "NhwcFusedConv", MICROSOFT
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    with pytest.raises(OvxaiError, match=rf"'{last.name}' \(NhwcFusedConv\) .* as it was before it was optimised"):
        xai.insert(model)


EXPLAINED: list[tuple[Callable[..., onnx.ModelProto], str, int | str]] = [
    (attention_of_heads, "vit_reciprocam", "B"),
    (attention_of_tokens, "vit_reciprocam", 1),
    (attention_of_tokens, "chefer", "B"),
    (attention_of_heads, "legrad", 1),
    (attention_of_tokens, "attention_rollout", "B"),
    (attention_of_heads, "layer_cam", "B"),
    (multi_head_attention, "legrad", "B"),
    (optimised, "vit_reciprocam", "B"),
    (optimised, "vit_reciprocam", 1),
    (optimised, "chefer", "B"),
    (optimised, "layer_cam", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "method", "batch"), EXPLAINED)
def test_a_fused_transformer_is_explained_as_the_other(
    form: Callable[..., onnx.ModelProto], method: str, batch: int | str
) -> None:
    model = form(batch)
    opset = next(item.version for item in model.opset_import if item.domain == "")
    x = images(PLAIN.build("B"), 2 if batch == "B" else 1)
    maps, hooked_models = [], []
    for item in (PLAIN.build(batch, opset), model):
        hooked_models.append(xai.insert(item, method=method, scale="none", targets="all"))
        maps.append(xai.load(hooked_models[-1])(x)["saliency_map"])
    np.testing.assert_allclose(maps[0] / np.abs(maps[0]).max(), maps[1] / np.abs(maps[0]).max(), atol=1e-4)
    hooked = hooked_models[-1].deployed.object()
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(["logits"], {"image": x})[0]
    after = onnxruntime.InferenceSession(hooked.SerializeToString()).run(["logits"], {"image": x})[0]
    np.testing.assert_array_equal(after, before)
    left = unhooked(open_model(hooked)).object().graph.node  # type: ignore[attr-defined]
    assert sorted(node.name for node in left) == sorted(node.name for node in model.graph.node)


@pytest.mark.slow
def test_rotations_and_norms_without_a_mean_are_passed() -> None:
    model = modern("B")
    assert {"RMSNormalization", "RotaryEmbedding", "Attention"} <= {node.op_type for node in model.graph.node}
    x = images(PLAIN.build("B"), 2)
    hooked = xai.insert(model, method="vit_reciprocam", scale="none", targets="all")
    expected = TokenOracle(model, "x1", "z_1", 1).raw(x)
    np.testing.assert_allclose(xai.load(hooked)(x)["saliency_map"], expected, atol=ROUNDING)
    assert xai.insert(model, method="chefer").verified is not None
