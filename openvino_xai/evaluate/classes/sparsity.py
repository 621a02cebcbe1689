"""How few pixels hold most of a map.

The Gini index of a map, as Chalasani et al., "Concise explanations of neural networks using adversarial training", 2020,
measure it; Hurley and Rickard, "Comparing measures of sparsity", 2009, equation 6.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.evaluate.classes.case import Case


def sparsity(case: Case) -> float:
    """The Gini index of the mask, in [0, 1]: 0 where all pixels are alike, near 1 where one has all. More is better.

    A map of nothing, which is a constant one, has 0.
    """
    values = np.sort(case.mask.reshape(-1).astype(np.float64))
    total, count = values.sum(), values.size
    if total == 0:
        return 0.0
    ranks = np.arange(1, count + 1)
    return float(((2 * ranks - count - 1) * values).sum() / (count * total))
