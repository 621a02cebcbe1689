"""How fused operations are written as standard nodes: one table, by domain and name."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_xai.dialects.onnx.fused.attention import attention
from openvino_xai.dialects.onnx.fused.norms import rms
from openvino_xai.dialects.onnx.fused.rotations import rotary
from openvino_xai.dialects.onnx.fused.writing import Rule, rule

RULES: Mapping[tuple[str, str], Rule] = {
    ("", "Attention"): rule(
        attention, 3, [3], "is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap softmax_precision"
    ),
    ("", "RMSNormalization"): rule(rms, 2, [], "axis epsilon stash_type"),
    ("", "RotaryEmbedding"): rule(rotary, 3, [3], "interleaved num_heads rotary_embedding_dim"),
}
