from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openvino_xai.serve.parts import read_rows, write_rows


@pytest.mark.parametrize("maps", [[np.eye(2), None], [np.eye(2), np.eye(3)], [None, None]])
def test_maps_are_lists_that_every_reader_of_parquet_takes(tmp_path: Path, maps: list[np.ndarray | None]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"image": f"{index}.png", "error": None, "maps": array} for index, array in enumerate(maps)]
    write_rows(tmp_path / "part.parquet", rows)
    assert str(parquet.read_schema(tmp_path / "part.parquet").field("maps").type) == "list<element: halffloat>"
    assert [row["maps"] for row in read_rows([tmp_path / "part.parquet"])] == [
        None if array is None else array.reshape(-1).tolist() for array in maps
    ]
