"""What a model's class output means, as probabilities."""

from __future__ import annotations

import numpy as np

SUM = 1e-3  # how far the sum of a softmax may be from 1: f16 adds up to less


def scale_of(scores: np.ndarray) -> str:
    """What scores [N, K, ...] are on, by their values: a `softmax` is no less than 0 and adds up to 1, bytes stand for one."""
    flat = scores.reshape(len(scores), -1)
    if scores.dtype == np.uint8 or (flat.shape[1] > 1 and flat.min() >= 0 and np.abs(flat.sum(axis=1) - 1).max() < SUM):
        return "softmax"
    return "logit"


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
