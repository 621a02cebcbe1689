"""What a model holds, weights included, as a short text: models with one digest are the same, whatever they are called."""

from __future__ import annotations

import hashlib
from pathlib import Path

from openvino_xai.dialects.packages import packages_of
from openvino_xai.files.digest import file_digest
from openvino_xai.files.external_data import data_beside
from openvino_xai.files.paths import is_file


def model_digest(model: str | Path) -> str:
    """The SHA-256 of a model and of all weights that lie beside it, in hexadecimal. Raises InputError."""
    path = Path(model)
    files = model_files(path)
    listing = "".join(f"{file_digest(file)} {file.relative_to(path.parent)}\n" for file in files[1:])
    return hashlib.sha256(f"{file_digest(path)}\n{listing}".encode(errors="surrogateescape")).hexdigest()


def model_files(path: Path) -> list[Path]:
    """The file of a model, and those with its weights that lie beside it. Raises InputError, ModelError."""
    return [path, *(beside for beside in _beside(path) if is_file(beside))]


def _beside(path: Path) -> list[Path]:
    if path.suffix == ".onnx":
        with packages_of("onnx", str(path)):
            from openvino_xai.dialects.onnx.locations import locations
        return [path.parent / location for location in locations(path)]
    data = data_beside(path)
    return [] if data is None else [data]
