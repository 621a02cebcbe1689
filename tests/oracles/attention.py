"""Explanations by attention, straight from the papers: one image and one block at a time, of what ONNX's reference computes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import openvino as ov
import openvino.opset13 as opset
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from tails import doubled
from tiny_transformers import HEIGHT, WIDTH, Transformer


def attentions(variant: Transformer, image: np.ndarray) -> list[np.ndarray]:
    """[M, T, T] for each block, of one image [C, H, W]."""
    model = onnx.shape_inference.infer_shapes(variant.build(1))
    names = [f"p_{block}" for block in range(variant.repeats)]
    part = onnx.utils.Extractor(model).extract_model(["image"], names)
    return [weights[0].astype(np.float64) for weights in ReferenceEvaluator(part).run(None, {"image": image[None]})]


def slow_rollout(
    weights: list[np.ndarray], class_token: int, prefix: int, grid: tuple[int, int] = (HEIGHT, WIDTH)
) -> np.ndarray:
    """[H, W]: how much of each patch is in the class token, as whole matrices of all tokens."""
    tokens = weights[0].shape[-1]
    share = np.eye(tokens)
    for of_heads in weights:
        mixed = np.zeros((tokens, tokens))
        for i, j in np.ndindex(tokens, tokens):
            mixed[i, j] = (sum(head[i, j] for head in of_heads) / len(of_heads) + (i == j)) / 2
        mixed = np.stack([row / row.sum() for row in mixed])
        share = mixed @ share
    return share[class_token, prefix : prefix + grid[0] * grid[1]].reshape(grid)


def in_one_operation(variant: Transformer, batch: int | str, mask: Any = None) -> ov.Model:
    """The model as IR, where the attention of a block is one operation, perhaps with a mask [T, T] of truths or numbers."""
    model = ov.Core().read_model(variant.build(batch).SerializeToString())
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    for block in range(variant.repeats):
        q, k, v = (nodes[f"{name}_{block}"].output(0) for name in ("q", "k", "v"))
        attention = opset.scaled_dot_product_attention(
            q, k, v, *(() if mask is None else (opset.constant(mask),)), causal=False
        )
        attention.set_friendly_name(f"sdpa_{block}")
        for reader in nodes[f"g_{block}"].output(0).get_target_inputs():
            reader.replace_source_output(attention.output(0))
    return ov.Model(model.outputs, model.get_parameters())


STEP = 1e-5  # of an attention weight


class Erf(OpRun):  # type: ignore[misc]
    """In f64: onnx 1.23.2 computes it in f32, whatever it is given."""

    op_domain = ""

    def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
        return (np.vectorize(math.erf, otypes=[np.float64])(x),)


def slopes(variant: Transformer, image: np.ndarray, block: int, *, behind: bool = False) -> np.ndarray:
    """[M, T, T, K]: the derivative of logits of one image by each weight of a block's attention, by differences in f64.

    They are those of the model, or what its head makes of the tokens `behind` the block.
    """
    model = doubled(onnx.shape_inference.infer_shapes(variant.build("B")))
    extractor, end = onnx.utils.Extractor(model), "l" if variant.softmax else "logits"
    tokens = f"x{block + 1}" if behind else end
    part = extractor.extract_model(["image", f"p_{block}"], [tokens])
    head = extractor.extract_model([f"x{variant.repeats}"], [end])
    weights = attentions(variant, image)[block]
    steps = STEP * np.eye(weights.size).reshape(weights.size, *weights.shape)
    batch = np.repeat(image[None].astype(np.float64), weights.size, axis=0)
    tail = ReferenceEvaluator(part, new_ops=[Erf])
    up, down = (tail.run(None, {"image": batch, f"p_{block}": weights + side * steps})[0] for side in (1, -1))
    if behind:
        up, down = (ReferenceEvaluator(head).run(None, {f"x{variant.repeats}": tokens})[0] for tokens in (up, down))
    return ((up - down) / (2 * STEP)).reshape(*weights.shape, *up.shape[1:])


def slow_chefer(
    weights: list[np.ndarray],
    gradients: list[np.ndarray],
    class_token: int,
    prefix: int,
    grid: tuple[int, int] = (HEIGHT, WIDTH),
) -> np.ndarray:
    """[H, W]: the class token's row of R, as whole matrices of all tokens, for gradients [M, T, T] of one score."""
    relevance = np.eye(weights[0].shape[-1])
    for of_heads, slopes_of_heads in zip(weights, gradients, strict=True):
        positive = [np.maximum(slope * head, 0) for head, slope in zip(of_heads, slopes_of_heads, strict=True)]
        relevance = relevance + sum(positive) / len(positive) @ relevance
    return relevance[class_token, prefix : prefix + grid[0] * grid[1]].reshape(grid)


def slow_legrad(gradients: list[np.ndarray], prefix: int, grid: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """[H, W]: what is positive of gradients [M, T, T] of one score for each block, per key."""
    relevance = np.zeros(gradients[0].shape[-1])
    for slopes_of_heads in gradients:
        heads, tokens, _ = slopes_of_heads.shape
        for head, query, key in np.ndindex(slopes_of_heads.shape):
            relevance[key] += max(slopes_of_heads[head, query, key], 0) / (heads * tokens)
    return relevance[prefix : prefix + grid[0] * grid[1]].reshape(grid)
