"""Amounts of memory, as people write them."""

from __future__ import annotations

import re

from openvino_xai.errors import InputError

UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(text: str) -> int:
    """Bytes from `2GiB`. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\w*)", text)
    if match is None or match[2] not in UNITS:
        units = ", ".join(filter(None, UNITS))
        raise InputError(f"'{text}' is no amount of memory: a number and one of {units} is expected")
    return int(float(match[1]) * UNITS[match[2]])
