"""Names of classes, as a caller has them: a list, or a file with one a line."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.files.reading import read_regular

MOST = 64 * 2**20  # bytes of a file of labels


def read_labels(path: Path) -> list[str]:
    """One label a line. Raises InputError."""
    try:
        text = read_regular(path, most=MOST).decode("utf-8-sig")
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read labels from {path}: {error}") from error
    # only what ends a line in every editor: a label may hold what `splitlines` takes for an end, and those behind would move up
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def labels_of_caller(labels: Sequence[str] | str | os.PathLike[str] | None) -> list[str] | None:
    """Labels, of which a text is the path of a file that holds them. Raises InputError for what is neither."""
    if labels is None:
        return None
    if isinstance(labels, (str, os.PathLike)):
        return read_labels(Path(labels))
    return checked_labels(labels)


def checked_labels(labels: object) -> list[str]:
    """A list of labels. Raises InputError for anything else."""
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"labels are {quoted(labels)}: a list of texts is expected, one for each class", options=("labels",))
    return list(labels)
