"""A shard is believed for what it holds, not for its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from openvino_xai.errors import InputError
from openvino_xai.serve.jobs import Job, run_job
from openvino_xai.serve.parts import read_rows, write_rows

pytestmark = pytest.mark.slow


def nothing() -> Any:
    return object()


def counted(network: Any, items: Sequence[int]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield {"value": item}


def job(folder: Path, sources: dict[str, Any] | None = None) -> Job:
    items = {"a": 1, "line\nend": 2, "odd\udcff": 3, "d": 4}
    return Job(folder, items, 2, lambda: nothing, counted, {"targets": "all"}, sources or {})


def values(folder: Path, sources: dict[str, Any] | None = None) -> tuple[list[int], list[str]]:
    """What the parts hold after a run, and what it said."""
    said: list[str] = []
    done = run_job(job(folder, sources), "local", 1, lambda done, total: None, said.append)
    return [row["value"] for row in read_rows([folder / part for part in done["parts"]])], said


def test_what_is_broken_or_changed_is_made_anew(tmp_path: Path) -> None:
    assert values(tmp_path) == ([1, 2, 3, 4], [])
    first, second = tmp_path / "part-000000.parquet", tmp_path / "part-000001.parquet"
    before = second.stat().st_mtime_ns
    digest = pyarrow.parquet.read_schema(first).metadata[b"ovxai.digest"].decode()
    content = first.read_bytes()

    def exchanged() -> None:
        write_rows(first, [{"image": name, "error": None, "value": 9} for name in ("line\nend", "a")], digest=digest)

    def shortened() -> None:
        write_rows(first, [{"image": "a", "error": None, "value": 9}], digest=digest)

    def without_errors() -> None:
        write_rows(first, [{"image": name, "value": 9} for name in ("a", "line\nend")], digest=digest)

    changes = [exchanged, shortened, without_errors]
    changes += [lambda content=content: first.write_bytes(content) for content in (b"", b"PAR1", content[:-20], content[20:])]
    for change in changes:
        change()
        assert values(tmp_path) == ([1, 2, 3, 4], [f"{first} is made anew: it is broken"])
    assert values(tmp_path, {"a": "changed"}) == ([1, 2, 3, 4], [f"{first} is made anew: its images are others now"])
    assert second.stat().st_mtime_ns == before


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links")
def test_what_is_somebody_elses_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert values(folder)[0] == [1, 2, 3, 4]
    part = folder / "part-000000.parquet"
    part.unlink()
    pyarrow.parquet.write_table(pyarrow.table({"image": ["a", "b"], "error": ["", ""]}), part)
    content = part.read_bytes()
    with pytest.raises(InputError, match="rows that no job here wrote"):
        values(folder)
    assert part.read_bytes() == content
    part.rename(tmp_path / "precious")
    for place in (lambda: part.symlink_to(tmp_path / "precious"), lambda: os.mkfifo(part), part.mkdir):
        place()
        with pytest.raises(InputError, match="is no regular file"):
            values(folder)
        part.rmdir() if part.is_dir() and not part.is_symlink() else part.unlink()
    assert (tmp_path / "precious").read_bytes() == content
    (folder / "job.json").unlink()
    with pytest.raises(InputError, match=r"holds manifest\.json, and no job\.json that tells of it"):
        values(folder)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"asked": {}', b"\xff\xfe", b'{"asked":3,"images":"","shard":2}']
)
def test_a_job_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_bytes(content)
    with pytest.raises(InputError, match=r"job\.json tells of no job: choose another folder"):
        values(tmp_path)
    assert (tmp_path / "job.json").read_bytes() == content


def test_numbers_that_are_none_end_a_job(tmp_path: Path) -> None:
    odd = job(tmp_path, {"a": float("nan")})
    with pytest.raises(InputError, match="not finite"):
        run_job(odd, "local", 1, lambda done, total: None)
