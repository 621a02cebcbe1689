"""What a file holds, as a short text: files with one digest are the same, whatever they are called."""

from __future__ import annotations

import hashlib
from pathlib import Path

from openvino_xai.files.reading import open_regular


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises InputError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
