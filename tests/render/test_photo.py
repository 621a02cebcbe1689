"""Images as strangers send them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from openvino_xai.errors import ImageError, InputError
from openvino_xai.render.photo import MOST, png, read_photo, write_picture

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def written(path: Path, picture: np.ndarray, *flags: int) -> Path:
    assert cv2.imwrite(str(path), picture, list(flags))
    return path


def test_what_people_have(tmp_path: Path) -> None:
    bgr = PHOTO[..., ::-1]
    np.testing.assert_array_equal(read_photo(written(tmp_path / "plain.png", bgr)), PHOTO)
    opaque = np.dstack([bgr, np.full((40, 60), 255, np.uint8)])
    np.testing.assert_array_equal(read_photo(written(tmp_path / "alpha.png", opaque)), PHOTO)
    deep = read_photo(written(tmp_path / "deep.png", bgr.astype(np.uint16) * 257))
    assert np.abs(deep.astype(int) - PHOTO).max() <= 1
    grey = read_photo(written(tmp_path / "grey.png", PHOTO[..., 0]))
    np.testing.assert_array_equal(grey, np.repeat(PHOTO[..., :1], 3, axis=2))
    deep_grey = read_photo(written(tmp_path / "deep_grey.png", PHOTO[..., 0].astype(np.uint16) * 257))
    assert deep_grey.shape == PHOTO.shape and deep_grey.dtype == np.uint8


@pytest.mark.parametrize(("suffix", "bits"), [(".png", 8), (".png", 16), (".webp", 8), (".gif", 8)])
def test_transparent_pixels_lie_on_white(suffix: str, bits: int, tmp_path: Path) -> None:
    """As a viewer shows them; what colour is kept below a transparent pixel is anybody's guess."""
    opacity = np.zeros((40, 60), np.uint8)
    opacity[:, 20:40], opacity[:, 40:] = (255 if suffix == ".gif" else 51), 255
    colours = np.full((40, 60, 3), (200, 100, 0))
    pixels = np.dstack([colours[..., ::-1], opacity]).astype(np.uint8)
    path = tmp_path / f"clear{suffix}"
    if bits == 16:
        written(path, pixels.astype(np.uint16) * 257)
    elif suffix == ".webp":
        written(path, pixels, cv2.IMWRITE_WEBP_QUALITY, 101)
    elif suffix == ".gif":
        image = pytest.importorskip("PIL.Image", reason="pillow is not installed, which writes these files")
        image.fromarray(pixels[..., [2, 1, 0, 3]], "RGBA").save(path)
    else:
        written(path, pixels)
    share = opacity[..., None] / 255
    assert np.abs(read_photo(path) - (colours * share + 255 * (1 - share))).max() <= 1


def tiff(bits: int, extra: int) -> bytes:
    """An RGBA TIFF of 4 x 6 pixels: two transparent rows, one half of it, one opaque; `extra` says how opacity is meant."""
    most = 2**bits - 1
    pixels = np.zeros((4, 6, 4)) + np.array([200, 100, 0, 255]) / 255
    pixels[:2, :, 3], pixels[2, :, 3] = 0, 0.4
    if extra == 1:  # colours are multiplied already
        pixels[..., :3] *= pixels[..., 3:]
    data = np.rint(pixels * most).astype(f"<u{bits // 8}").tobytes()
    tags = [(256, 6), (257, 4), (258, 146), (259, 1), (262, 2), (273, 154), (277, 4), (278, 4), (279, len(data)), (284, 1)]
    tags += [(338, extra)]
    entries = b"".join(struct.pack("<HHII", tag, 3, 4 if tag == 258 else 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, 11) + entries + struct.pack("<I4H", 0, *[bits] * 4) + data


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [1, 2])
def test_transparent_tiffs(bits: int, extra: int, tmp_path: Path) -> None:
    (tmp_path / "clear.tiff").write_bytes(tiff(bits, extra))
    photo = read_photo(tmp_path / "clear.tiff")
    assert (photo[:2] == 255).all()
    for row, share in ((2, 0.4), (3, 1)):
        assert np.abs(photo[row] - (np.array([200, 100, 0]) * share + 255 * (1 - share))).max() <= 1.01


TURNED = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
          6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: np.rot90}  # fmt: skip


def exif(turn: int) -> bytes:
    return b"II*\x00" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x0112, 3, 1, turn) + struct.pack("<I", 0)


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("turn", TURNED)
def test_turned_as_exif_tells(turn: int, clear: bool, tmp_path: Path) -> None:
    plain = PHOTO[..., ::-1]
    if clear:
        plain = np.dstack([plain, np.arange(40 * 60).reshape(40, 60) % 256]).astype(np.uint8)
    data = written(tmp_path / "plain.png", plain).read_bytes()
    turned = tmp_path / "turned.png"
    turned.write_bytes(data[:33] + chunk(b"eXIf", exif(turn)) + data[33:])
    np.testing.assert_array_equal(read_photo(turned), TURNED[turn](read_photo(tmp_path / "plain.png")))
    data = written(tmp_path / "plain.jpg", PHOTO[..., ::-1]).read_bytes()
    segment = b"Exif\x00\x00" + exif(turn)
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    np.testing.assert_array_equal(read_photo(turned), TURNED[turn](read_photo(tmp_path / "plain.jpg")))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff", ".gif"])
def test_what_is_cut_off_is_told(suffix: str, tmp_path: Path) -> None:
    """Wherever it is cut; and a JPEG also where zeros fill it up, as a download that stopped leaves them."""
    data = written(tmp_path / f"whole{suffix}", np.repeat(PHOTO, 5, axis=1)[..., ::-1]).read_bytes()
    broken = tmp_path / f"broken{suffix}"
    for share in (0.2, 0.5, 0.8, 0.95):
        broken.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError, match=r"broken.*cut off"):
            read_photo(broken)
        if suffix in (".jpg", ".png"):
            broken.write_bytes(data[: int(len(data) * share)].ljust(len(data), b"\0"))
            with pytest.raises(ImageError, match=r"broken.*cut off"):
                read_photo(broken)
    broken.write_bytes(data + b"what some cameras write behind the image" * 100)
    assert read_photo(broken).shape == (40, 300, 3)


