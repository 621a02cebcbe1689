"""Contrasts that people name, `A-B`, by ids or labels.

Labels hold hyphens and commas, too: all ways to read a text are tried, and one with two readings is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from numbers import Integral

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.runtime.detectors.labels import class_ids, ids_named
from openvino_xai.tail.target import CONTRAST, Contrasts, Pair

MOST = 100  # hyphens and commas: what has more is read by ids alone
BY_IDS = rf"{CONTRAST}(,{CONTRAST})*"


def may_contrast(targets: object) -> bool:
    """Whether targets can be contrasts, which labels that hold a hyphen can, too."""
    if isinstance(targets, str):
        return "-" in targets
    return isinstance(targets, (list, tuple)) and any(isinstance(item, tuple) for item in targets)


def contrasts_in(text: str, labels: Sequence[str], classes: int) -> str | None:
    """Contrasts as `ID-ID,...`, None where the text names none. Raises InputError where it has another reading, too."""
    by_ids = re.fullmatch(BY_IDS, text, re.ASCII) is not None
    readings = [_by_ids(text)] if by_ids else list(islice(dict.fromkeys(_readings(text, labels, classes)), 2))
    if by_ids and any(k >= classes for pair in readings[0] for k in pair):
        return None if _plain(text, labels, classes) else text  # who looks for the classes says which is not there
    texts = [str(Contrasts(pairs)) for pairs in readings]
    sentences = [_sentence(pairs, labels) for pairs in readings]
    if texts and (ids := _plain(text, labels, classes)):
        texts.insert(0, ",".join(map(str, ids)))
        sentences.insert(0, " and ".join(_named(k, labels) for k in ids))
    if len(texts) > 1:
        texts = [f"0{ids}" if ids in labels else ids for ids in texts]  # as a number, and no label
        raise InputError(
            f"targets {quoted(text)} have two readings: {sentences[0]}, and {sentences[1]}; name classes by their ids: "
            f"{texts[0]} or {texts[1]}",
            options=("targets",),
        )
    return texts[0] if texts else None


def classes_in(text: str, labels: Sequence[str], classes: int) -> list[int]:
    """The ids of the classes that a text names which is no contrast. Raises InputError where it names none."""
    try:
        return class_ids(text, labels, classes)
    except InputError as error:
        raise InputError(
            f"{error}; a contrast A-B is of two of these, and stands among contrasts alone", options=error.options
        ) from error


def contrast_of(pair: tuple[object, ...], labels: Sequence[str], classes: int) -> str:
    """A contrast as `ID-ID`, of a pair of ids or labels. Raises InputError for what is no pair of two classes."""
    ids = [_ids_of(side, labels, classes) for side in pair]
    if [len(some) for some in ids] != [1, 1]:
        counts = ", ".join(f"{quoted(side)} names {len(some)}" for side, some in zip(pair, ids, strict=True))
        raise InputError(
            f"{quoted(pair)} is no contrast: a pair of two classes (A, B), by ids or labels, is expected"
            + (f", and {counts}" if len(pair) == 2 else ""),
            options=("targets",),
        )
    return f"{ids[0][0]}-{ids[1][0]}"


def _ids_of(side: object, labels: Sequence[str], classes: int) -> list[int]:
    """The classes that one side of a pair names."""
    if isinstance(side, str):
        return ids_named(side, labels, classes)
    is_id = isinstance(side, Integral) and not isinstance(side, bool)
    return [int(side)] if is_id and 0 <= int(side) < classes else []  # type: ignore[call-overload]


def _by_ids(text: str) -> tuple[Pair, ...]:
    pairs = [pair.split("-") for pair in text.split(",")]
    return tuple((int(first), int(second)) for first, second in pairs)


def _plain(text: str, labels: Sequence[str], classes: int) -> list[int]:
    """The classes that the text names one by one, none where it does not."""
    try:
        return class_ids(text, labels, classes)
    except InputError:
        return []


def _readings(text: str, labels: Sequence[str], classes: int) -> Iterator[tuple[Pair, ...]]:
    """All ways to read the text as contrasts with commas between."""
    if text.count("-") + text.count(",") > MOST:
        return
    parts = text.split(",")
    longest = 1 + 2 * max((label.count(",") for label in labels), default=0)
    rest: list[list[tuple[Pair, ...]]] = [[()]]  # two readings at most of what is behind each comma, the last one first
    for start in reversed(range(len(parts))):
        readings = (
            (pair, *others)
            for length in range(1, min(longest, len(parts) - start) + 1)
            for pair in _pairs(",".join(parts[start : start + length]), labels, classes)
            for others in rest[-length]
        )
        rest.append(list(islice(dict.fromkeys(readings), 2)))
    yield from rest[-1]


def _pairs(text: str, labels: Sequence[str], classes: int) -> Iterator[Pair]:
    """All ways to read the text as one contrast."""
    for place, sign in enumerate(text):
        if sign == "-":
            sides = [ids_named(side.strip(), labels, classes) for side in (text[:place], text[place + 1 :])]
            yield from ((first, second) for first in sides[0] for second in sides[1])


def _sentence(pairs: Sequence[Pair], labels: Sequence[str]) -> str:
    return " and ".join(f"{_named(first, labels)} less {_named(second, labels)}" for first, second in pairs)


def _named(k: int, labels: Sequence[str]) -> str:
    return f"class {k}" + (f" {quoted(labels[k])}" if k < len(labels) else "")
