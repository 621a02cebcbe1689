"""What heads say of each class at each cell, of softmaxes that are nearly certain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from openvino_xai.graph.model import Value
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.rows.table import HeadTable, Level, RowTable
from openvino_xai.plan.rows.levels import ClassLevels

XP: Any = numpy_namespace()


def slow_log_odds(logits: np.ndarray) -> np.ndarray:
    """[C]: log p_c - log of the sum of the other p, in f64."""
    z = logits.astype(np.float64)
    return np.array([z[c] - np.logaddexp.reduce(np.delete(z, c)) for c in range(len(z))])


@pytest.mark.parametrize(
    "logits",
    [[20.0, 1.0, -3.0], [4.0, 4.0, 0.0], [0.0, 0.0, 0.0], [-60.0, 5.0, 5.5], [9.0, -2.0], np.linspace(-8, 12, 91)],
)
def test_log_odds_of_a_softmax_keep_their_digits(logits: list[float]) -> None:
    z = np.array(logits, np.float32)
    none = np.zeros(1, int)
    head = HeadTable(Value("head", (1, len(z), 1, 1), z.dtype), "softmax", np.arange(len(z))[None], none)
    site = ClassLevels(XP, RowTable((Level((1, 1), (head,)),), none, none, none), lambda _: z.reshape(1, -1, 1, 1))
    (odds,) = site.log_odds()
    np.testing.assert_allclose(odds.reshape(-1), slow_log_odds(z), rtol=3e-6, atol=1e-5)
