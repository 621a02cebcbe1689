"""Windows of values, for each row of a detector: what is gathered, moved and placed is what slices of arrays hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tracing import computed

from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace
from openvino_xai.tail.rows.windows import Cells, Patch, Window

PLACES = 5  # rows, or columns, of a head

starts = arrays(np.int64, PLACES, elements=st.integers(-4, 9))


@st.composite
def windows(draw: Callable, size: int) -> Window:  # type: ignore[type-arg]
    """Along an axis of `size` items: around starts that may lie outside, or all of them."""
    if draw(st.booleans()) and draw(st.booleans()):
        return Window.full(size, PLACES)
    return Window.around(size, draw(starts), draw(st.integers(1, 7)))


def items(window: Window, place: int) -> set[int]:
    """Those of a window's items that there are."""
    return set(range(window.start[place], window.start[place] + window.length)) & set(range(window.size))


@given(st.data(), st.integers(1, 9))
@pytest.mark.slow
def test_a_joined_window_holds_both_and_is_the_axis_at_most(data: st.DataObject, size: int) -> None:
    a, b = data.draw(windows(size)), data.draw(windows(size))
    both = a.joined(b)
    assert both.length <= size
    assert all(items(both, place) >= items(a, place) | items(b, place) for place in range(PLACES))
    assert both.is_whole == (both.length == size and not both.start.any())
    if not both.is_whole:
        starts, ends = (f(a.start + x * a.length, b.start + x * b.length) for f, x in ((np.minimum, 0), (np.maximum, 1)))
        assert both.length == (ends - starts).max()
    assert a.joined(a).same(a)


@pytest.mark.slow
@given(starts, st.integers(1, 6), st.integers(1, 9))
def test_a_window_holds_what_of_it_lies_inside(start: np.ndarray, length: int, size: int) -> None:
    window = Window.around(size, start, length)
    for place in range(PLACES):
        assert items(window, place) >= set(range(start[place], start[place] + length)) & set(range(size))


@given(st.data(), starts, st.integers(1, 6), st.integers(1, 9))
@pytest.mark.slow
def test_placing_tells_which_item_is_which(data: st.DataObject, start: np.ndarray, length: int, size: int) -> None:
    window = data.draw(windows(size))
    table = window.placing(start, length)
    assert table.shape == (PLACES, window.length, length)
    for place, mine, other in np.ndindex(table.shape):
        item = window.start[place] + mine
        assert table[place, mine, other] == (item == start[place] + other and 0 <= item < size)


