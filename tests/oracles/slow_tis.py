"""TIS, slowly: a transformer whose tokens are really gone, and clusters a vector at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from tiny_transformers import CELLS, Transformer


def shortened(variant: Transformer, patches: Sequence[int]) -> onnx.ModelProto:
    """What reads the tokens behind the positions, and makes logits: for the prefix and these `patches` alone."""
    model = onnx.shape_inference.infer_shapes(variant.build(1))
    part = onnx.utils.Extractor(model).extract_model(["x0"], ["logits"])
    prefix = variant.prefix
    tokens = [*range(prefix), *(prefix + patch for patch in patches)]
    for tensor in part.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.int64 and array.ndim:
            sizes = np.where(array == variant.tokens, len(tokens), np.where(array == CELLS, len(patches), array))
            tensor.CopyFrom(numpy_helper.from_array(sizes, tensor.name))
        elif tensor.name == "places":  # a bias of each query and key
            tensor.CopyFrom(numpy_helper.from_array(array[:, :, tokens][:, :, :, tokens], tensor.name))
        elif tensor.name in ("cosines", "sines"):  # positions that turn patches
            tensor.CopyFrom(numpy_helper.from_array(array[:, :, patches], tensor.name))
    part.graph.input[0].type.tensor_type.shape.dim[1].dim_value = len(tokens)
    del part.graph.value_info[:]
    return part


def entering(variant: Transformer, image: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
    """[T, C] for each of some values of the model, of an image [C, H, W]."""
    model = onnx.shape_inference.infer_shapes(variant.build(1))
    part = onnx.utils.Extractor(model).extract_model(["image"], list(names))
    return [tokens[0] for tokens in ReferenceEvaluator(part).run(None, {"image": image[None]})]


def probability(variant: Transformer, image: np.ndarray, patches: Sequence[int], k: int) -> float:
    """What class k has where these `patches` alone enter the first block."""
    (tokens,) = entering(variant, image, ["x0"])
    some = tokens[[*range(variant.prefix), *(variant.prefix + patch for patch in patches)]]
    y = ReferenceEvaluator(shortened(variant, patches)).run(None, {"x0": some[None]})[0][0].astype(np.float64)
    return float(y[k] if variant.softmax else np.exp(y[k]) / np.exp(y).sum())


def slow_clusters(vectors: Sequence[np.ndarray], centres: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The centres that k-means ends with, from those that it begins with."""
    before = None
    while True:
        labels = [min(range(len(centres)), key=lambda c: float(((v - centres[c]) ** 2).sum())) for v in vectors]
        if labels == before:
            return list(centres)
        before = labels
        members = [[v for v, label in zip(vectors, labels, strict=True) if label == c] for c in range(len(centres))]
        centres = [np.mean(some, axis=0) if some else centre for some, centre in zip(members, centres, strict=True)]


def slow_tis(score: Callable[[Sequence[int]], float], centres: Sequence[np.ndarray]) -> np.ndarray:
    """[N]: for each patch the mean of what masks have that keep it, each the half where a centre is largest."""
    cells = len(centres[0])
    scores: list[list[float]] = [[] for _ in range(cells)]
    for centre in centres:
        patches = sorted(sorted(range(cells), key=lambda cell: -centre[cell])[: cells // 2])
        of_mask = score(patches)
        for cell in patches:
            scores[cell].append(of_mask)
    return np.array([np.mean(some) if some else 0 for some in scores])
