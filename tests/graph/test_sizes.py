"""Sizes that a run decides."""

from openvino_xai.graph.sizes import Dim, at_one, product, quotient, text

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
