"""What a model's class output means, as probabilities."""

from __future__ import annotations

import numpy as np


def probabilities(scores: np.ndarray, scale: str, score: str | None = None) -> np.ndarray:
    """[N, K] in [0, 1], f64, of scores [N, K, ...] on a scale (`softmax`, `sigmoid`, `logit`).

    Logits are put through a softmax, or a sigmoid where there is one or where `score` says so. Bytes stand for [0, 1].
    """
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    if scale != "logit":
        return flat / (255 if scores.dtype == np.uint8 else 1)
    if score == "sigmoid" or flat.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-flat)))
    shifted = np.exp(flat - flat.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
