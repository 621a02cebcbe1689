"""Kinds of photos: files that are broken, of odd sizes and pixels, or none at all, under names of any kind."""

from __future__ import annotations

import io
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hostile_files.traps import BIG, NAMES, NO_FILES, bytes_changed

Make = Callable[[random.Random, Path], None]
KINDS: dict[str, Make] = {}
FORMATS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "webp": "WEBP", "bmp": "BMP"}


def kind(name: str) -> Callable[[Make], Make]:
    """Register what writes files into a folder, under a name."""

    def register(make: Make) -> Make:
        KINDS[f"photo: {name}"] = make
        return make

    return register


def _picture(rng: random.Random, mode: str = "RGB", width: int = 0, height: int = 0) -> Image.Image:
    sides = height or rng.randrange(2, 40), width or rng.randrange(2, 40)
    pixels = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (*sides, 3), np.uint8)
    picture = Image.fromarray(pixels)
    return (
        picture
        if mode == "RGB"
        else picture.convert("L").convert(mode)
        if mode in ("I", "F", "I;16")
        else picture.convert(mode)
    )


def _encoded(picture: Image.Image, suffix: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, FORMATS[suffix], **options)
    return buffer.getvalue()


def _suffix(rng: random.Random) -> str:
    return rng.choice(list(FORMATS))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, depth: int, color: int, data: bytes, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width % 2**32, height % 2**32, depth % 256, color % 256, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(more) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


@kind("bytes")
def _bytes(rng: random.Random, folder: Path) -> None:
    for _ in range(3):
        suffix = _suffix(rng)
        (folder / f"photo{rng.randrange(99)}.{suffix}").write_bytes(bytes_changed(rng, _encoded(_picture(rng), suffix)))


@kind("sizes in headers")
def _sizes(rng: random.Random, folder: Path) -> None:
    suffix = _suffix(rng)
    data = bytearray(_encoded(_picture(rng), suffix))
    value = rng.choice([0, 1, 2, 255, 256, 60_000, 65_535, 2**20, 2**31 - 1, 2**31, 2**32 - 1])
    if suffix == "png":
        packed = zlib.compress(bytes(1000))
        sides = rng.choice([(value, 3), (3, value), (value, value)])
        data = bytearray(_png(*sides, rng.choice([1, 8, 8, 16, 3]), rng.choice([0, 2, 3, 6, 5]), packed))
    elif suffix == "bmp":
        place = rng.choice([18, 22, 10, 14, 28, 30])
        data[place : place + 4] = struct.pack("<I", value)
    elif suffix == "jpg":
        place = data.find(b"\xff\xc0") + rng.choice([4, 5, 7, 9])
        data[place : place + 2] = struct.pack(">H", value % 65_536)
    else:
        place = rng.randrange(min(len(data) - 4, 200 if suffix == "tif" else 40))
        data[place : place + 4] = struct.pack("<I", value)
    (folder / f"photo.{suffix}").write_bytes(bytes(data))


@kind("large, from few bytes")
def _bombs(rng: random.Random, folder: Path) -> None:
    width, height = rng.choice(
        [(2000, 2000), (3000, 1000), (1, 60_000), (60_000, 1), (20_000, 20_000), (65_535, 2), (100_000, 2000)]
    )
    depth = rng.choice([1, 8])
    row = bytes(1 + (width * depth + 7) // 8)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(row) for _ in range(height if width * height < 2**23 else 10)) + packer.flush()
    text = [_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(2**24)))] if rng.random() < 0.3 else []
    (folder / "photo.png").write_bytes(_png(width, height, depth, 0, rows, *text))


@kind("odd sides")
def _sides(rng: random.Random, folder: Path) -> None:
    width, height = rng.choice([(1, 1), (1, 2), (1, 3000), (3000, 1), (2, 7), (7, 2), (16_383, 1), (1, 16_383), (3, 999)])
    suffix = _suffix(rng)
    (folder / f"photo.{suffix}").write_bytes(_encoded(_picture(rng, width=width, height=height), suffix))