def test_a_jpeg_with_a_thumbnail_is_whole_where_it_ends_itself(tmp_path: Path) -> None:
    data = written(tmp_path / "whole.jpg", PHOTO[..., ::-1]).read_bytes()
    small = written(tmp_path / "small.jpg", PHOTO[::4, ::4, ::-1]).read_bytes()
    jpeg = data[:2] + b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small + data[2:]
    path = tmp_path / "held.jpg"
    path.write_bytes(jpeg)
    np.testing.assert_array_equal(read_photo(path), read_photo(tmp_path / "whole.jpg"))
    path.write_bytes(jpeg[: len(jpeg) * 3 // 4].ljust(len(jpeg), b"\0"))
    with pytest.raises(ImageError, match="the JPEG is cut off: its end marker is missing"):
        read_photo(path)


@pytest.mark.parametrize("suffix", [".tiff", ".hdr", ".pfm"])
@pytest.mark.parametrize("most", [1, 255, 9000])
def test_floating_point_values_are_refused(suffix: str, most: int, tmp_path: Path) -> None:
    path = written(tmp_path / f"deep{suffix}", (PHOTO / 255 * most).astype(np.float32))
    with pytest.raises(ImageError, match=f"deep{suffix}: its values are floating-point .* save it with 8 or 16 bits"):
        read_photo(path)
    if suffix == ".tiff":
        path.write_bytes(path.read_bytes().replace(b"II*\0", b"II+\0"))
        with pytest.raises(ImageError, match="it is a BigTIFF"):
            read_photo(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(MOST + 1)
    for path, why in (
        (tmp_path / "pipe.png", "it is no regular file"),
        (tmp_path / "folder.png", "it is no regular file"),
        (Path(os.devnull), "it is no regular file"),
        (tmp_path / "empty.png", "the file is empty"),
        (tmp_path / "loop.png", "symbolic links"),
        (tmp_path / "large.png", "at most 1073741824 are read"),
        (tmp_path / "gone.png", "No such file"),
        (tmp_path / "a\0b.png", "null"),
        (tmp_path / ("long" * 100), "name too long"),
    ):
        with pytest.raises(ImageError, match=f"cannot read .*{why}"):
            read_photo(path)


def test_names_of_any_bytes(tmp_path: Path) -> None:
    data = written(tmp_path / "plain.png", PHOTO[..., ::-1]).read_bytes()
    for name in (b"line\nend.png", b"\xff\xfe.png", b"'; rm -rf $(x).png", "Katze \u732b.png".encode()):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(data)
        np.testing.assert_array_equal(read_photo(path), PHOTO)
        write_picture(tmp_path / ("copy " + os.fsdecode(name)), PHOTO)
        np.testing.assert_array_equal(read_photo(tmp_path / ("copy " + os.fsdecode(name))), PHOTO)


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
            photo = read_photo(broken)
        except ImageError as error:
            assert str(broken) in str(error)
        else:
            assert photo.ndim == 3 and photo.dtype == np.uint8


@pytest.mark.slow
def test_bombs_are_refused(tmp_path: Path) -> None:
    """A PNG of 400 megapixels in a few kilobytes: in a process of its own, because OpenCV reads its limit once."""
    header = struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501 * 20000), 9)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert bomb.stat().st_size < 100_000
    code = f"""
from pathlib import Path
from openvino_xai.errors import ImageError, InputError
from openvino_xai.render.photo import MOST, png, read_photo, write_picture
try:
    read_photo(Path({str(bomb)!r}))
except ImageError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "images of more than 134217728 pixels are refused unless OPENCV_IO_MAX_IMAGE_PIXELS says otherwise" in result.stdout
    assert result.stderr == ""


def test_what_other_tools_write(tmp_path: Path) -> None:
    """CMYK, palettes, one bit, and the first of several frames."""
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed, which writes these files")
    picture = image.fromarray(PHOTO)
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    assert np.abs(read_photo(tmp_path / "cmyk.jpg").astype(int) - PHOTO).mean() < 6
    picture.convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "palette.png"), np.asarray(picture.convert("P").convert("RGB")))
    picture.convert("1").save(tmp_path / "bit.png")
    assert set(np.unique(read_photo(tmp_path / "bit.png"))) == {0, 255}
    for suffix, options in ((".webp", {"lossless": True}), (".png", {})):
        path = tmp_path / f"animated{suffix}"
        picture.save(path, save_all=True, append_images=[image.fromarray(255 - PHOTO)], **options)
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


def test_a_chunk_longer_than_the_file_is_told_before_room_is_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    data = bytearray(png(np.full((9, 9, 3), 100, np.uint8)))
    path.write_bytes(bytes(data) + b"what follows the end")
    assert read_photo(path).shape == (9, 9, 3)
    at = data.find(b"IDAT")
    data[at - 4 : at] = (2**32 - 2**20).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(ImageError, match="the PNG is cut off: a part of it reaches beyond the end of the file"):
        read_photo(path)
