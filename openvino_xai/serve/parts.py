"""Rows in Parquet: one an image, maps as lists of f16, whole files or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.graph.files import written_whole

MAPS = "maps"


def arrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet. Raises InputError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("writing Parquet needs pyarrow: pip install 'ovxai[parquet]'") from error
    return pyarrow, pyarrow.parquet


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows; `maps`, arrays or None, become lists of f16. Raises InputError."""
    pyarrow, parquet = arrow()
    plain = [{name: item for name, item in row.items() if name != MAPS} for row in rows]
    names = dict.fromkeys(name for row in plain for name in row)  # a row that failed has less to tell
    columns: dict[str, Any] = {name: [row.get(name) for row in plain] for name in names}
    if "error" in columns:  # where none failed, too, so that all files have one schema
        columns["error"] = pyarrow.array(columns["error"], pyarrow.string())
    table = pyarrow.table(columns)
    if any(MAPS in row for row in rows):
        table = table.append_column(MAPS, _lists(pyarrow, [row.get(MAPS) for row in rows]))
    with written_whole(path) as temporary:
        parquet.write_table(table, temporary)


def _lists(pyarrow: Any, maps: list[np.ndarray | None]) -> Any:
    # of no fixed size: readers before pyarrow 26 fail on a file of these where a row has none
    kind = pyarrow.list_(pyarrow.float16())
    return pyarrow.array([None if array is None else array.reshape(-1).astype(np.float16) for array in maps], kind)


def read_rows(paths: Sequence[Path], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of files, in their order."""
    _, parquet = arrow()
    rows: list[dict[str, Any]] = []
    for path in paths:
        there = parquet.read_schema(path).names
        rows += parquet.read_table(path, columns=[name for name in columns or there if name in there]).to_pylist()
    return rows


def count_rows(path: Path) -> int:
    """The number of rows of a file, which only its end is read for."""
    _, parquet = arrow()
    return int(parquet.read_metadata(path).num_rows)
