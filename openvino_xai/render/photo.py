"""Photos from files, and pictures to files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.files.reading import read_regular
from openvino_xai.files.writing import written_whole
from openvino_xai.render.avif import avif_orientation
from openvino_xai.render.header import orientation, premultiplied, transparent, unreadable
from openvino_xai.render.kinds import HEAD, HEIC_WANTS, kind_of, reads_heic
from openvino_xai.render.overlay import BAND


class Encoding(NamedTuple):
    """How a picture is written: the name of the format, the longest side that it holds, and OpenCV's settings."""

    name: str
    longest: int
    settings: tuple[int, ...] = ()


ENCODINGS = {
    ".png": Encoding("PNG", 1_000_000),
    ".jpg": Encoding("JPEG", 65_500, (cv2.IMWRITE_JPEG_QUALITY, 92)),
    ".webp": Encoding("WebP", 16_383, (cv2.IMWRITE_WEBP_QUALITY, 92)),
}
MOST = 2**30  # bytes of a file: as many as the largest image takes, uncompressed, with 16 bits


def read_photo(path: Path) -> np.ndarray:
    """[H, W, 3] RGB bytes of an image file, turned as its EXIF tells, transparent pixels laid on white.

    Of several frames or pages the first is read. 16 bits become 8. A colour profile is not applied: values are taken for sRGB.
    Raises ImageError for what is no regular file of at most 1 GiB, no image, cut off, or of floating-point values.
    """
    try:
        data = read_regular(path, most=MOST)
    except InputError as error:
        raise ImageError(str(error)) from error
    return decode_photo(data, path)


def decode_photo(data: bytes, name: object) -> np.ndarray:
    """[H, W, 3] RGB bytes of an image file's `data`, as `read_photo` has them; errors call it `name`. Raises ImageError."""
    if len(data) > MOST:
        raise ImageError(f"cannot read {name}: it has {len(data)} bytes, and at most {MOST} are read")
    if kind_of(data[:HEAD]) == "HEIC":
        return _of_heic(data, name)
    reason = unreadable(data)
    if reason is not None:
        raise ImageError(f"cannot read {name}: {reason}")
    try:
        photo = _decoded(data)
    except cv2.error as error:  # OpenCV refuses what is too large, and so do its decoders what is broken in some ways
        limit = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", "?")
        raise ImageError(
            f"cannot read {name}: OpenCV refuses it ({error.err or error}); images of more than {limit} pixels are refused "
            "unless OPENCV_IO_MAX_IMAGE_PIXELS says otherwise"
        ) from error
    if photo is None:
        raise ImageError(f"cannot read {name}: it is no image that OpenCV knows, or it is cut off or broken")
    return photo


def _of_heic(data: bytes, path: object) -> np.ndarray:
    """[H, W, 3] RGB bytes of a HEIC file, by an optional package, which turns photos as the file says."""
    if not reads_heic():
        raise ImageError(f"cannot read {path}: {HEIC_WANTS}")
    import pillow_heif

    try:
        image = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        pixels = np.asarray(image)
    except (ValueError, RuntimeError, OSError, EOFError, SyntaxError) as error:
        raise ImageError(f"cannot read {path}: pillow-heif refuses it ({error})") from error
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        return _on_white(pixels[..., [2, 1, 0, 3]], multiplied=bool(image.premultiplied_alpha))
    return np.ascontiguousarray(pixels[..., :3])


def _decoded(data: bytes) -> np.ndarray | None:
    encoded = np.frombuffer(data, np.uint8)
    is_avif = kind_of(data[:HEAD]) == "AVIF"
    turn = avif_orientation(data) if is_avif else orientation(data)
    if transparent(data):
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            return None
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return _turned(_on_white(pixels, multiplied=premultiplied(data, 8 * pixels.itemsize)), turn)
    if not is_avif:
        photo: np.ndarray | None = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
        return photo
    lying = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if lying is None else _turned(lying, turn)


def _on_white(pixels: np.ndarray, *, multiplied: bool) -> np.ndarray:
    """[H, W, 3] RGB bytes for [H, W, 4] BGRA of 8 or 16 bits; `multiplied` tells whether colours are, by their opacity."""
    most = np.iinfo(pixels.dtype).max
    photo = np.empty((*pixels.shape[:2], 3), np.uint8)
    tall = max(1, BAND // photo.shape[1])
    for start in range(0, len(photo), tall):
        band = slice(start, start + tall)
        colours, opacity = (pixels[band, :, part].astype(np.float32) / most for part in (slice(2, None, -1), slice(3, None)))
        photo[band] = np.rint(255 * ((colours if multiplied else colours * opacity) + 1 - opacity).clip(0, 1))
    return photo


def _turned(photo: np.ndarray, turn: int) -> np.ndarray:
    """The photo, turned and mirrored as an EXIF orientation from 1 to 8 says."""
    turned = photo.transpose(1, 0, 2) if turn in (5, 6, 7, 8) else photo
    down, across = -1 if turn in (3, 4, 7, 8) else 1, -1 if turn in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(turned[::down, ::across])


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write [H, W, 3] RGB bytes as the path's suffix says, whole or not at all. Raises InputError for what that cannot hold."""
    encoded = _encoded(picture, path.suffix)
    with written_whole(path) as temporary:
        temporary.write_bytes(encoded.data)


def png(picture: np.ndarray) -> bytes:
    """[H, W, 3] RGB bytes as PNG. Raises InputError for a picture that PNG cannot hold."""
    return _encoded(picture, ".png").tobytes()


def _encoded(picture: np.ndarray, suffix: str) -> np.ndarray:
    encoding = ENCODINGS[suffix]
    try:
        encoded, data = cv2.imencode(suffix, picture[..., ::-1], encoding.settings)
    except cv2.error as error:
        raise InputError(
            f"a picture of {_sides(picture)} cannot be written as {encoding.name}: {error.err or error}"
        ) from error
    if not encoded:
        most = f"sides of at most {encoding.longest} pixels can"
        raise InputError(f"a picture of {_sides(picture)} cannot be written as {encoding.name}: {most}")
    return np.asarray(data)


def _sides(picture: np.ndarray) -> str:
    return " x ".join(map(str, picture.shape[:2]))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`, whole or not at all."""
    with written_whole(path) as temporary:
        np.save(temporary, array)
