"""Folders that export replaces: its own, unchanged, and no other."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from openvino_xai.errors import InputError
from openvino_xai.serve import repository
from openvino_xai.serve.repository import MANIFEST, written_repository


def write(target: Path, text: str = "new", *, force: bool = False, **options: Any) -> None:
    with written_repository(target, force=force, **options) as folder:
        (folder / "cells" / "1").mkdir(parents=True)
        (folder / "cells" / "1" / "model.xml").write_text(text)
        (folder / "README.md").write_text(text)


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """All that is in a folder, hidden or not."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else "/"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    write(tmp_path / "repo", "old")
    return tmp_path / "repo"


def test_the_manifest_lists_what_was_written(repo: Path) -> None:
    files = json.loads((repo / MANIFEST).read_text())["files"]
    digest = hashlib.sha256(b"old").hexdigest()
    assert files == {"cells/1/model.xml": digest, "README.md": digest}


def test_an_unchanged_repository_is_replaced(repo: Path) -> None:
    (repo / "README.md").unlink()  # what is missing is no loss
    write(repo, force=True)
    assert (repo / "README.md").read_text() == (repo / "cells" / "1" / "model.xml").read_text() == "new"
    assert [path.name for path in repo.parent.iterdir()] == ["repo"]


def test_what_a_server_leaves_beside_a_file_it_ran_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        with written_repository(tmp_path / "repo", force=True) as folder:
            (folder / "cells [1]" / "1").mkdir(parents=True)
            (folder / "cells [1]" / "1" / "model.py").write_text("new")
            (folder / "top.py").write_text("new")
        assert not list(tmp_path.rglob("*.pyc"))
        for place, stem in ((tmp_path / "repo" / "cells [1]" / "1", "model"), (tmp_path / "repo", "top")):
            (place / "__pycache__").mkdir()
            (place / "__pycache__" / f"{stem}.cpython-311.pyc").write_text("compiled")
    (tmp_path / "repo" / "__pycache__" / "other.cpython-311.pyc").write_text("precious")
    with pytest.raises(InputError, match="that export did not write: '__pycache__/other.cpython-311.pyc'"):
        write(tmp_path / "repo", force=True)


