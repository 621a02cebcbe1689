"""How fused operations are written as standard nodes: one table, by domain and name."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_xai.dialects.onnx.fused.activations import bias_gelu, fast_gelu, quick_gelu
from openvino_xai.dialects.onnx.fused.attention import attention, multi_head_attention, packed_attention
from openvino_xai.dialects.onnx.fused.norms import residual_norm, residual_rms, rms
from openvino_xai.dialects.onnx.fused.products import WINDOW, convolution, gemm, matmul
from openvino_xai.dialects.onnx.fused.rotations import rotary
from openvino_xai.dialects.onnx.fused.writing import Rule, rule

MICROSOFT = "com.microsoft"  # what ONNX Runtime's optimiser writes
UNWRITTEN = frozenset(  # others, of which nothing is known
    """
    BiasAdd BiasSoftmax BiasSplitGelu Conv EmbedLayerNormalization GatedRelativePositionBias GroupNorm GroupQueryAttention
    NhwcConv NhwcFusedConv NhwcMaxPool PackedAttention PackedMultiHeadAttention QAttention ReorderInput ReorderOutput
    RotaryEmbedding SkipGroupNorm
    """.split()
)
OF_ATTENTION = "do_rotary mask_filter_value num_heads qkv_hidden_sizes scale unidirectional"
RULES: Mapping[tuple[str, str], Rule] = {
    ("", "Attention"): rule(
        attention, 3, [3], "is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap softmax_precision"
    ),
    ("", "RMSNormalization"): rule(rms, 2, [], "axis epsilon stash_type"),
    ("", "RotaryEmbedding"): rule(rotary, 3, [3], "interleaved num_heads rotary_embedding_dim"),
    ("", "SimplifiedLayerNormalization"): rule(rms, 2, [], "axis epsilon stash_type"),
    (MICROSOFT, "Attention"): rule(packed_attention, 2, [2, 5], OF_ATTENTION),
    (MICROSOFT, "BiasGelu"): rule(bias_gelu, 2),
    (MICROSOFT, "FastGelu"): rule(fast_gelu, 1, [1]),
    (MICROSOFT, "FusedConv"): rule(convolution, 2, [2, 3], f"activation activation_params {' '.join(WINDOW)}"),
    (MICROSOFT, "FusedGemm"): rule(gemm, 2, [2], "activation activation_alpha activation_beta alpha beta transA transB"),
    (MICROSOFT, "FusedMatMul"): rule(matmul, 2, [], "alpha transA transB transBatchA transBatchB"),
    (MICROSOFT, "MultiHeadAttention"): rule(
        multi_head_attention, 3, [3, 5], "mask_filter_value num_heads scale unidirectional"
    ),
    (MICROSOFT, "QuickGelu"): rule(quick_gelu, 1, [], "alpha"),
    (MICROSOFT, "SkipLayerNormalization"): rule(residual_norm, 3, [3, 4], "epsilon"),
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): rule(residual_rms, 3, [3], "epsilon"),
}
