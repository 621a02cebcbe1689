"""Rows in Parquet, one an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openvino_xai.errors import InputError
from openvino_xai.graph.files import written_whole


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, each metric in a column of its own, whole or not at all. Raises InputError where pyarrow is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("writing Parquet needs pyarrow: pip install 'ovxai[parquet]'") from error
    flat = [
        {**{name: item for name, item in row.items() if name not in ("metrics", "asked")}, **row["metrics"]} for row in rows
    ]
    with written_whole(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), temporary)
