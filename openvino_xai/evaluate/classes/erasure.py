"""What is left of the prediction without the pixels that a map holds for the most important, and with these alone.

DeYoung et al., "ERASER: A benchmark to evaluate rationalized NLP models", 2020, equations 1 and 2, and the areas over them at
1, 5, 10, 20 and 50 % (there of the words, here of the pixels).
"""

from __future__ import annotations

import numpy as np

from openvino_xai.evaluate.classes.case import Case

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def comprehensiveness(case: Case) -> float:
    """The mean of y - o, where o is the score when the most important pixels are covered: more is better.

    In [-1, 1] of probabilities; below 0 where the prediction gains by what is covered.
    """
    return _loss(case, keep=False)


def sufficiency(case: Case) -> float:
    """The mean of y - o, where o is the score when all but the most important pixels are covered: less is better."""
    return _loss(case, keep=True)


def _loss(case: Case, *, keep: bool) -> float:
    order = case.order
    masks = np.zeros((len(SHARES), 1, order.size), bool)
    for mask, share in zip(masks, SHARES, strict=True):
        mask[0, order[: max(1, round(share * order.size))]] = True
    visible = (masks if keep else ~masks).reshape(-1, 1, *case.mask.shape)
    images = np.where(visible, case.image, case.cover).astype(np.float32)
    scores = case.checked(case.network.predict(images, logits=case.logits), "scores")
    return float(case.score - scores[:, case.target].mean(dtype=np.float64))