@kind("odd pixels")
def _pixels(rng: random.Random, folder: Path) -> None:
    suffix, mode = rng.choice(
        [
            *(("png", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")),
            *(("jpg", mode) for mode in ("L", "CMYK", "YCbCr")),
            *(("tif", mode) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I", "F", "I;16", "LAB", "YCbCr")),
            *(("webp", mode) for mode in ("RGBA", "L")),
            *(("bmp", mode) for mode in ("1", "L", "P", "RGBA")),
        ]
    )
    options = {"transparency": 3} if (suffix, mode) == ("png", "P") else {}
    (folder / f"photo.{suffix}").write_bytes(_encoded(_picture(rng, mode), suffix, **options))


@kind("numbers that are none")
def _floats(rng: random.Random, folder: Path) -> None:
    pixels = np.full((5, 7), rng.choice([np.nan, np.inf, -np.inf, 1e38, -1.0, 0.5]), np.float32)
    pixels[0, 0] = 1
    (folder / "photo.tiff").write_bytes(_encoded(Image.fromarray(pixels), "tif"))


@kind("animated, or several pages")
def _animated(rng: random.Random, folder: Path) -> None:
    suffix = rng.choice(["png", "tif", "webp"])
    pictures = (
        [_picture(rng, width=rng.choice([9, 9, 30]), height=9) for _ in range(4)]
        if suffix == "tif"
        else [_picture(rng, width=9, height=9) for _ in range(4)]
    )
    data = _encoded(pictures[0], suffix, save_all=True, append_images=pictures[1:])
    (folder / f"photo.{suffix}").write_bytes(data if rng.random() < 0.7 else bytes_changed(rng, data))


@kind("EXIF and profiles")
def _exif(rng: random.Random, folder: Path) -> None:
    suffix = rng.choice(["jpg", "webp", "png", "tif"])
    picture = _picture(rng)
    exif = picture.getexif()
    exif[0x0112] = rng.choice([*range(10), 255, 65_535])
    exif[0x010E] = rng.choice(["text", "x" * 40_000, "\x1b[31m"])
    data = exif.tobytes()
    options: dict[str, object] = {"exif": data if rng.random() < 0.6 else bytes_changed(rng, data)}
    if rng.random() < 0.3:
        options["icc_profile"] = rng.randbytes(rng.choice([0, 10, 50_000]))
    (folder / f"photo.{suffix}").write_bytes(_encoded(picture, suffix, **options))


@kind("no files")
def _no_files(rng: random.Random, folder: Path) -> None:
    path = folder / "photo.jpg"
    traps = ("pipe", "link to itself", "link to zeros", "folder", "link to the secret")
    choice = rng.choice([*traps, "empty", "link to the input", "link to nothing"])
    if choice in NO_FILES:
        NO_FILES[choice](path)
    elif choice == "empty":
        path.write_bytes(b"")
    elif choice == "link to the input":
        path.symlink_to("/dev/stdin")
    else:
        path.symlink_to(rng.choice(["nowhere.jpg", "/proc/self/mem", "/dev/full", "/proc/kmsg"]))
    (folder / "good.png").write_bytes(_encoded(_picture(rng), "png"))


@kind("names")
def _names(rng: random.Random, folder: Path) -> None:
    for name in rng.sample(NAMES, 3):
        short = name.replace("/", "_").replace("\x00", "")[:60] + rng.choice(
            ["", ".", " ", "-2", "\udcff\udcfe", "n01440764_tench"]
        )
        (folder / f"{short}.png").write_bytes(_encoded(_picture(rng), "png"))
    for inner in rng.sample(["a", "b", "..c", "\x1b[31m", "-o", "*", "[a]"], 2):
        (folder / inner).mkdir()
        (folder / inner / rng.choice(["same.png", "same.PNG", "saliency.png", "explanations.png"])).write_bytes(
            _encoded(_picture(rng), "png")
        )


@kind("another format")
def _others(rng: random.Random, folder: Path) -> None:
    secret = os.environ["HOSTILE_SECRET"]
    texts = [
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{secret}"/></svg>',
        "<html><script>alert(1)</script>",
        "%!PS\n(secret) run\n",
        f"push graphic-context\nimage over 0,0 0,0 '{secret}'\npop graphic-context",
        "P6\n4294967295 4294967295\n255\n",
        "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n\x02\x02\x00\x02",
        "GIF89a\xff\xff\xff\xff",
    ]
    (folder / f"photo.{_suffix(rng)}").write_bytes(rng.choice(texts).encode("latin-1"))


def make_photos(name: str, rng: random.Random, folder: Path) -> None:
    """Photos of a kind in a folder."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return KINDS[name](rng, folder)
        except (OSError, SyntaxError, ValueError, TypeError, struct.error):
            continue  # what a format cannot hold: the next one
    raise AssertionError(f"no photo of the kind '{name}' can be written")


def good_photo(rng: random.Random) -> bytes:
    """A photo that nothing is wrong with."""
    return _encoded(_picture(rng), "png")


__all__ = ["BIG", "KINDS", "good_photo", "make_photos"]
