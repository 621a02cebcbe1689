from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openvino_xai.serve import parts
from openvino_xai.serve.parts import read_rows, state, write_rows


@pytest.mark.parametrize("maps", [[np.eye(2), None], [np.eye(2), np.eye(3)], [None, None]])
def test_maps_are_lists_that_every_reader_of_parquet_takes(tmp_path: Path, maps: list[np.ndarray | None]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"image": f"{index}.png", "error": None, "maps": array} for index, array in enumerate(maps)]
    write_rows(tmp_path / "part.parquet", rows)
    assert str(parquet.read_schema(tmp_path / "part.parquet").field("maps").type) == "list<element: halffloat>"
    assert [row["maps"] for row in read_rows([tmp_path / "part.parquet"])] == [
        None if array is None else array.reshape(-1).tolist() for array in maps
    ]


def test_files_are_read_in_the_thread_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that pyarrow reads ahead in may outlive the interpreter, which aborts the process then."""
    path, threads = tmp_path / "part-000000.parquet", set[threading.Thread]()
    write_rows(path, [{"image": str(number), "error": None} for number in range(50)], digest="d")

    class Watched(io.FileIO):
        def readinto(self, buffer: Any) -> int | None:
            threads.add(threading.current_thread())
            return super().readinto(buffer)

        def read(self, size: int | None = -1) -> bytes | None:
            threads.add(threading.current_thread())
            return super().read(-1 if size is None else size)

    monkeypatch.setattr(parts, "open_regular", Watched)
    assert len(read_rows([path])) == 50
    assert state(path, [str(number) for number in range(50)], "d") == "whole"
    assert threads == {threading.current_thread()}
