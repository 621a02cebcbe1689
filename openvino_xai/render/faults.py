"""Errors that are the fault of one image, so that they end no run over many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from openvino_xai.errors import ImageError


@contextmanager
def blamed_on(photo: Path) -> Iterator[None]:
    """What reading, explaining or drawing a photo raises is an ImageError that names it. Files that cannot be written are no
    fault of a photo, and neither is a class that is not there.
    """
    try:
        yield
    except ImageError as error:
        if str(photo) in str(error):
            raise
        raise ImageError(f"cannot explain {photo}: {error}", options=error.options) from error
    except cv2.error as error:
        raise ImageError(f"cannot explain {photo}: OpenCV refuses it ({error.err or error})") from error
    except MemoryError as error:
        raise ImageError(f"cannot explain {photo}: the memory does not suffice for an image as large") from error
