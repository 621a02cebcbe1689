"""The record of runs into one folder: a line for each image that is done, and the image that each file belongs to."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_file, is_folder, is_link
from openvino_xai.files.reading import open_regular
from openvino_xai.files.writing import writing
from openvino_xai.json_text import from_json, to_json
from openvino_xai.runtime.sources import digest_of

LONGEST = 2**24  # bytes of a line
NAME = 255  # bytes of a file's name, which file systems allow
CLAIMS = ".ovxai.claims"  # beside the lines: what a run is about to write, so that a killed run's files are known as ours
CHECK = "check"  # of a line: the digest of all else in it


@dataclass(frozen=True)
class Manifest:
    """The lines of a JSONL file, one for each image that is done, of runs under the same `conditions`.

    A line is overlooked that is not as it was written, that a killed run left unfinished, of which a file is gone or is
    another's now, or whose image was another one: `sources` tells for each image what must not have changed.
    """

    path: Path
    conditions: Mapping[str, Any]
    sources: Mapping[str, Any]
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)  # images, by the names of files
    _pending: set[str] = field(default_factory=set)  # claims of which no line tells the outcome
    _names: dict[str, str] = field(default_factory=dict)  # of images' files, as they were called last
    _namesakes: dict[str, str] = field(default_factory=dict)  # images, by these names
    _counts: dict[str, int] = field(default_factory=dict)  # by stems, the last number that was taken

    @classmethod
    def read(cls, path: Path, conditions: Mapping[str, Any], sources: Mapping[str, Any]) -> Manifest:
        """The manifest at a path, which need not be there. Raises InputError where something else is there."""
        manifest = cls(path, from_json(to_json(dict(conditions))), from_json(to_json(dict(sources))))
        last: dict[str, str] = {}  # the claim of the line that wrote a file last
        lines = []
        for line in _lines(path):
            files = [_key(file) for file in _files(line)]
            last |= dict.fromkeys(files, line.get("claim", ""))
            manifest._owners.update(dict.fromkeys(files, line["image"]))
            if isinstance(name := line.get("name"), str):
                manifest._names[line["image"]] = name
                manifest._namesakes[_key(name)] = line["image"]
            lines.append((line, files))
        settled = {line.get("claim") for line, _ in lines}
        for claim in _claims(path.with_name(CLAIMS)):
            if claim["claim"] not in settled:
                manifest._pending.add(claim["claim"])
                last |= dict.fromkeys(map(_key, claim["files"]), claim["claim"])
                manifest._owners.update(dict.fromkeys(map(_key, claim["files"]), claim["image"]))
        for line, files in lines:
            if manifest._holds(line) and all(last[file] == line.get("claim", "") for file in files):
                manifest.done[line["image"]] = line
        return manifest

    def _holds(self, line: dict[str, Any]) -> bool:
        image, rest = line["image"], {name: item for name, item in line.items() if name != CHECK}
        return (
            line["asked"] == self.conditions
            and image in self.sources
            and line.get("source") == self.sources[image] is not None
            and line.get(CHECK) == digest_of(rest)
            and all(is_file(Path(file)) and not is_link(Path(file)) for file in _files(line))
        )

    def name(self, image: str, stem: str, endings: Sequence[str]) -> tuple[str, str]:
        """A name for an image's files, its stem or a numbered one, and the claim that has them now.

        No other image's files are called so, whether or not a file system tells capitals apart, nor any that no run here wrote.
        """
        most = NAME - max(len(os.fsencode(ending)) for ending in endings) - len("-999999")
        stem = _plain(stem, most)
        for name in self._candidates(image, stem, most):
            files = [name + ending for ending in endings]
            if self._namesakes.get(_key(name), image) == image and all(self._is_free(file, image) for file in files):
                break
        claim = secrets.token_hex(8)
        _append(self.path.with_name(CLAIMS), {"claim": claim, "image": image, "files": files}, settle=False)
        self._owners.update(dict.fromkeys(map(_key, files), image))
        self._namesakes[_key(name)] = image
        self._pending.add(claim)
        return name, claim

    def _candidates(self, image: str, stem: str, most: int) -> Iterator[str]:
        yield _plain(self._names.get(image, stem), most)
        yield stem
        for number in count(self._counts.get(stem, 2)):
            self._counts[stem] = number
            yield f"{stem}-{number}"

    def _is_free(self, file: str, image: str) -> bool:
        place, owner = self.path.with_name(file), self._owners.get(_key(file))
        return not os.path.lexists(place) if owner is None else owner == image and not is_folder(place)

    def add(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """One more line, on the disk when this returns. Raises OutputError."""
        line = {**entry, "asked": dict(self.conditions)}
        line[CHECK] = digest_of(line)
        _append(self.path, line, settle=True)
        self._pending.discard(line.get("claim", ""))
        self.done[line["image"]] = line
        return line

    def settle(self) -> None:
        """Forget what was claimed, where lines tell of all of it."""
        if not self._pending:
            self.path.with_name(CLAIMS).unlink(missing_ok=True)


def _plain(stem: str, most: int) -> str:
    return shortened(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff/\\]", "_", stem), most)


def shortened(name: str, most: int) -> str:
    """The beginning of a name that takes at most so many bytes in a file system."""
    return name.encode(errors="replace")[:most].decode(errors="ignore") if len(os.fsencode(name)) > most else name


def products(folder: Path) -> frozenset[str]:
    """The names of files, as a file system that ignores capitals tells them apart, that runs wrote into a folder."""
    names = [file for line in _lines(folder / "explanations.jsonl", strict=False) for file in _files(line)]
    names += [file for claim in _claims(folder / CLAIMS) for file in claim["files"]]
    return frozenset(map(_key, names))


def is_product(path: Path, names: frozenset[str]) -> bool:
    """Whether a file is among `products` of its folder."""
    return _key(path.name) in names


def _key(file: str) -> str:
    return unicodedata.normalize("NFC", Path(file).name).casefold()


def _files(line: Mapping[str, Any]) -> list[str]:
    lists = [entries for key in ("targets", "boxes") if isinstance(entries := line.get(key), list)]
    entries = [line, *(entry for entries in lists for entry in entries if isinstance(entry, dict))]
    heads = line.get("heads")
    files = [entry.get(kind) for entry in entries for kind in ("overlay", "map")]
    of_heads = [file for head in heads if isinstance(head, dict) for file in _files(head)] if isinstance(heads, list) else []
    return [file for file in files if isinstance(file, str) and "\0" not in file] + of_heads


def _lines(path: Path, *, strict: bool = True) -> Iterator[dict[str, Any]]:
    """The lines that runs wrote. Raises InputError for a file that holds only others; if not `strict`, there are none."""
    ours, others = 0, 0
    for line in _parsed_lines(path, strict=strict):
        if isinstance(line, dict) and _is_ours(line):
            ours += 1
            yield line
        elif line is not TORN:
            others += 1
    if others and not ours and strict:
        raise InputError(f"{path} holds nothing that this command writes: choose another folder, or move the file away")


def _is_ours(line: dict[str, Any]) -> bool:
    texts = isinstance(line.get("image"), str) and isinstance(line.get("claim", ""), str)
    return texts and isinstance(line.get("asked"), dict)


TORN = object()  # a line that a killed run left unfinished


def _parsed_lines(path: Path, *, strict: bool) -> Iterator[Any]:
    if not os.path.lexists(path):
        return
    if is_link(path) or not is_file(path):
        if strict:
            raise InputError(f"{path} is no regular file, which lines are added to: choose another folder, or move it away")
        return
    with open_regular(path) as file:
        while line := file.readline(LONGEST):
            if not line.strip():
                continue
            try:
                yield from_json(line)
            except ValueError:
                yield TORN if line.startswith(b'{"') else None


def _claims(path: Path) -> Iterator[dict[str, Any]]:
    for claim in _parsed_lines(path, strict=False):
        if isinstance(claim, dict) and isinstance(claim.get("claim"), str) and isinstance(claim.get("image"), str):
            files = claim.get("files")
            if isinstance(files, list) and all(isinstance(file, str) and "\0" not in file for file in files):
                yield claim


def _append(path: Path, value: object, *, settle: bool) -> None:
    """Add a line to a file, which is no link. Raises OutputError."""
    line = to_json(value).encode() + b"\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o644), "ab+") as file:  # noqa: PTH123
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read() == b"\n" else b"\n" + line  # what a killed run left unfinished
            file.write(line)
            file.flush()
            if settle:
                os.fsync(file.fileno())
