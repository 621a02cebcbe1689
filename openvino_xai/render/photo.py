"""Photos from files, and pictures to files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.graph.files import written_whole

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})


def read_photo(path: Path) -> np.ndarray:
    """[H, W, 3] RGB bytes, turned as its EXIF tells. Raises ImageError."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    try:
        photo = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    except cv2.error as error:  # OpenCV refuses what is too large, and so do its decoders what is broken in some ways
        limit = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", "?")
        raise ImageError(
            f"cannot read {path}: OpenCV refuses it ({error.err or error}); images of more than {limit} pixels are refused "
            "unless OPENCV_IO_MAX_IMAGE_PIXELS says otherwise"
        ) from error
    if photo is None:
        raise ImageError(f"cannot read {path}: it is no image that OpenCV knows")
    return np.asarray(photo)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write [H, W, 3] RGB bytes as PNG, whole or not at all. Raises InputError for a picture that PNG cannot hold."""
    encoded = _png(picture)
    with written_whole(path) as temporary:
        temporary.write_bytes(encoded.data)


def png(picture: np.ndarray) -> bytes:
    """[H, W, 3] RGB bytes as PNG. Raises InputError for a picture that PNG cannot hold."""
    return _png(picture).tobytes()


def _png(picture: np.ndarray) -> np.ndarray:
    try:
        encoded, data = cv2.imencode(".png", picture[..., ::-1])
    except cv2.error as error:
        raise InputError(f"a picture of {_sides(picture)} cannot be written as PNG: {error.err or error}") from error
    if not encoded:
        raise InputError(f"a picture of {_sides(picture)} cannot be written as PNG: sides of at most 1000000 pixels can")
    return np.asarray(data)


def _sides(picture: np.ndarray) -> str:
    return " x ".join(map(str, picture.shape[:2]))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`, whole or not at all."""
    with written_whole(path) as temporary:
        np.save(temporary, array)
