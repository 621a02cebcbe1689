"""How alike two maps are, on maps whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from openvino_xai.errors import InputError
from openvino_xai.evaluate.similarity import similarity
from openvino_xai.explanation import Explanation, Prediction

Box = tuple[float, float, float, float]
WHOLE = (0.0, 0.0, 80.0, 60.0)


def seen(saliency: np.ndarray, box: Box = WHOLE) -> Explanation:
    target = (Prediction(0, "a", 1.0),)
    return Explanation(np.zeros((60, 80, 3), np.uint8), target, target, saliency[None].astype(np.float32), box, {})


RAMP = np.tile(np.arange(8.0), (6, 1))


def test_the_same_map() -> None:
    told = similarity(seen(RAMP), seen(RAMP * 3 + 7))  # another scale is no other map
    assert (told.pearson, told.spearman, told.ssim) == pytest.approx((1, 1, 1), abs=1e-5)
    assert told.top_cell


def test_the_opposite_map() -> None:
    told = similarity(seen(RAMP), seen(-RAMP))
    assert (told.pearson, told.spearman) == pytest.approx((-1, -1), abs=1e-5)
    assert told.ssim < 0.5
    assert not told.top_cell


def test_maps_across_each_other_have_nothing_in_common() -> None:
    told = similarity(seen(RAMP), seen(np.tile(np.arange(6.0)[:, None], (1, 8))))
    assert (told.pearson, told.spearman) == pytest.approx((0, 0), abs=1e-5)


def test_ranks_do_not_see_what_bends_a_map() -> None:
    told = similarity(seen(RAMP), seen(RAMP**6))
    assert told.spearman > 0.99
    assert told.pearson < 0.85


def test_a_constant_map_correlates_with_nothing() -> None:
    told = similarity(seen(RAMP), seen(np.ones((6, 8))))
    assert (told.pearson, told.spearman) == (0, 0)


def test_another_grid() -> None:
    told = similarity(seen(RAMP), seen(RAMP[:3].repeat(2, axis=1)))
    assert told.pearson > 0.99
    assert told.top_cell


def test_another_part_of_the_photo_is_compared_where_both_saw_it() -> None:
    """The second network sees the right half, which the first shows as the right half of its map."""
    half = (40.0, 0.0, 80.0, 60.0)
    told = similarity(seen(RAMP), seen(RAMP[:, 4:], half))
    assert told.pearson > 0.99
    assert told.top_cell
    with pytest.raises(InputError, match="see different parts of the image"):
        similarity(seen(RAMP, (0.0, 0.0, 39.0, 60.0)), seen(RAMP, half))
