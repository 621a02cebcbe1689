"""What names and texts of the contract mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvino_xai.contract import listed

NAMES = st.lists(st.text("ab,", min_size=1), min_size=1, max_size=4, unique=True)


@pytest.mark.parametrize(
    ("text", "among", "names"),
    [
        ("a,b", ["a", "b"], ["a", "b"]),
        (" a , b", ["a", "b"], ["a", "b"]),
        ("a,b", ["a", "a,b", "b"], ["a,b"]),
        ("b,a", ["a", "a,b", "b"], ["b", "a"]),
        ("a,b,c", ["a,b", "c"], ["a,b", "c"]),
        ("a,c", ["a,b", "a"], ["a", "c"]),
        ("", ["a"], [""]),
        (",", [","], [","]),
    ],
)
def test_names_are_listed(text: str, among: list[str], names: list[str]) -> None:
    assert listed(text, among) == names


@given(NAMES)
def test_a_single_name_is_itself_whatever_it_holds(names: list[str]) -> None:
    for name in names:
        assert listed(name, names) == [name]


@pytest.mark.slow
def test_a_text_of_commas_alone_takes_no_time() -> None:
    assert len(listed("," * 20_000, ["a"])) == 20_001
