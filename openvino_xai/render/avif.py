"""How an AVIF file says that its image is to be turned, which OpenCV does not look at.

ISO/IEC 23008-12: `irot` turns the image anticlockwise, and then `imir` mirrors it; an EXIF orientation beside them is not used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# EXIF's orientations, by quarters of a turn, without a mirror and for the axes 0 and 1 of one
TURNED = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))
DEEP = ("meta", "iprp", "ipco")  # boxes in which the next is


def avif_orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, of what the properties of an AVIF file say; those of its first image are taken."""
    start, stop = 0, len(data)
    for name in DEEP:
        place = next((place for kind, place in _boxes(data, start, stop) if kind == name.encode()), None)
        if place is None:
            return 1
        start, stop = place.start + (4 if name == "meta" else 0), place.stop  # a version and flags
    said: dict[bytes, int] = {}
    for kind, place in _boxes(data, start, stop):
        if kind in (b"irot", b"imir") and place.stop > place.start:
            said.setdefault(kind, data[place.start])
    mirror = 1 + (said[b"imir"] & 1) if b"imir" in said else 0
    return TURNED[said.get(b"irot", 0) & 3][mirror]


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, slice]]:
    """The kinds of boxes between two places, and what they hold."""
    while start + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= stop:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        end = stop if size == 0 else start + size
        if end > stop or end < start + head:
            return
        yield kind, slice(start + head, end)
        start = end
