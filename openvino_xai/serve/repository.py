"""A folder that appears whole or not at all, with a manifest of its files: what is not in it is somebody else's, and stays."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists, is_file, is_folder, is_link, resolved
from openvino_xai.files.reading import read_regular
from openvino_xai.files.scratch import scratch_folder
from openvino_xai.files.writing import check_output, writing
from openvino_xai.json_text import from_json, to_json
from openvino_xai.version import __version__

MANIFEST = "ovxai-manifest.json"
LARGEST = 1_000_000  # bytes of a manifest that is read
NAMED = 5  # files that a refusal names
NAMED_OLD = 100  # characters of a folder's name in another's
CACHE = "__pycache__"
AGAIN = "choose another folder"


@contextmanager
def written_repository(target: Path, *, force: bool = False, source: Path | None = None) -> Iterator[Path]:
    """A new folder to write into; on success it gets a manifest, and becomes the target.

    With `force` it takes the place of a folder that is still as its manifest says. The target must not hold `source`, the file
    that it is written from. Raises InputError.
    """
    with writing(target):
        _refuse_place(target, source)
        _refuse_taken(target, force=force)
        check_output(target / MANIFEST)
        with _parents_of(target), scratch_folder(target.parent) as scratch:
            folder = scratch / "new"
            folder.mkdir()
            yield folder
            _write_manifest(folder)
            _put(folder, target, force=force)


@contextmanager
def _parents_of(target: Path) -> Iterator[None]:
    """Where the block fails, remove the folders above the target that were not there before."""
    missing = [parent for parent in target.parents if not exists(parent)]
    try:
        yield
    except BaseException:  # Ctrl-C, too; it is raised again
        for parent in missing:
            with suppress(OSError):  # somebody else may need it meanwhile
                parent.rmdir()
        raise


def _refuse_place(target: Path, source: Path | None) -> None:
    """Raise InputError for links, files, folders that somebody is in, and those that hold the model."""
    if "\0" in str(target):
        raise InputError(f"cannot write {target}: its path has a NUL")
    if is_link(target):
        raise InputError(f"{target} is a link, which is not followed: name the folder itself")
    if os.path.lexists(target) and not is_folder(target):
        raise InputError(f"{target} is no folder: {AGAIN}")
    place = resolved(target)
    if target.name in ("", "..") or Path.cwd().is_relative_to(place):
        raise InputError(f"{target} is the folder that you are in, or one above it: name a new folder")
    if source is not None and any(path.is_relative_to(place) for path in (source.absolute(), resolved(source))):
        raise InputError(f"{target} holds the model: {AGAIN}")


def _refuse_taken(target: Path, *, force: bool) -> None:
    """Raise InputError for a folder that is there, unless it may be replaced and holds nothing but what its manifest says."""
    if not exists(target):
        return
    if not force:
        raise InputError(f"{target} exists; {AGAIN} or overwrite it with force", options=("force",))
    if next(target.iterdir(), None) is not None:
        _refuse_foreign(target, target)


def _refuse_foreign(folder: Path, target: Path) -> None:
    """Raise InputError for what is not as the manifest of a folder says; `target` is what the folder is called."""
    if is_link(folder) or not is_folder(folder):
        raise InputError(f"{target} is no folder any more: {AGAIN}")
    listed = _manifest(folder, target)
    folders = {str(parent) for name in listed for parent in PurePosixPath(name).parents}
    foreign, changed = [], []
    for name, path in _entries(folder):
        if name == MANIFEST or (name in folders and not is_link(path) and is_folder(path)) or _is_cache(name, path, listed):
            continue
        if name not in listed:
            foreign.append(name)
        elif is_link(path) or not is_file(path) or _digest(path) != listed[name]:
            changed.append(name)
    for names, what in ((foreign, "that export did not write"), (changed, "that changed since export wrote it")):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            named = ", ".join(f"'{name}'" for name in sorted(names)[:NAMED])
            raise InputError(f"{target} holds files {what}: {named}{more}. Move it away, or {AGAIN}")


def _is_cache(name: str, path: Path, listed: Mapping[str, str]) -> bool:
    """Whether a file is the bytecode of one in the manifest, which a server left there when it ran that."""
    place = PurePosixPath(name)
    if is_link(path):
        return False
    if place.name == CACHE:
        return is_folder(path) and any(
            PurePosixPath(source).parent == place.parent and source.endswith(".py") for source in listed
        )
    source = place.parent.parent / f"{place.name.partition('.')[0]}.py"
    return place.parent.name == CACHE and place.suffix == ".pyc" and is_file(path) and str(source) in listed


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """All that is in a folder, hidden or not, by its relative name; links are not followed."""
    folders = [folder]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            yield path.relative_to(folder).as_posix(), path
            if is_folder(path) and not is_link(path):
                folders.append(path)


def _manifest(folder: Path, target: Path) -> Mapping[str, str]:
    """The files of a repository with their SHA-256. Raises InputError where it has no manifest."""
    path = folder / MANIFEST
    if is_link(path) or not is_file(path):
        raise InputError(
            f"{target} was not written by this version of export, as it has no {MANIFEST}: {AGAIN}, or remove it yourself"
        )
    try:
        files = from_json(read_regular(path, most=LARGEST))["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no manifest: {AGAIN}, or remove {target} yourself") from error
    if not isinstance(files, dict):
        raise InputError(f"{path} is no manifest: {AGAIN}, or remove {target} yourself")
    return files


def _write_manifest(folder: Path) -> None:
    files = {name: _digest(path) for name, path in _entries(folder) if not is_folder(path)}
    text = to_json({"written_by": f"ovxai {__version__}", "files": files}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    """The SHA-256 of a regular file; nothing for another, which is not opened."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return ""
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(folder: Path, target: Path, *, force: bool) -> None:
    """Let a folder become the target, or leave the target as it is. Raises InputError, OSError."""
    if not force or not exists(target):
        _move(folder, target)
        return
    # no scratch folder: where this process is killed between two lines, what was there is not swept away
    old = Path(tempfile.mkdtemp(prefix=f".{target.name[:NAMED_OLD]}-old-", dir=target.parent)) / target.name
    try:
        target.rename(old)
        if is_link(old) or not is_folder(old) or next(old.iterdir(), None) is not None:
            _refuse_foreign(old, target)  # again: somebody may have written into it meanwhile
        _move(folder, target)
    except BaseException:  # Ctrl-C, too; it is raised again
        _restore(old, target)
        raise
    shutil.rmtree(old.parent, ignore_errors=True)


def _restore(old: Path, target: Path) -> None:
    """Put back what was moved away. Raises InputError, which says where it is, if its place is taken."""
    try:
        if os.path.lexists(old):
            old.rename(target)
        old.parent.rmdir()
    except OSError as error:
        raise InputError(f"{target} was written by somebody else meanwhile; what was there before is in {old}") from error


def _move(folder: Path, target: Path) -> None:
    """Rename a folder. Raises InputError where somebody was faster; an empty folder is no obstacle."""
    try:
        folder.rename(target)
    except OSError as error:
        if os.path.lexists(target):
            raise InputError(f"{target} was written by somebody else meanwhile: {AGAIN}") from error
        raise
