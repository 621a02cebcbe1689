"""Classes by what people call them."""

from __future__ import annotations

from collections.abc import Sequence

from openvino_xai.choices import quoted, suggestion
from openvino_xai.errors import InputError

EXAMPLES = 3  # labels that an error names


def class_ids(text: str, labels: Sequence[str], classes: int) -> list[int]:
    """The ids of the classes that `text` names, by labels or ids with commas between; a label may hold commas itself.

    Where capitals make no difference, they are passed over; of a label that several classes share, all are meant. Raises
    InputError for what is neither.
    """
    names = [text] if text in labels else [name.strip() for name in text.split(",")]
    ids = [k for name in names for k in _ids_of(name, labels, classes)]
    return list(dict.fromkeys(ids))


def ids_named(name: str, labels: Sequence[str], classes: int) -> list[int]:
    """The ids of the classes that one label or one id names, none where it is neither."""
    for same in (str, str.casefold):
        if ids := [k for k, label in enumerate(labels) if same(label) == same(name)]:
            return ids
    if name.isascii() and name.isdigit() and len(name) < len(str(classes)) + 9 and int(name) < classes:
        return [int(name)]
    return []


def _ids_of(name: str, labels: Sequence[str], classes: int) -> list[int]:
    if ids := ids_named(name, labels, classes):
        return ids
    examples = ", ".join(f"'{label}'" for label in labels[:EXAMPLES])
    label = f", or a label as {examples}," if examples else ""
    raise InputError(
        f"target {quoted(name)} is no class of the model: an id from 0 to {classes - 1}{label} is expected"
        f"{suggestion(name, labels)}",
        options=("targets",),
    )
