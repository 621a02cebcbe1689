"""What a result was computed from, so that it is not taken for that of other files with the same names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openvino_xai.dialects.digest import model_digest
from openvino_xai.errors import InputError
from openvino_xai.files.digest import file_digest
from openvino_xai.json_text import to_json
from openvino_xai.version import __version__


def sources(model: str | Path, labels: Path | None) -> dict[str, Any]:
    """This version, and digests of the model with its weights and of the labels. Raises InputError."""
    try:
        of_labels = None if labels is None else file_digest(labels)
    except InputError as error:
        raise InputError(f"cannot read labels from {labels}: {error}") from error
    return {
        "ovxai": __version__,
        "model_digest": model_digest(model),
        "labels_digest": of_labels,
    }


def stamp(path: Path) -> list[int] | None:
    """What changes with a file's content, and costs no reading: its size, and when it and its entry were changed; None where
    it is gone.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in a path
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def stamps(photos: Iterable[Path]) -> dict[str, list[int] | None]:
    """The stamp of each photo, by its path."""
    return {str(photo): stamp(photo) for photo in photos}


def digest_of(value: object) -> str:
    """A short digest of a value that JSON holds."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:32]
