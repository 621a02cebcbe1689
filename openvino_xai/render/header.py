"""What an image file says ahead of its pixels, where OpenCV would decode it wrongly without a word."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

JPEG, PNG, GIF, FLOATS = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", (b"#?RADIANCE", b"#?RGBE", b"PF\n", b"Pf\n")
ORDERS = {b"II*\0": "<", b"MM\0*": ">"}  # of a TIFF's bytes
BIG_TIFF = (b"II+\0", b"MM\0+")
ORIENTATION, EXTRA_SAMPLES, SAMPLE_FORMAT = 274, 338, 339
SMALLEST_PNG = 57  # bytes: the signature, a header, some pixels' length and type, and the end
STRAIGHT = 2  # extra samples: opacity that colours are not multiplied by
UNSIGNED = (1, 4)  # formats of samples: unsigned integers, and what does not say
MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)  # but those that only part a scan
SCAN, END, ALONE = 0xDA, 0xD9, 0x01


def unreadable(data: bytes) -> str | None:
    """Why an image must not be decoded, None where it may be."""
    if not data:
        return "the file is empty"
    if data.startswith(JPEG) and not _has_end(data):
        return "the JPEG is cut off: its end marker is missing. Fetch the file again"
    if data.startswith(PNG) and (len(data) < SMALLEST_PNG or _has_overlong_chunk(data)):
        return "the PNG is cut off: a part of it reaches beyond the end of the file. Fetch the file again"
    if data[:4] in BIG_TIFF:
        return "it is a BigTIFF, which nothing is known of here: save it as a TIFF or PNG"
    if data.startswith(FLOATS) or _tags(data).get(SAMPLE_FORMAT, 1) not in UNSIGNED:
        return (
            "its values are floating-point or signed numbers, and how bright they are meant to be is not known: "
            "save it with 8 or 16 bits without sign"
        )
    return None


def transparent(data: bytes) -> bool:
    """Whether an image may have transparent pixels, which are decoded another way."""
    if data.startswith(JPEG) or data.startswith(b"BM"):
        return False
    if data.startswith(PNG):
        return data[25] in (4, 6) or b"tRNS" in data[: data.find(b"IDAT")]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return bool((data[12:16] == b"VP8X" and data[20] & 0x10) or (data[12:16] == b"VP8L" and data[24] & 0x10))
    return not _tags(data) or EXTRA_SAMPLES in _tags(data)


def premultiplied(data: bytes, bits: int) -> bool:
    """Whether colours of 8 or 16 bits come out of the decoder multiplied by their opacity."""
    return data[:4] in ORDERS and (bits == 8 or _tags(data).get(EXTRA_SAMPLES) != STRAIGHT)


def orientation(data: bytes) -> int:
    """How the EXIF of a PNG or WebP says that the image is to be turned, 1 to 8; 1 where it does not."""
    for name, content in _chunks(data):
        if name in (b"eXIf", b"EXIF"):
            return _tags(data[content].removeprefix(b"Exif\0\0")).get(ORIENTATION, 1)
    return 1


def _chunks(data: bytes) -> Iterator[tuple[bytes, slice]]:
    """The names of a PNG's or WebP's chunks, and what they hold."""
    if data.startswith(PNG):
        at, form, behind = len(PNG), ">I4s", 4  # a check sum
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        at, form, behind = 12, "<4sI", 0
    else:
        return
    while at + 8 <= len(data):
        first, second = struct.unpack_from(form, data, at)
        name, length = (first, second) if behind == 0 else (second, first)
        yield name, slice(at + 8, at + 8 + length)
        at += 8 + length + (behind or length % 2)


def _has_overlong_chunk(data: bytes) -> bool:
    """Whether a chunk is said to be longer than what there is of the file: a decoder makes room for all of it first."""
    for name, content in _chunks(data):
        if content.stop > len(data):
            return True
        if name == b"IEND":  # what follows is nobody's
            return False
    return False


def _has_end(jpeg: bytes) -> bool:
    """Whether the end marker comes after a scan; what a segment holds, as a thumbnail, is passed over."""
    at, scanned = 2, False
    while match := MARKER.search(jpeg, at):
        at, marker = match.end(), jpeg[match.end() - 1]
        if marker == END:
            return scanned
        scanned |= marker == SCAN
        if marker != ALONE:
            at += int.from_bytes(jpeg[at : at + 2], "big")
    return False


def _tags(tiff: bytes) -> dict[int, int]:
    """The first value of each tag, of 16 or 32 bits, in a TIFF's first directory; EXIF is one, too. None for other files."""
    tags: dict[int, int] = {}
    order = ORDERS.get(tiff[:4])
    if order is None:
        return tags
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, place = struct.unpack_from(f"{order}HHII", tiff, entry)
            size, letter = {3: (2, "H"), 4: (4, "I")}.get(kind, (0, ""))
            if size and length:
                (tags[tag],) = struct.unpack_from(order + letter, tiff, entry + 8 if size * length <= 4 else place)
    except struct.error:  # a directory that is cut off: the decoder says so
        return tags
    return tags