class Laid:
    """Rows of a head of 5 x 5 cells in a trace, and what that computes."""

    def __init__(self, batch: int, each: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.trace = Trace()
        self.row, self.column = (self.rng.integers(0, PLACES, batch * each) for _ in range(2))
        self.inputs: dict[Value, np.ndarray] = {}
        self.each, image = each, self.value(np.repeat(np.arange(batch), each))
        self.cells = Cells(self.trace, self.value(self.row), self.value(self.column), image, batch * each)

    def value(self, array: np.ndarray) -> Value:
        value = Value(f"v{len(self.inputs)}", array.shape, array.dtype)
        self.inputs[value] = array
        return value

    def of(self, result: Value) -> np.ndarray:
        return self.inputs[result] if result in self.inputs else computed(self.trace.nodes, self.inputs, {})[result]

    def cells_of(self, patch: Patch, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Which rows and columns a patch holds, whether they are there or not."""
        return patch.rows.items[self.row[index]], patch.columns.items[self.column[index]]

    def inside(self, x: np.ndarray, patch: Patch) -> np.ndarray:
        """x [R, C, h, w], 0 where the patch reaches beyond the value."""
        there = np.stack(
            [
                np.outer(patch.rows.inside[row], patch.columns.inside[column])
                for row, column in zip(self.row, self.column, strict=True)
            ]
        )
        return x * there[:, None]


FAR = 20  # cells around a value: more than any window reaches beyond it


def laid_out(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """x [C, h, w] where its rows and columns are, on a canvas with the value in its middle."""
    canvas = np.zeros((len(x), 3 * FAR, 3 * FAR))
    canvas[:, (rows + FAR)[:, None], columns + FAR] = x
    return canvas


def read_at(canvas: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return canvas[:, (rows + FAR)[:, None], columns + FAR]


def hold_gathered(laid: Laid, x: np.ndarray, patch: Patch) -> None:
    parts = laid.of(laid.cells.gathered(laid.value(x), patch))
    parts = np.broadcast_to(parts, (len(laid.row), *parts.shape[1:]))
    assert parts.shape[1:] == (2, *patch.sides)
    for index, part in enumerate(parts):
        rows, columns = (np.clip(cells, 0, n - 1) for cells, n in zip(laid.cells_of(patch, index), x.shape[2:], strict=True))
        np.testing.assert_array_equal(part, x[index // laid.each][:, rows[:, None], columns])  # beyond, the nearest


sizes = st.tuples(st.integers(1, 8), st.integers(1, 8))


@given(st.data(), st.integers(1, 3), st.integers(1, 3), sizes)
@pytest.mark.slow
def test_what_is_gathered_is_a_slice_of_the_rows_own_image(
    data: st.DataObject, batch: int, each: int, size: tuple[int, int]
) -> None:
    laid = Laid(batch, each, data.draw(st.integers(0, 99)))
    patch = Patch(data.draw(windows(size[0])), data.draw(windows(size[1])))
    x = laid.rng.normal(size=(batch, 2, *size))
    hold_gathered(laid, x, patch)


@given(st.data(), st.integers(1, 2), st.integers(1, 3), sizes)
@pytest.mark.slow
def test_what_is_moved_lies_where_it_lay(data: st.DataObject, batch: int, each: int, size: tuple[int, int]) -> None:
    laid = Laid(batch, each, data.draw(st.integers(0, 99)))
    before, after = (Patch(data.draw(windows(size[0])), data.draw(windows(size[1]))) for _ in range(2))
    x = laid.inside(laid.rng.normal(size=(batch * each, 2, *before.sides)), before)
    moved = laid.of(laid.cells.moved(laid.value(x), before, after))
    assert moved.shape[2:] == after.sides
    for index in range(batch * each):
        canvas = laid_out(x[index], *laid.cells_of(before, index))
        np.testing.assert_allclose(moved[index], read_at(canvas, *laid.cells_of(after, index)), atol=1e-12)


@pytest.mark.slow
@given(st.data(), st.integers(1, 3), sizes, st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_what_lies_outside_is_cut_off(data: st.DataObject, each: int, size: tuple[int, int], sides: tuple[int, int]) -> None:
    """As what a convolution read of its pads: it may begin ahead of the value, and end behind it."""
    laid = Laid(1, each, data.draw(st.integers(0, 99)))
    origin = data.draw(starts), data.draw(starts)
    after = Patch(*(Window.around(n, start, side) for n, start, side in zip(size, origin, sides, strict=True)))
    x = laid.rng.normal(size=(each, 2, *sides))
    placed = laid.of(laid.cells.placed(laid.value(x), origin, after))
    for index in range(each):
        first = origin[0][laid.row[index]], origin[1][laid.column[index]]
        canvas = laid_out(x[index], *(start + np.arange(side) for start, side in zip(first, sides, strict=True)))
        inside = np.zeros_like(canvas)
        inside[:, FAR : FAR + size[0], FAR : FAR + size[1]] = canvas[:, FAR : FAR + size[0], FAR : FAR + size[1]]
        np.testing.assert_allclose(placed[index], read_at(inside, *laid.cells_of(after, index)), atol=1e-12)


def test_a_start_that_is_off_by_one_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle's own eyes: rows are gathered beside their cells, and that fails."""
    real = Cells.entries
    monkeypatch.setattr(Cells, "entries", lambda self, table, place: real(self, np.maximum(table - 1, 0), place))
    laid, window = Laid(1, 4, 0), Window.around(8, np.arange(PLACES) - 1, 3)
    with pytest.raises(AssertionError):
        hold_gathered(laid, laid.rng.normal(size=(1, 2, 8, 8)), Patch(window, window))
