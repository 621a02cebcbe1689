"""AVIF files that say how they are to be turned."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from openvino_xai.render.avif import TURNED, avif_orientation
from openvino_xai.render.photo import read_photo

CORNERS = np.zeros((32, 48, 3), np.uint8)  # RGB
CORNERS[:16, :24], CORNERS[:16, 24:], CORNERS[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def avif(kind: bytes | None = None, value: int = 0) -> bytes:
    """An AVIF whose property of colour gives its place to another, which is essential, as transformations have to be."""
    data = bytes(cv2.imencode(".avif", np.ascontiguousarray(CORNERS[..., ::-1]), [cv2.IMWRITE_AVIF_QUALITY, 95])[1])
    if kind is None:
        return data
    at = data.find(b"colr") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    other = box(kind, bytes([value]))
    assert size == 19
    return _essential(data[:at] + other + box(b"free", bytes(2)) + data[at + size :])


def _essential(data: bytes) -> bytes:
    at = data.find(b"ipma")
    place = data.find(b"\x83\x04", at)
    assert at < place < at + 30
    return data[: place + 1] + b"\x84" + data[place + 2 :]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_photo_is_turned_as_its_file_says(quarters: int, tmp_path: Path) -> None:
    path = tmp_path / "photo.avif"
    path.write_bytes(avif(b"irot", quarters))
    expected = np.rot90(CORNERS, quarters)  # anticlockwise
    photo = read_photo(path)
    assert photo.shape == expected.shape and np.abs(photo.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("axis", [0, 1])
def test_a_photo_is_mirrored_as_its_file_says(axis: int, tmp_path: Path) -> None:
    path = tmp_path / "photo.avif"
    path.write_bytes(avif(b"imir", axis))
    expected = CORNERS[::-1] if axis == 0 else CORNERS[:, ::-1]  # top and bottom change places, or left and right
    assert np.abs(read_photo(path).astype(int) - expected).mean() < 8


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1])
def test_turns_and_mirrors_together(quarters: int, axis: int) -> None:
    """The table of orientations, against a turn and then a mirror of a picture; EXIF's own meaning is from its standard."""
    turned = np.rot90(CORNERS, quarters)
    expected = turned[::-1] if axis == 0 else turned[:, ::-1]
    exif = {
        1: CORNERS,
        2: CORNERS[:, ::-1],
        3: CORNERS[::-1, ::-1],
        4: CORNERS[::-1],
        5: CORNERS.transpose(1, 0, 2),
        6: np.rot90(CORNERS, -1),
        7: CORNERS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(CORNERS, 1),
    }
    np.testing.assert_array_equal(exif[TURNED[quarters][1 + axis]], expected)


@pytest.mark.parametrize("data", [b"", b"\0" * 40, avif(), avif()[:60], box(b"meta", b"\0\0\0\0" + box(b"iprp", b"\0\0\0\1"))])
def test_files_that_say_nothing_are_as_they_are(data: bytes) -> None:
    assert avif_orientation(data) == 1
