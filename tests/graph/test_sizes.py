"""Sizes that are open until the model runs: products, quotients and names of them."""

import pytest

from openvino_xai.errors import PlanError
from openvino_xai.graph.sizes import Dim, at_one, concrete, product, quotient, text

B, H = Dim(1, ("batch",)), Dim(1, ("height",))


def test_products_and_quotients() -> None:
    assert product([2, B, 3]) == 6 * B == B * 6
    assert B * H == H * B
    assert quotient(6 * B, 2 * B) == 3
    assert quotient(6 * B, 4) is None
    assert quotient(6, B) is None
    assert quotient(6 * B, 3) == 2 * B
    assert quotient(0, 0) is None
    assert at_one(49 * B) == 49


def test_text() -> None:
    assert text((B, 3, 49 * B)) == "[batch, 3, 49*batch]"
    assert text(None) == "[?]"


def test_concrete_sizes_are_numbers_or_the_axis_is_named() -> None:
    assert concrete((2, 3), "the kernel") == (2, 3)
    with pytest.raises(PlanError, match=r"the cells of 'f' \[7, height\] .* axis 1 is height: give the model a fixed height"):
        concrete((7, H), "the cells of 'f'")
