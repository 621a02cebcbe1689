"""Lines of what is done: believed only as they were written, and never lost."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvino_xai.errors import InputError, OutputError
from openvino_xai.runtime.manifest import CLAIMS, NAME, Manifest, is_product, products

CONDITIONS = {"targets": "top:1"}
WORDS = ["image", "asked", "targets", "overlay", "map", "source", "check", "claim", "files", "name", "a.png"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=12,
)
LINES = st.one_of(JUNK.map(json.dumps).map(str.encode), st.binary(max_size=30), st.just(b"[" * 100_000), st.just(b"9" * 5000))


def manifest(folder: Path, **sources: Any) -> Manifest:
    return Manifest.read(folder / "explanations.jsonl", CONDITIONS, sources or {"a": [1, 2, 3]})


def written(folder: Path, image: str = "a", source: Any = (1, 2, 3), stem: str = "a") -> dict[str, Any]:
    """A line of an image, with its files."""
    there = manifest(folder, **{image: list(source)})
    name, claim = there.name(image, stem, ["_0.png", "_0.npy"])
    files = [str(folder / f"{name}_0{suffix}") for suffix in (".png", ".npy")]
    for file in files:
        Path(file).write_text(image)
    targets = [{"overlay": files[0], "map": files[1]}]
    return there.add({"image": image, "name": name, "claim": claim, "source": list(source), "targets": targets})


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=3))
def test_junk_between_the_lines(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / CLAIMS).write_bytes(b"\n".join(lines))
        path = folder / "explanations.jsonl"
        path.write_bytes(b"\n".join(lines))
        products(folder)
        with suppress(InputError):
            assert manifest(folder).done == {}
        path.unlink()
        line = written(folder)
        path.write_bytes(b"\n".join([*lines, path.read_bytes(), *lines]))
        assert manifest(folder).done == {"a": line} or any(b"overlay" in item or b"map" in item for item in lines)


@pytest.mark.parametrize("junk", [None, [], ["x"], {}, 7, "x", [[]], {"files": 3}])
def test_any_field_of_a_line_may_be_junk(junk: Any, tmp_path: Path) -> None:
    line = written(tmp_path)
    lines = [{**line, field: junk} for field in line] + [{**line, "targets": [junk]}]
    (tmp_path / "explanations.jsonl").write_text("".join(json.dumps(item) + "\n" for item in [line, *lines]))
    assert set(manifest(tmp_path).done) <= {"a"}
    products(tmp_path)


def test_a_line_that_was_changed_is_overlooked(tmp_path: Path) -> None:
    line = written(tmp_path)
    assert manifest(tmp_path).done == {"a": line}
    assert manifest(tmp_path, a=[1, 2, 4]).done == {}
    path = tmp_path / "explanations.jsonl"
    path.write_text(json.dumps({**line, "predictions": "others"}) + "\n")
    assert manifest(tmp_path).done == {}


def test_files_that_a_killed_run_overwrote_are_not_taken_for_what_they_were(tmp_path: Path) -> None:
    written(tmp_path)
    other = manifest(tmp_path, a=[7, 2, 3])  # the image was changed
    assert other.name("a", "a", ["_0.png", "_0.npy"])[0] == "a"  # and here it is killed
    assert manifest(tmp_path).done == {}
    again = manifest(tmp_path, b=[1])
    assert again.name("b", "a", ["_0.png"])[0] == "a-2"
    again.settle()
    assert manifest(tmp_path).done == {}


def test_names(tmp_path: Path) -> None:
    (tmp_path / "taken_0.png").write_text("")
    (tmp_path / "link_0.png").symlink_to(tmp_path / "nowhere")
    there = manifest(tmp_path)
    stems = {"b": "B", "c": "b", "d": "taken", "e": "link", "f": "a/b\n\udcff", "g": "é" * 200, "h": "e\u0301", "i": "\xe9"}
    names = {image: there.name(image, stem, ["_0.png"])[0] for image, stem in stems.items()}
    assert [names[image] for image in "bcdef"] == ["B", "b-2", "taken-2", "link-2", "a_b__"]
    assert len(names["g"].encode()) <= NAME - len("_0.png")
    assert names["h"] == "e\u0301" and names["i"] == "\xe9-2"  # one name, in two spellings


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links")
def test_what_is_no_file_is_neither_read_nor_written(tmp_path: Path) -> None:
    path = tmp_path / "explanations.jsonl"
    os.mkfifo(path)
    with pytest.raises(InputError, match="no regular file"):
        manifest(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="no regular file"):
        manifest(tmp_path)
    path.rmdir()
    there = manifest(tmp_path)
    (tmp_path / "precious").write_text("precious")
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="no regular file"):
        manifest(tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        there.add({"image": "a"})
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_number_that_is_none_is_never_written(tmp_path: Path) -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="not finite"):
            manifest(tmp_path).add({"image": "a", "score": number})
    assert not (tmp_path / "explanations.jsonl").exists()


def test_a_full_disk_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = written(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        there = manifest(tmp_path, b=[1])
        there.add({"image": "b"})
        with pytest.raises(OutputError, match="No space left"):
            there.settle()
    assert manifest(tmp_path).done == {"a": line}


def test_lines_are_on_the_disk_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, settled = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(os, "fsync", lambda descriptor: settled.append(clock[0]))
    there = manifest(tmp_path)
    for clock[0] in (0, 0.4, 1.1, 1.2, 2.4):
        there.add({"image": "a"})
    assert settled == [1.1, 2.4]
    there.settle()
    assert settled == [1.1, 2.4]
    there.add({"image": "a"})
    there.settle()
    assert settled == [1.1, 2.4, 2.4]


def test_another_question_keeps_its_files(tmp_path: Path) -> None:
    first = written(tmp_path)
    other = Manifest.read(tmp_path / "explanations.jsonl", {"targets": "all"}, {"a": [1, 2, 3]})
    assert other.others == 1 and other.name("a", "a", ["_0.png", "_0.npy"])[0] == "a-2"
    newer = Manifest.read(tmp_path / "explanations.jsonl", {**CONDITIONS, "ovxai": "2"}, {"a": [1, 2, 3]})
    assert newer.done == {} and newer.name("a", "a", ["_0.png", "_0.npy"])[0] == "a"  # a newer version answers it anew
    assert first["name"] == "a"


def test_places_below_the_folder(tmp_path: Path) -> None:
    there = manifest(tmp_path)
    place = Path("x/y")
    assert there.name("p/x/y/1.png", "1", [".png"], place=place)[0] == "x/y/1"
    assert there.name("q/X/y/1.png", "1", [".png"], place=Path("X/y"))[0] == "X/y/1-2"
    assert there.name("z/1.png", "1", [".png"])[0] == "1"
    assert there.name("w/1.png", "1", [".png"], place=Path("../a\nb"))[0] == "a_b/1"
    (tmp_path / "link").symlink_to("/tmp")
    (tmp_path / "file").touch()
    assert there.name("l/1.png", "1", [".png"], place=Path("link/deep"))[0] == "1-2"
    assert there.name("f/1.png", "1", [".png"], place=Path("file"))[0] == "1-3"
    folder = tmp_path / "x" / "y"
    folder.mkdir(parents=True)
    (folder / "1.png").touch()
    name, claim = there.name("p/x/y/1.png", "1", [".png"], place=place)
    there.add({"image": "p", "name": name, "claim": claim, "overlay": str(folder / "1.png")})
    assert "x/y/1.png" in products(tmp_path)
    assert is_product(Path("X/y/1.PNG"), products(tmp_path))
