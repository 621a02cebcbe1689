"""Kinds of image files, told by their first bytes, and which of them can be read here."""

from __future__ import annotations

from importlib.util import find_spec

HEAD = 32  # bytes that tell the kind of a file
SUFFIXES = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .pjpeg .bmp .dib .webp .tif .tiff .gif .avif .jp2 .ppm .pgm .pbm .pnm .heic .heif".split()
)
STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"P4\n", "PNM"),
    (b"P5\n", "PNM"),
    (b"P6\n", "PNM"),
)
BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC")
ANY = (b"mif1", b"msf1", b"miaf")  # brands of both, which others stand behind
HEIC_WANTS = "it is HEIC, which the optional pillow-heif reads: pip install 'ovxai[heif]'"


def kind_of(head: bytes) -> str | None:
    """The kind of image that begins with these bytes, None for what is no image that is known here."""
    for start, kind in STARTS:
        if head.startswith(start):
            return kind if kind != "BMP" or _is_bitmap(head) else None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        others = [BRANDS[head[at : at + 4]] for at in range(16, len(head) - 3, 4) if head[at : at + 4] in BRANDS]
        return BRANDS.get(brand) or (next(iter(others), "HEIC") if brand in ANY else None)
    return None


def _is_bitmap(head: bytes) -> bool:
    """Whether a file with two letters of a bitmap has the size of a header behind them, too: text begins so as well."""
    return int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)


def reads_heic() -> bool:
    """Whether the optional package is there that reads HEIC."""
    return find_spec("pillow_heif") is not None
