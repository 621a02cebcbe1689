"""Where masks reach, and windows side by side, held to one convolution of one mask at a time."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from openvino_xai.operations.windows import Windows
from openvino_xai.tail.windowed.convolution import Layout
from openvino_xai.tail.windowed.reach import Reach

RNG = np.random.default_rng(0)


def attributes(kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> dict[str, list[int]]:
    return {"kernel": [kernel], "strides": [stride], "dilations": [dilation], "pads": list(pads)}


def convolved(x: np.ndarray, kernel: np.ndarray, windows: Windows) -> np.ndarray:
    """[outputs]: along one axis, 0 beyond it."""
    return np.array([sum(k * x[at] for k, at in zip(kernel, reads, strict=True) if at >= 0) for reads in windows.reads])


def spread(items: np.ndarray, reach: Reach, mask: int) -> np.ndarray:
    """[size]: the items of a mask at their cells, 0 elsewhere."""
    x, of_mask = np.zeros(reach.size), reach.masks == mask
    x[reach.cells[of_mask]] = items[of_mask]
    return x


def side_by_side(items: np.ndarray, layout: Layout, kernel: np.ndarray, a: dict[str, list[int]]) -> np.ndarray:
    """[P]: what a convolution without padding makes of a layout, at the items behind it."""
    laid, stride, dilation = items @ layout.placing, a["strides"][0], a["dilations"][0]
    outputs = [sum(k * laid[j * stride + t * dilation] for t, k in enumerate(kernel)) for j in range(layout.outputs)]
    return np.array(outputs)[layout.valid]


CASES = [
    case
    for case in product((3, 7), (1, 2, 3, 5), (1, 2, 3), (1, 2), ((0, 0), (1, 1), (0, 1), (2, 2)), (1, 7))
    if case[0] % case[5] == 0 and case[0] + sum(case[4]) > (case[1] - 1) * case[3]
]


@pytest.mark.slow
def test_a_convolution_over_all_windows_is_that_over_each() -> None:
    gaps = 0
    for size, length, stride, dilation, pads, block in CASES:
        a, reach = attributes(length, stride, dilation, pads), Reach.of_blocks(size, size // block)
        outputs = (size + sum(pads) - (length - 1) * dilation - 1) // stride + 1
        windows, kernel = Windows.along(a, 0, size, outputs), RNG.normal(size=length)
        for _ in range(2):  # of single cells, and of what they became
            after, items = reach.through(windows), RNG.normal(size=reach.count)
            layout = Layout.along(reach, after, a, 0)
            gaps += layout.outputs > after.count
            values = side_by_side(items, layout, kernel, a)
            for mask in range(size // block):
                expected = convolved(spread(items, reach, mask), kernel, windows)
                np.testing.assert_allclose(spread(values, after, mask), expected, atol=1e-12)  # and 0 beyond its reach
            if outputs != size:
                break
            reach = after
    assert gaps > 20  # where a window reaches from end to end


def test_windows_that_touch_without_a_gap_are_seen() -> None:
    """The oracle fails where the rule for gaps does: window 3 reaches both ends, and the next one starts beside it."""
    a = attributes(3, 1, 1, (1, 1))
    windows, reach = Windows.along(a, 0, 3, 3), Reach.of_blocks(3, 3)
    before = reach.through(windows)
    after = before.through(windows)
    layout = Layout.along(before, after, a, 0)
    assert layout.outputs > after.count
    output = np.repeat(np.arange(3), after.lengths)  # without the gap, each window stands one place further to the left
    gaps = layout.valid - np.arange(after.count)
    shift = gaps[np.searchsorted(output, before.masks)]
    shape = before.count, after.count + 2
    touching = Layout(layout.items, layout.places - shift, shape, after.count, np.arange(after.count))
    items, kernel = np.arange(1.0, before.count + 1), np.ones(3)
    values = side_by_side(items, touching, kernel, a)
    expected = [convolved(spread(items, before, mask), kernel, windows) for mask in range(3)]
    assert not np.allclose([spread(values, after, mask) for mask in range(3)], expected)


def test_reach_joins_and_sums() -> None:
    first, second = Reach(5, np.array([0, 2, 0]), np.array([1, 4, 0])), Reach(5, np.array([1, 3, 4]), np.array([3, 4, 5]))
    joined = first.joined(second)
    assert [*zip(joined.masks, joined.cells, strict=True)] == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 3), (2, 4)]
    items = RNG.normal(size=first.count)
    for mask in range(3):
        np.testing.assert_array_equal(spread(items @ first.places_in(joined), joined, mask), spread(items, first, mask))
    np.testing.assert_allclose(items @ first.sums(), [spread(items, first, mask).sum() for mask in range(3)])
    assert first.same(Reach(5, np.array([0, 2, 3]), np.array([1, 4, 3])))
    assert not first.same(second)


def test_the_full_reach_is_all_cells_of_every_mask() -> None:
    full = Reach.of_blocks(4, 2).full
    assert full.cells.tolist() == [0, 1, 2, 3] * 2
    assert full.masks.tolist() == [0] * 4 + [1] * 4
