"""Contrasts by labels: every reading of a text counts, beside one that is found by writing all texts out."""

from __future__ import annotations

from itertools import chain, product
from typing import Any

import pytest

from openvino_xai.errors import InputError
from openvino_xai.runtime.inputs.contrasts import may_contrast
from openvino_xai.runtime.inputs.targets import named_targets

LABELS = ["cat", "t-shirt", "tabby, tiger cat", "t", "shirt", "4-6", "a\nb", "'\"", "crane", "crane", "shirt-t"]


def read(text: object, labels: list[str] = LABELS) -> Any:
    return named_targets(text, labels, len(labels))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat-crane", None),
        ("cat-t", "0-3"),
        ("CAT - T-Shirt", "0-1"),
        ("tabby, tiger cat-cat", "2-0"),
        ("cat-tabby, tiger cat,cat-t", "0-2,0-3"),
        ("cat-tabby, tiger cat, cat-0x", None),
        ("a\nb-'\"", "6-7"),
        ("3-0", "3-0"),
        ("3-cat,2 - 1", "3-0,2-1"),
        ("t-shirt-cat", "1-0"),
        ("cat", [0]),
        ("cat,t", [0, 3]),
        ("shirt-t", None),
        ("t-shirt", None),
        ("4-6", None),
        ("t-shirt-t", None),
        ("cat-t,cat", None),
        ("-", None),
        ("-cat", None),
        ("cat-", None),
        ("3-99", "3-99"),
    ],
)
def test_labels_and_ids(text: str, expected: object) -> None:
    if expected is None:
        with pytest.raises(InputError):
            read(text)
    else:
        assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("t-shirt", r"class 1 't-shirt', and class 3 't' less class 4 'shirt'; .*: 1 or 3-4"),
        ("4-6", r"class 5 '4-6', and class 4 'shirt' less class 6 .*: 5 or 04-6"),
        ("t-shirt-t", r"class 3 't' less class 10 'shirt-t', and class 1 't-shirt' less class 3 't'; .*: 3-10 or 1-3"),
        ("cat-crane", r"class 0 'cat' less class 8 'crane', and class 0 'cat' less class 9 'crane'; .*: 0-8 or 0-9"),
    ],
)
def test_two_readings_are_both_told(text: str, readings: str) -> None:
    with pytest.raises(InputError, match=readings):
        read(text)
    assert read("04-6") == "4-6"


def test_a_range_that_is_a_label_stays_one_where_its_numbers_are_no_classes() -> None:
    assert read("8-12", ["0-2", "4-6", "8-12"]) == [2]


def test_pairs() -> None:
    assert read([("cat", "t-shirt"), (2, "T")]) == "0-1,2-3"
    for wrong in (
        [("cat", "crane")],
        [("cat", "dog")],
        [("cat",)],
        [("cat", "t", 2)],
        [("cat", None)],
        [(0, -1)],
        [(0, 99)],
        [(0, True)],
        [("cat", "t"), 1],
        [()],
    ):
        with pytest.raises(InputError):
            read(wrong)
    assert read((0, 2)) == [0, 2]  # no pair, but two classes
    assert not may_contrast((0, 2))
    assert not may_contrast("top:3")


def test_all_readings_are_found() -> None:
    """Of texts with one comma at most, which are two contrasts at most."""
    labels = ["a", "b", "a-b", "b,a", "a,b-a", "-"]
    pairs = list(product(range(len(labels)), repeat=2))
    texts: dict[str, set[str]] = {}
    for several in chain.from_iterable(product(pairs, repeat=count) for count in (1, 2)):
        text = ",".join(f"{labels[first]}-{labels[second]}" for first, second in several)
        if text.count(",") < 2:
            texts.setdefault(text, set()).add(",".join(f"{first}-{second}" for first, second in several))
    counts = [0, 0, 0]
    for text, readings in texts.items():
        count = len(readings) + (text in labels or set(text.split(",")) <= set(labels))
        counts[min(count, 2)] += 1
        if count == 1:
            assert read(text, labels) == next(iter(readings))
        else:
            with pytest.raises(InputError, match="two readings"):
                read(text, labels)
    assert min(counts[1:]) > 5


def test_long_texts_end() -> None:
    for text in ("-" * 100_000, "a-b," * 30_000, "cat-t," * 50 + "cat-t"):
        with pytest.raises(InputError):
            read(text)
    assert read(",".join(["cat-t", "t-cat"] * 24)) == ",".join(["0-3", "3-0"] * 24)
