"""File URLs, as desktops and browsers copy them, read as paths; nothing is downloaded."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes

from openvino_xai.errors import InputError

URL = re.compile(r"(?P<flag>--[\w-]+=|-\w)?(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<rest>/.*)", re.DOTALL)
HERE = ("", "localhost")


def without_url(argument: str) -> str:
    """The argument, where a `file:` URL is replaced by its path. Raises InputError for URLs of other schemes or machines."""
    match = URL.fullmatch(argument)
    if match is None:
        return argument
    flag, scheme, rest = match["flag"] or "", match["scheme"].lower(), match["rest"]
    if scheme != "file":
        if not rest.startswith("//"):
            return argument
        raise InputError(f"cannot use '{argument}': nothing is downloaded; fetch it, and give the file")
    machine, path = rest[2:].partition("/")[::2] if rest.startswith("//") else ("", rest[1:])
    if machine.lower() not in HERE:
        raise InputError(f"cannot use '{argument}': it lies on the machine '{machine}', and nothing is downloaded")
    return flag + "/" + os.fsdecode(unquote_to_bytes(path.encode(errors="surrogateescape")))
