"""Written files are complete and in their place, or an error names the file and the reason and nothing is left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tiny import CASES

import openvino_xai as xai
from openvino_xai.errors import OutputError
from openvino_xai.files import writing
from openvino_xai.files.writing import check_output, written_whole


def write(target: Path) -> None:
    with written_whole(target) as temporary:
        temporary.with_suffix(".bin").write_bytes(b"beside")
        temporary.write_bytes(b"new")


def test_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    os.mkfifo(tmp_path / "pipe")
    for target, why in (
        (tmp_path / "folder", "what is there is a folder; choose another name"),
        (tmp_path / "pipe", "what is there is no regular file"),
        (Path("/dev/full"), "what is there is no regular file"),
        (tmp_path / "file" / "out", "a folder is expected where a file is"),
        (tmp_path / "file" / "deeper" / "out", "a folder is expected where a file is"),
        (tmp_path / ("x" * 256), "File name too long; choose a shorter name"),
        (tmp_path / "a\0b", "no name holds a NUL"),
    ):
        for refuse in (write, check_output):
            with pytest.raises(OutputError, match=why) as error:
                refuse(target)
            assert str(target) in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "pipe"]


def test_a_model_says_where_it_cannot_be_saved(tmp_path: Path) -> None:
    hooked = xai.insert(CASES["pool and linear"].build("B", 17))
    (tmp_path / "folder.onnx").mkdir()
    for name, why in (("x" * 300 + ".onnx", "choose a shorter name"), ("a\0b.onnx", "NUL"), ("folder.onnx", "is a folder")):
        with pytest.raises(OutputError, match=why):
            hooked.save(tmp_path / name, force=True)


def test_a_folder_beside_the_target(tmp_path: Path) -> None:
    """Where one of several files cannot be written, none of them is."""
    (tmp_path / "out.bin").mkdir()
    with pytest.raises(OutputError, match=r"out.bin: what is there is a folder"):
        write(tmp_path / "out.xml")
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".xml")
    write(target)
    assert target.read_bytes() == b"new"


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("old")
    for name, aim in (("link", tmp_path / "precious"), ("loop", "loop"), ("broken", "nowhere"), ("up", tmp_path)):
        (tmp_path / name).symlink_to(aim)
        write(tmp_path / name)
        assert not (tmp_path / name).is_symlink() and (tmp_path / name).read_bytes() == b"new"
    assert (tmp_path / "precious").read_text() == "old"
    assert not (tmp_path / "nowhere").exists()


def test_where_one_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write anywhere
    with pytest.raises(OutputError, match="choose a place that you may write in"):
        check_output(tmp_path / "deeper" / "out")


def test_a_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "out.xml"
    target.write_text("old")
    with pytest.raises(OutputError, match="No space left on device; free some space"), written_whole(target) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
def test_a_model_that_the_disk_cannot_take(suffix: str, tmp_path: Path) -> None:
    import resource

    import onnx
    import openvino as ov

    model = CASES["pool and linear"].build("B", 17)
    onnx.save(model, tmp_path / "m.onnx")
    hooked = xai.insert(ov.Core().read_model(tmp_path / "m.onnx") if suffix == ".xml" else model)
    (tmp_path / "m.onnx").unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            hooked.save(tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_files_are_on_the_disk_before_they_are_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    settle, replace = writing.settle, Path.replace
    monkeypatch.setattr(writing, "settle", lambda path: (done.append(f"settle {path.name}"), settle(path)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (done.append(f"move {to.name}"), replace(self, to))[1])
    write(tmp_path / "out.xml")
    assert done == ["settle out.bin", "settle out.xml", "move out.bin", "move out.xml", f"settle {tmp_path.name}"]
