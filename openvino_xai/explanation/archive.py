"""Explanations in files: their numbers and texts as JSON, their arrays beside it, in one `.npz`.

A file may come from anybody. Nothing in it is unpickled or run, its members are as large as they say, and what it says is held
to what an explanation is.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.files.reading import open_regular
from openvino_xai.files.writing import written_whole

SUFFIX = ".npz"
FORMAT = "ovxai explanation"
VERSION = 1
FACTS = "facts.json"
MOST = 2**32  # bytes of all members, as they unpack
MOST_FACTS = 2**26
DEPTH = 20
KINDS = (  # public names of the package, which is where these classes are; those of their parts go with them
    "Explanation",
    "DetectionExplanation",
    "SegmentationExplanation",
    "HeadsExplanation",
    "Match",
    "Prediction",
    "Contrast",
    "MapCheck",
    "Detection",
    "Region",
)
NUMBERS = "fiub"  # kinds of arrays
BROKEN = (  # what reading raises where a file is another one, cut off or forged
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    LookupError,
    OverflowError,
    SyntaxError,  # of a header, as NumPy reads it
    tokenize.TokenError,
    AttributeError,
    TypeError,
    ValueError,
    OvxaiError,
)


def write_archive(path: Path, result: object) -> None:
    """Write a result, whole or not at all. Raises OutputError."""
    arrays: list[np.ndarray] = []
    facts = {"format": FORMAT, "version": VERSION, "result": _packed(result, arrays)}
    with written_whole(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FACTS, json.dumps(facts, ensure_ascii=True, allow_nan=False))
        for place, array in enumerate(arrays):
            with archive.open(f"{place}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def read_archive(path: Path) -> Any:
    """The result in a file. Raises InputError for what is none."""
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive)
        except BROKEN as error:
            raise InputError(f"{path} is no explanation that was saved here, or it is broken: {error}") from error


def _packed(value: object, arrays: list[np.ndarray]) -> Any:
    """A value as JSON has it: collections and arrays are objects that say what they are."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Path):
        return {"path": str(value)}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: _packed(getattr(value, field.name), arrays) for field in fields(value)}
        return {"kind": type(value).__name__, "fields": parts}
    if isinstance(value, Mapping):
        return {"map": [[str(key), _packed(item, arrays)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_packed(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _read(archive: zipfile.ZipFile) -> Any:
    members = archive.infolist()
    if sum(member.file_size for member in members) > MOST or archive.getinfo(FACTS).file_size > MOST_FACTS:
        raise InputError(f"it unpacks to more than {MOST} bytes")
    facts = json.loads(archive.read(FACTS).decode("utf-8", errors="surrogatepass"))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("version") != VERSION:
        raise InputError(f"{FACTS} says of no {FORMAT} of version {VERSION}")
    return _unpacked(facts["result"], lambda place: _array(archive, place), 0)


def _array(archive: zipfile.ZipFile, place: object) -> np.ndarray:
    """An array of the archive, whose header is held to the size of its member before memory is set aside."""
    if not isinstance(place, int) or isinstance(place, bool):
        raise InputError("an array has no number")
    content = io.BytesIO(archive.read(f"{place}.npy"))
    version = np.lib.format.read_magic(content)
    if version != (1, 0):
        raise InputError(f"array {place} has a format of version {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(content)
    left = len(content.getvalue()) - content.tell()
    if dtype.hasobject or dtype.kind not in NUMBERS or math.prod(shape) * dtype.itemsize != left:
        raise InputError(f"array {place} is {dtype} {list(shape)}, and its file holds {left} bytes")
    if not left:
        return np.zeros(shape, dtype)
    array = np.frombuffer(content.getvalue(), dtype, offset=content.tell())
    return array.reshape(shape, order="F" if fortran else "C").copy()


def _unpacked(value: Any, array: Callable[[object], np.ndarray], depth: int) -> Any:
    if depth > DEPTH:
        raise InputError("it is nested too deep")
    if isinstance(value, list):
        return [_unpacked(item, array, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"array": place}:
            return array(place)
        case {"path": str(text)}:
            return Path(text)
        case {"tuple": list(items)}:
            return tuple(_unpacked(item, array, depth + 1) for item in items)
        case {"map": list(pairs)}:
            return {str(key): _unpacked(item, array, depth + 1) for key, item in pairs}
        case {"kind": str(kind), "fields": dict(parts)} if kind in KINDS:
            return _instance(kind, {name: _unpacked(part, array, depth + 1) for name, part in parts.items()})
    raise InputError(f"{re.sub(r'[^ -~]', '?', str(sorted(value))[:80])} is nothing that an explanation holds")


def _instance(kind: str, parts: dict[str, Any]) -> Any:
    """One of the `KINDS`, of its fields. Raises InputError where these are not what such a thing has."""
    import openvino_xai

    record_class = getattr(openvino_xai, kind)
    there = {field.name for field in fields(record_class)}
    required = {field.name for field in fields(record_class) if field.default is MISSING and field.default_factory is MISSING}
    if not required <= parts.keys() <= there:
        raise InputError(f"a {kind} has other fields than {', '.join(sorted(parts))[:200]}")
    return record_class(**parts)
