"""Rows in Parquet: one an image, maps as lists of f16, whole files or none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_file, is_link
from openvino_xai.files.reading import open_regular
from openvino_xai.files.writing import written_whole

MAPS = "maps"
DIGEST = b"ovxai.digest"  # in a file's metadata: what its rows were made from
State: TypeAlias = Literal["missing", "whole", "stale", "broken"]


def arrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet. Raises InputError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("writing Parquet needs pyarrow: pip install 'ovxai[parquet]'") from error
    return pyarrow, pyarrow.parquet


def write_rows(path: Path, rows: Sequence[dict[str, Any]], *, digest: str = "") -> None:
    """Write rows, made from what `digest` tells; `maps`, arrays or None, become lists of f16.

    Names of files that are no text get escapes, as Parquet holds text alone. Raises InputError.
    """
    pyarrow, parquet = arrow()
    plain = [{name: as_text(item) for name, item in row.items() if name != MAPS} for row in rows]
    names = dict.fromkeys(name for row in plain for name in row)  # a row that failed has less to tell
    columns: dict[str, Any] = {name: [row.get(name) for row in plain] for name in names}
    if "error" in columns:  # where none failed, too, so that all files have one schema
        columns["error"] = pyarrow.array(columns["error"], pyarrow.string())
    table = pyarrow.table(columns)
    if any(MAPS in row for row in rows):
        table = table.append_column(MAPS, _lists(pyarrow, [row.get(MAPS) for row in rows]))
    with written_whole(path) as temporary:
        parquet.write_table(table.replace_schema_metadata({DIGEST: digest.encode()}), temporary, write_page_checksum=True)


def as_text(value: Any) -> Any:
    """Text without halves of characters, which names of files may have: these become escapes, as in `\\udcff`."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def state(path: Path, images: Sequence[str], digest: str) -> State:
    """`whole` where a file holds one row for each image, in order, made from what `digest` stands for; `stale` where made from
    something else, `broken` where it cannot be read, and `missing`.

    Raises InputError for what no job here wrote.
    """
    if not os.path.lexists(path):
        return "missing"
    if is_link(path) or not is_file(path):
        raise InputError(f"{path} is no regular file, which rows are written to: choose another folder, or move it away")
    pyarrow, parquet = arrow()
    with open_regular(path) as file:
        try:
            opened = _opened(parquet, file)
            schema = opened.schema_arrow
            stored = (schema.metadata or {}).get(DIGEST)
            if stored == digest.encode():
                texts = all(schema.field(name).type == pyarrow.string() for name in ("image", "error"))
                names = _table(opened, ["image"]).column(0).to_pylist()
                return "whole" if texts and names == [as_text(image) for image in images] else "broken"
        except (pyarrow.ArrowException, OSError, KeyError):
            return "broken"
    if stored is None:
        raise InputError(f"{path} holds rows that no job here wrote: choose another folder, or move it away")
    return "stale"


def _opened(parquet: Any, file: BinaryIO) -> Any:
    """A Parquet file that is read in the thread that asks, with `_table`.

    A thread of pyarrow's (26) that reads ahead lets go of a Python buffer when it comes to it. If the interpreter ends by then,
    the process is aborted.
    """
    return parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)


def _table(opened: Any, columns: list[str]) -> Any:
    return opened.read(columns=columns, use_threads=False)


def _lists(pyarrow: Any, maps: list[np.ndarray | None]) -> Any:
    # of no fixed size: readers before pyarrow 26 fail on a file of these where a row has none
    kind = pyarrow.list_(pyarrow.float16())
    return pyarrow.array([None if array is None else array.reshape(-1).astype(np.float16) for array in maps], kind)


def is_ours(path: Path) -> bool:
    """Whether a file is one that `write_rows` wrote. Raises InputError where pyarrow is not installed."""
    pyarrow, parquet = arrow()
    if is_link(path) or not is_file(path):
        return False
    with open_regular(path) as file:
        try:
            return DIGEST in (_opened(parquet, file).schema_arrow.metadata or {})
        except (pyarrow.ArrowException, OSError):
            return False


def read_rows(paths: Sequence[Path], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of files, in their order. Raises InputError for a file that cannot be read."""
    pyarrow, parquet = arrow()
    rows: list[dict[str, Any]] = []
    for path in paths:
        with open_regular(path) as file:
            try:
                opened = _opened(parquet, file)
                there = opened.schema_arrow.names
                rows += _table(opened, [name for name in columns or there if name in there]).to_pylist()
            except (pyarrow.ArrowException, OSError) as error:
                raise InputError(f"cannot read {path}: it is broken ({error}); remove it, and run the job again") from error
    return rows
