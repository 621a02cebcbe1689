"""Images as strangers send them."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from openvino_xai.errors import ImageError, InputError
from openvino_xai.render.photo import png, read_photo, write_picture

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def written(path: Path, picture: np.ndarray, *told: int) -> Path:
    assert cv2.imwrite(str(path), picture, list(told))
    return path


def test_what_people_have(tmp_path: Path) -> None:
    bgr = PHOTO[..., ::-1]
    np.testing.assert_array_equal(read_photo(written(tmp_path / "plain.png", bgr)), PHOTO)
    alpha = np.dstack([bgr, np.arange(40 * 60, dtype=np.uint8).reshape(40, 60)])
    np.testing.assert_array_equal(read_photo(written(tmp_path / "alpha.png", alpha)), PHOTO)
    deep = read_photo(written(tmp_path / "deep.png", bgr.astype(np.uint16) * 257))
    assert np.abs(deep.astype(int) - PHOTO).max() <= 1
    grey = read_photo(written(tmp_path / "grey.png", PHOTO[..., 0]))
    np.testing.assert_array_equal(grey, np.repeat(PHOTO[..., :1], 3, axis=2))
    deep_grey = read_photo(written(tmp_path / "deep_grey.png", PHOTO[..., 0].astype(np.uint16) * 257))
    assert deep_grey.shape == PHOTO.shape and deep_grey.dtype == np.uint8


def test_turned_as_exif_tells(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.jpg", PHOTO[..., ::-1]).read_bytes()
    entry = struct.pack("<HHII", 0x0112, 3, 1, 6)  # orientation: turn by 90 degrees
    exif = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    np.testing.assert_array_equal(read_photo(turned), np.rot90(read_photo(tmp_path / "plain.jpg"), -1))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_cut_off_and_changed(suffix: str, tmp_path: Path) -> None:
    """Whatever becomes of a file's bytes, an image comes out or an error that names it."""
    data = bytearray(written(tmp_path / f"whole{suffix}", PHOTO[..., ::-1]).read_bytes())
    rng = np.random.default_rng(1)
    broken = tmp_path / f"broken{suffix}"
    for case in range(60):
        changed = data[: rng.integers(0, len(data))] if case % 2 else bytearray(data)
        for place in rng.integers(0, max(len(changed), 1), 1 + case % 5):
            if changed:
                changed[place] = rng.integers(0, 256)
        broken.write_bytes(bytes(changed))
        try:
            seen = read_photo(broken)
        except ImageError as error:
            assert str(broken) in str(error)
        else:
            assert seen.ndim == 3 and seen.dtype == np.uint8


def test_bombs_are_refused(tmp_path: Path) -> None:
    """A PNG of 400 megapixels in a few kilobytes: in a process of its own, because OpenCV reads its limit once."""

    def chunk(kind: bytes, held: bytes) -> bytes:
        return struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held))

    header = struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501 * 20000), 9)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert bomb.stat().st_size < 100_000
    code = f"""
from pathlib import Path
from openvino_xai.errors import ImageError, InputError
from openvino_xai.render.photo import png, read_photo, write_picture
try:
    read_photo(Path({str(bomb)!r}))
except ImageError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "images of more than 134217728 pixels are refused unless OPENCV_IO_MAX_IMAGE_PIXELS says otherwise" in told.stdout
    assert told.stderr == ""


def test_what_other_tools_write(tmp_path: Path) -> None:
    """CMYK, palettes, one bit, and the first of several frames."""
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed, which writes these files")
    seen = image.fromarray(PHOTO)
    seen.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    assert np.abs(read_photo(tmp_path / "cmyk.jpg").astype(int) - PHOTO).mean() < 6
    seen.convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "palette.png"), np.asarray(seen.convert("P").convert("RGB")))
    seen.convert("1").save(tmp_path / "bit.png")
    assert set(np.unique(read_photo(tmp_path / "bit.png"))) == {0, 255}
    for suffix, told in ((".webp", {"lossless": True}), (".png", {})):
        path = tmp_path / f"animated{suffix}"
        seen.save(path, save_all=True, append_images=[image.fromarray(255 - PHOTO)], **told)
        np.testing.assert_array_equal(read_photo(path), PHOTO)


def test_pictures_that_png_cannot_hold_are_no_files(tmp_path: Path) -> None:
    for side in (1, 3):
        write_picture(tmp_path / f"{side}.png", np.zeros((side, 1, 3), np.uint8))
        assert read_photo(tmp_path / f"{side}.png").shape == (side, 1, 3)
    for size in ((1, 1_000_001), (1_000_001, 1)):
        with pytest.raises(InputError, match=f"a picture of {size[0]} x {size[1]} cannot be written as PNG"):
            write_picture(tmp_path / "large.png", np.zeros((*size, 3), np.uint8))
        with pytest.raises(InputError, match="cannot be written as PNG"):
            png(np.zeros((*size, 3), np.uint8))
    assert not (tmp_path / "large.png").exists()
