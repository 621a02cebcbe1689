"""Pictures side by side, of any shape."""

from __future__ import annotations

import numpy as np
import pytest

from openvino_xai.render.sheet import COLUMN, EDGE, LINE, TALL, sheet


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (200000, 1), (1, 200000), (7, 5)])
def test_pictures_of_extreme_shapes(size: tuple[int, int]) -> None:
    page = sheet([[(np.zeros((*size, 3), np.uint8), "a name " * 20), (np.zeros((40, 30, 3), np.uint8), "")]])
    assert page.shape[1] == 2 * COLUMN
    assert page.shape[0] <= TALL + EDGE + LINE + 1
    assert (page[EDGE, EDGE] == 0).all()
