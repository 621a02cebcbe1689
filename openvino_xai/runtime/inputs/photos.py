"""What people have images as: files, encoded bytes, Pillow's images, arrays and tensors; all become RGB bytes [H, W, 3]."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.errors import ImageError, InputError, PreprocessingWarning, warn
from openvino_xai.render.photo import decode_photo, read_photo

KINDS = (
    "a path, encoded bytes, a PIL image, RGB bytes [H, W, 3], grey bytes [H, W], or the same as floats in [0, 1] is expected"
)
ORIENTATION = 274  # EXIF's tag of how a photo is to be turned
GREY_OF_16_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


class PillowImage(Protocol):
    """An image of Pillow, which is not imported."""

    @property
    def mode(self) -> str:
        """How its pixels are stored, as `RGB`."""

    def convert(self, mode: str) -> Any:
        """The same in another mode."""


class ArrayLike(Protocol):
    """A tensor of torch, jax and others, none of which is imported."""

    def __array__(self, *args: Any, **options: Any) -> Any: ...


ImageLike: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray | PillowImage | ArrayLike"


def photo_of(image: ImageLike) -> np.ndarray:
    """[H, W, 3] RGB bytes of an image: a path, encoded bytes, a PIL image, an array [H, W, 3] or [H, W], or a tensor of these.

    Floats are in [0, 1], as Matplotlib and scikit-image have them, and rounded to bytes. Grey is in all three channels. A PIL
    image is taken as Pillow shows it: it does not turn photos as their EXIF says, which is warned of. Raises InputError,
    ImageError.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_photo(path_of(image) or Path())
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_photo(bytes(image), "the bytes of the image")
    if _is_pillow(image):
        return _of_pillow(image)
    return _of_array(array_of(image))


def path_of(image: object) -> Path | None:
    """The path of an image that is a file, None of any other. Raises InputError for a path of bytes."""
    if isinstance(image, str):
        return Path(image)
    if not isinstance(image, os.PathLike):
        return None
    path = os.fspath(image)
    if not isinstance(path, str):
        raise InputError(f"a path is text; this is {quoted(path)}")
    return Path(path)


def is_array(image: object) -> bool:
    """Whether an image is an array, or a tensor that becomes one."""
    return isinstance(image, np.ndarray) or (
        hasattr(image, "__array__") and not isinstance(image, (type, memoryview)) and not _is_pillow(image)
    )


def array_of(image: object) -> np.ndarray:
    """An array, or what becomes one: a tensor of torch, also one on a GPU or with gradients, of jax and others.

    Raises InputError for anything else.
    """
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, type) or not hasattr(image, "__array__"):
        raise InputError(f"an image is {quoted(image)}: {KINDS}")
    if type(image).__module__.partition(".")[0] == "torch":
        image = image.detach().cpu()  # type: ignore[attr-defined]
    try:
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"an image is {quoted(image)}, which does not become an array: {error}") from error


def _of_array(array: np.ndarray) -> np.ndarray:
    """[H, W, 3] RGB bytes of an array. Raises ImageError."""
    text = f"{array.dtype} {list(array.shape)}"
    channels = array.shape[2] if array.ndim == 3 else 1
    if not array.size or array.ndim not in (2, 3) or channels not in (1, 3):
        raise ImageError(f"an image is an array of {text}: {KINDS}{_advice(array)}")
    pixels = _bytes_of(array, text)
    if channels == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(pixels)


def _advice(array: np.ndarray) -> str:
    """What to do with an array of another shape."""
    if array.ndim == 3 and array.shape[0] in (1, 3):
        return "; channels come last: image.transpose(1, 2, 0) has them there. A tensor that is prepared is [B, 3, H, W]"
    if array.ndim == 3 and array.shape[2] == 4:
        return "; leave the fourth channel out, image[..., :3], or lay it on the background that is meant"
    if array.ndim == 4:
        return "; xai.explain takes a batch [B, 3, H, W] that is prepared already"
    return ""


def _bytes_of(array: np.ndarray, text: str) -> np.ndarray:
    """Pixels as bytes. Raises ImageError for values of which nobody can tell how bright they are."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ImageError(f"an image of {text} holds numbers that are not finite")
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            what = "image.astype(np.uint8) has bytes" if low >= 0 and high <= 255 and high > 2 else "it looks prepared already"
            raise ImageError(
                f"an image of {text} holds {low:.4g} to {high:.4g}: floats are in [0, 1]; {what}, and a prepared tensor is "
                "[B, 3, H, W]"
            )
        return np.asarray(np.rint(array.astype(np.float32) * 255), np.uint8)
    raise ImageError(f"an image of {text}: bytes (uint8, 0 to 255) or floats in [0, 1] are expected; convert it")


def _is_pillow(image: object) -> bool:
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(image).__mro__)


def _of_pillow(image: Any) -> np.ndarray:
    """[H, W, 3] RGB bytes of an image of Pillow, transparent pixels laid on white. Raises ImageError."""
    try:
        turn = image.getexif().get(ORIENTATION, 1)
        mode = image.mode
        if mode in GREY_OF_16_BITS:
            return _of_array((np.asarray(image) >> 8).astype(np.uint8))
        if mode.startswith(("I", "F")):
            raise ImageError(
                f"a PIL image has mode {quoted(mode)}, of which nobody can tell how bright its pixels are meant: convert it to "
                "RGB or L"
            )
        if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
            pixels = np.asarray(image.convert("RGBA"), np.float32) / 255
            colours, opacity = pixels[..., :3], pixels[..., 3:]
            photo = np.rint(255 * (colours * opacity + 1 - opacity)).astype(np.uint8)
        else:
            photo = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow raises for files that are cut off or broken
        raise ImageError(f"a PIL image cannot be read: {error}") from error
    if turn in range(2, 9):
        warn(
            PreprocessingWarning(
                f"the PIL image says that it is to be turned (EXIF orientation {turn}), which Pillow does not do: it is "
                "explained as it is. PIL.ImageOps.exif_transpose(image) turns it, as reading its path here does"
            )
        )
    return _of_array(photo)
