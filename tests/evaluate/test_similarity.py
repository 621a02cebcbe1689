"""How alike two maps are, on maps whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openvino_xai.errors import InputError
from openvino_xai.evaluate.similarity import correlation, ranks, similarity
from openvino_xai.explanation import Explanation, Prediction

Box = tuple[float, float, float, float]
PHOTO = (0.0, 0.0, 80.0, 60.0)


def explained(saliency: np.ndarray, box: Box = PHOTO) -> Explanation:
    target = (Prediction(0, "a", 1.0),)
    return Explanation(np.zeros((60, 80, 3), np.uint8), target, target, saliency[None].astype(np.float32), box, {})


RAMP = np.tile(np.arange(8.0), (6, 1))


def test_the_same_map() -> None:
    result = similarity(explained(RAMP), explained(RAMP * 3 + 7))  # another scale is no other map
    assert (result.pearson, result.spearman, result.ssim) == pytest.approx((1, 1, 1), abs=1e-5)
    assert result.top_cell


def test_the_opposite_map() -> None:
    result = similarity(explained(RAMP), explained(-RAMP))
    assert (result.pearson, result.spearman) == pytest.approx((-1, -1), abs=1e-5)
    assert result.ssim < 0.5
    assert not result.top_cell


def test_maps_across_each_other_have_nothing_in_common() -> None:
    result = similarity(explained(RAMP), explained(np.tile(np.arange(6.0)[:, None], (1, 8))))
    assert (result.pearson, result.spearman) == pytest.approx((0, 0), abs=1e-5)


def test_ranks_do_not_see_what_bends_a_map() -> None:
    result = similarity(explained(RAMP), explained(RAMP**6))
    assert result.spearman > 0.99
    assert result.pearson < 0.85


def test_a_constant_map_correlates_with_nothing() -> None:
    result = similarity(explained(RAMP), explained(np.ones((6, 8))))
    assert (result.pearson, result.spearman) == (0, 0)


def test_another_grid() -> None:
    result = similarity(explained(RAMP), explained(RAMP[:3].repeat(2, axis=1)))
    assert result.pearson > 0.99
    assert result.top_cell


def test_another_part_of_the_photo_is_compared_where_both_saw_it() -> None:
    """The second network sees the right half, which the first shows as the right half of its map."""
    half = (40.0, 0.0, 80.0, 60.0)
    result = similarity(explained(RAMP), explained(RAMP[:, 4:], half))
    assert result.pearson > 0.99
    assert result.top_cell
    with pytest.raises(InputError, match="see different parts of the image"):
        similarity(explained(RAMP, (0.0, 0.0, 39.0, 60.0)), explained(RAMP, half))


@pytest.mark.slow
@settings(deadline=None)
@given(
    levels=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    part=st.floats(0, 1),
    seed=st.integers(0, 2**16),
    size=st.sampled_from([(3, 4), (7, 7), (14, 14), (24, 32)]),
)
@example(levels=[0.0, 0.0], part=1.0, seed=28801, size=(24, 32))  # one cell alone differs from all others
def test_ranks_do_not_hang_on_the_last_bits(levels: list[float], part: float, seed: int, size: tuple[int, int]) -> None:
    """Plateaus, as ReLU and saturated scores leave them: a millionth of noise is less than another build rounds away."""
    rng = np.random.default_rng(seed)
    flat = np.where(rng.random(size) < part, rng.choice(levels, size), rng.random(size)).astype(np.float32)
    flat.flat[:2] = 0, 1
    noisy = flat + 1e-6 * rng.normal(0, 1, size).astype(np.float32)
    other = rng.random(size)
    for true in (other, flat, np.round(other, 1)):
        assert similarity(explained(noisy), explained(true)).spearman == pytest.approx(
            similarity(explained(flat), explained(true)).spearman, abs=1e-3
        )


@pytest.mark.slow
def test_ranks_are_what_everybody_else_computes() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed, which ranks what is not nearly equal the same")
    rng = np.random.default_rng(0)
    for values in (rng.random(50), rng.integers(0, 5, 60) / 5, np.arange(7.0)):
        np.testing.assert_allclose(ranks(values, 1e-9), stats.rankdata(values) - 1, atol=1e-4)
        np.testing.assert_allclose(ranks(values), slow_ranks(values), atol=1e-9)
    x, y = rng.random(900), rng.random(900)
    assert correlation(ranks(x), ranks(x + y)) == pytest.approx(stats.spearmanr(x, x + y)[0], abs=1e-4)


def slow_ranks(values: np.ndarray) -> list[float]:
    """Each value beside each other: 1 for those below, half for those within 2e-5, a straight line from there to 1e-3."""

    def count(d: float) -> float:
        return 0.5 + np.sign(d) * min(max((abs(d) - 2e-5) / (2 * 9.8e-4), 0), 0.5)

    return [sum(count(v - w) for w in values) - 0.5 for v in values]


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_a_map_that_is_no_number_is_not_compared(strange: float) -> None:
    broken = RAMP.copy()
    broken[0, 0] = strange
    with pytest.raises(InputError, match="not finite"):
        similarity(explained(RAMP), explained(broken))