FOREIGN = {
    "a file": lambda repo: (repo / "notes.txt").write_text("precious"),
    "a hidden file": lambda repo: (repo / ".hidden").write_text("precious"),
    "a hidden folder": lambda repo: (repo / ".git" / "objects").mkdir(parents=True),
    "an empty folder": lambda repo: (repo / "cells" / "2").mkdir(),
    "a file between ours": lambda repo: (repo / "cells" / "1" / "model.mapping").write_text("precious"),
    "a changed file": lambda repo: (repo / "README.md").write_text("precious"),
    "a link to a file": lambda repo: (repo / "link").symlink_to(repo.parent / "outside" / "canary"),
    "a link to a folder": lambda repo: (repo / "link").symlink_to(repo.parent / "outside"),
    "a link in place of ours": lambda repo: (
        (repo / "README.md").unlink(),
        (repo / "README.md").symlink_to(repo.parent / "outside" / "old"),
    ),
    "a link in place of our folder": lambda repo: (
        shutil.move(repo / "cells", repo.parent / "outside"),
        (repo / "cells").symlink_to(repo.parent / "outside" / "cells"),
    ),
    "a cache of nothing of ours": lambda repo: (repo / "cells" / "1" / "__pycache__").mkdir(),
    "a pipe": lambda repo: os.mkfifo(repo / "pipe"),
    "a pipe in place of ours": lambda repo: ((repo / "README.md").unlink(), os.mkfifo(repo / "README.md")),
    "a folder in place of ours": lambda repo: ((repo / "README.md").unlink(), (repo / "README.md").mkdir()),
    "no manifest": lambda repo: (repo / MANIFEST).unlink(),
    "a broken manifest": lambda repo: (repo / MANIFEST).write_text("{"),
    "a manifest of another kind": lambda repo: (repo / MANIFEST).write_text('{"files": ["README.md"]}'),
    "a deep manifest": lambda repo: (repo / MANIFEST).write_text("[" * 100_000),
    "a manifest that is a link": lambda repo: (
        shutil.move(repo / MANIFEST, repo.parent / "outside"),
        (repo / MANIFEST).symlink_to(repo.parent / "outside" / MANIFEST),
    ),
    "a manifest that is a pipe": lambda repo: ((repo / MANIFEST).unlink(), os.mkfifo(repo / MANIFEST)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_somebody_else_put_there_stays(kind: str, repo: Path) -> None:
    outside = repo.parent / "outside"
    outside.mkdir()
    (outside / "canary").write_text("canary")
    (outside / "old").write_text("old")
    FOREIGN[kind](repo)
    before = snapshot(repo.parent)
    with pytest.raises(
        InputError, match="that export did not write|that changed since|no manifest|was not written by"
    ) as refused:
        write(repo, force=True)
    assert "\n" not in str(refused.value)
    assert snapshot(repo.parent) == before


def test_a_listed_path_outside_is_not_touched(repo: Path) -> None:
    canary = repo.parent / "canary"
    canary.write_text("canary")
    manifest = json.loads((repo / MANIFEST).read_text())
    manifest["files"] |= {"../canary": hashlib.sha256(b"canary").hexdigest(), str(canary): ""}
    (repo / MANIFEST).write_text(json.dumps(manifest))
    write(repo, force=True)
    assert canary.read_text() == "canary"


def test_without_force_nothing_is_replaced(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (repo, tmp_path / "empty"):
        with pytest.raises(InputError, match="exists; choose another folder or overwrite it with force"):
            write(target)
    write(tmp_path / "empty", force=True)  # there was nothing to lose
    write(tmp_path / "nothing there", force=True)


@pytest.mark.parametrize("force", [False, True])
def test_places_that_are_no_folder_of_ours(force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "above" / "here"
    (here / "models").mkdir(parents=True)
    (here / "models" / "model.onnx").write_text("precious")
    (here / "file").write_text("precious")
    (here / "link").symlink_to(here / "models")
    (here / "dangling").symlink_to(here / "nowhere")
    (here / "loop").symlink_to(here / "loop")
    (here / "model.onnx").symlink_to(here / "models" / "model.onnx")
    os.mkfifo(here / "pipe")
    monkeypatch.chdir(here)
    before = snapshot(tmp_path)
    places = [
        ".",
        "..",
        "/",
        "",
        "models/..",
        "../here",
        "link",
        "link/",
        "dangling",
        "loop",
        "file",
        "pipe",
        "models",
        "file/repo",
    ]
    for place in [*places, "loop/repo", "dangling/repo", str(here), str(tmp_path), "x" * 300, "a\0b"]:
        with pytest.raises(InputError) as refused:
            write(Path(place), force=force, source=Path("model.onnx"))
        assert "\n" not in str(refused.value)
        assert snapshot(tmp_path) == before, place


def test_a_failure_leaves_what_was_there(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(repo.parent)

    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    for failing in ("_write_manifest", "_move"):
        with monkeypatch.context() as patch, pytest.raises(InputError, match="cannot write .*: No space left on device"):
            patch.setattr(repository, failing, no_space)
            write(repo, force=True)
        assert snapshot(repo.parent) == before
    for error in (KeyboardInterrupt, OSError(28, "No space left on device")):
        with pytest.raises((KeyboardInterrupt, InputError)), written_repository(repo, force=True) as folder:
            (folder / "half").write_text("half")
            raise error
        assert snapshot(repo.parent) == before
    with pytest.raises(KeyboardInterrupt), written_repository(repo.parent / "new" / "deep" / "repo"):
        raise KeyboardInterrupt
    assert snapshot(repo.parent) == before


def test_what_comes_in_while_it_is_written_stays(repo: Path) -> None:
    with pytest.raises(InputError, match="that export did not write: 'late'"), written_repository(repo, force=True):
        (repo / "late").write_text("precious")
    assert (repo / "late").read_text() == "precious" and (repo / "README.md").read_text() == "old"
    assert [path.name for path in repo.parent.iterdir()] == ["repo"]


def test_what_comes_in_at_the_last_moment_stays(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its place is taken, too, a folder with something of somebody else's is left beside it."""
    check = repository._refuse_foreign

    def late(folder: Path, target: Path) -> None:
        if folder != target:
            (folder / "late").write_text("precious")
            target.mkdir()
            (target / "theirs").write_text("theirs")
        check(folder, target)

    monkeypatch.setattr(repository, "_refuse_foreign", late)
    with pytest.raises(InputError, match="was written by somebody else meanwhile; what was there before is in") as refused:
        write(repo, force=True)
    assert (Path(str(refused.value).rpartition(" is in ")[2]) / "late").read_text() == "precious"
    assert snapshot(repo) == {"theirs": b"theirs"}


@pytest.mark.parametrize("force", [False, True])
def test_of_two_at_the_same_time_the_result_is_that_of_either(force: bool, tmp_path: Path) -> None:
    target = tmp_path / "repo"
    with pytest.raises(InputError, match="somebody else"), written_repository(target) as folder:
        (folder / "README.md").write_text("slower")
        write(target, "faster", force=force)
    assert (target / "README.md").read_text() == "faster"
    with written_repository(target, force=True) as folder:
        (folder / "README.md").write_text("slower")
        write(target, "faster", force=True)
    assert (target / "README.md").read_text() == "slower" and not (target / "cells").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["repo"]
