"""The record of runs into one folder: a line for each image that is done, and the image that each file belongs to."""

from __future__ import annotations

import os
import re
import secrets
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists, is_file, is_folder, is_link
from openvino_xai.files.reading import open_regular
from openvino_xai.files.writing import settle, writing
from openvino_xai.json_text import from_json, to_json
from openvino_xai.runtime.sources import digest_of

LONGEST = 2**24  # bytes of a line
NAME = 255  # bytes of a file's name, which file systems allow
SECONDS = 1  # for which a line may not be on the disk yet: after a power failure its image is explained again
CLAIMS = ".ovxai.claims"  # beside the lines: what a run is about to write, so that a killed run's files are known as ours
CHECK = "check"  # of a line: the digest of all else in it
# conditions that are no part of a question: a newer version answers it anew, and a report asks for more classes
BESIDE = ("ovxai", "report")

# who files belong to: an image, and the question that was asked about it
Owner: TypeAlias = tuple[str, str]

HERE = Path()


@dataclass(frozen=True)
class Manifest:
    """The lines of a JSONL file, one for each image that is done, of runs under the same `conditions`.

    A line is overlooked that is not as it was written, that a killed run left unfinished, of which a file is gone or is
    another's now, or whose image was another one: `sources` tells for each image what must not have changed. Files belong to an
    image and a question: what was asked under other conditions, as of another model, keeps its files.
    """

    path: Path
    conditions: Mapping[str, Any]
    sources: Mapping[str, Any]
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    _owners: dict[str, Owner] = field(default_factory=dict)  # by the names of files
    _pending: set[str] = field(default_factory=set)  # claims of which no line tells the outcome
    _names: dict[Owner, str] = field(default_factory=dict)  # of files, as they were called last
    _namesakes: dict[str, Owner] = field(default_factory=dict)  # by these names
    _counts: dict[str, int] = field(default_factory=dict)  # by stems, the last number that was taken
    _unsettled: list[float] = field(default_factory=list)  # when lines were added that are not on the disk yet

    @classmethod
    def read(cls, path: Path, conditions: Mapping[str, Any], sources: Mapping[str, Any]) -> Manifest:
        """The manifest at a path, which need not be there. Raises InputError where something else is there."""
        manifest = cls(path, from_json(to_json(dict(conditions))), from_json(to_json(dict(sources))))
        last: dict[str, str] = {}  # the claim of the line that wrote a file last
        lines = []
        for line in _lines(path):
            files, owner = _names_in(line), (line["image"], _question(line["asked"]))
            last |= dict.fromkeys(files, line.get("claim", ""))
            manifest._owners.update(dict.fromkeys(files, owner))
            if isinstance(name := line.get("name"), str):
                manifest._names[owner] = name
                manifest._namesakes[_key(name)] = owner
            lines.append((line, files))
        settled = {line.get("claim") for line, _ in lines}
        for claim in _claims(path.with_name(CLAIMS)):
            if claim["claim"] not in settled:
                manifest._pending.add(claim["claim"])
                last |= dict.fromkeys(map(_key, claim["files"]), claim["claim"])
                manifest._owners.update(dict.fromkeys(map(_key, claim["files"]), (claim["image"], claim["question"])))
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

    def name(self, image: str, stem: str, endings: Sequence[str], *, place: Path = HERE) -> tuple[str, str]:
        """A name for an image's files, its stem or a numbered one in a `place` below the folder; the claim that has them now.

        No other image's files are called so, nor those of another question about it, whether or not a file system tells
        capitals apart, nor any that no run here wrote. A place that a link or a file is in the way of is not used.
        """
        owner = (image, _question(self.conditions))
        most = NAME - max(len(os.fsencode(ending)) for ending in endings) - len("-999999")
        folder = self._folder(place)
        for name in self._candidates(owner, folder, _plain(stem, most), most):
            files = [name + ending for ending in endings]
            if self._namesakes.get(_key(name), owner) == owner and all(self._is_free(file, owner) for file in files):
                break
        claim = secrets.token_hex(8)
        entry = {"claim": claim, "image": image, "question": owner[1], "files": files}
        _append(self.path.with_name(CLAIMS), entry, settle=False)
        self._owners.update(dict.fromkeys(map(_key, files), owner))
        self._namesakes[_key(name)] = owner
        self._pending.add(claim)
        return name, claim

    def _folder(self, place: Path) -> str:
        """A place as the beginning of names, "" where something else than a folder is on the way to it."""
        parts = [_plain(part, NAME) for part in place.parts if part not in ("", ".", "..")]
        folders = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        steps = [self.path.parent / folder for folder in folders]
        if any(is_link(step) or (exists(step) and not is_folder(step)) for step in steps):
            return ""
        return f"{folders[-1]}/" if folders else ""

    def _candidates(self, owner: Owner, folder: str, stem: str, most: int) -> Iterator[str]:
        before = PurePosixPath(self._names.get(owner, ""))
        if before.name and self._folder(Path(before.parent)) == folder:
            yield folder + _plain(before.name, most)
        yield folder + stem
        for number in count(self._counts.get(folder + stem, 2)):
            self._counts[folder + stem] = number
            yield f"{folder}{stem}-{number}"

    def _is_free(self, file: str, owner: Owner) -> bool:
        place, other = self.path.parent / file, self._owners.get(_key(file))
        return not os.path.lexists(place) if other is None else other == owner and not is_folder(place)

    @property
    def others(self) -> int:
        """How many questions were asked here under other conditions, whose files stay."""
        return len({question for _, question in self._owners.values()} - {_question(self.conditions)})

    def add(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """One more line, on the disk when this returns, or with one of the next second, or by `settle`. Raises OutputError."""
        line = {**entry, "asked": dict(self.conditions)}
        line[CHECK] = digest_of(line)
        self._unsettled.append(time.monotonic())
        settle = self._unsettled[-1] - self._unsettled[0] >= SECONDS
        _append(self.path, line, settle=settle)
        if settle:
            self._unsettled.clear()
        self._pending.discard(line.get("claim", ""))
        self.done[line["image"]] = line
        return line

    def settle(self) -> None:
        """Have all lines on the disk, and forget what was claimed, where they tell of all of it. Raises OutputError."""
        if self._unsettled:
            with writing(self.path):
                settle(self.path)
            self._unsettled.clear()
        if not self._pending:
            self.path.with_name(CLAIMS).unlink(missing_ok=True)


def _plain(stem: str, most: int) -> str:
    return shortened(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff/\\]", "_", stem), most)


def shortened(name: str, most: int) -> str:
    """The beginning of a name that takes at most so many bytes in a file system."""
    return name.encode(errors="replace")[:most].decode(errors="ignore") if len(os.fsencode(name)) > most else name


def products(folder: Path) -> frozenset[str]:
    """The names of files, as a file system that ignores capitals tells them apart, that runs wrote into a folder."""
    names = [name for line in _lines(folder / "explanations.jsonl", strict=False) for name in _names_in(line)]
    return frozenset([*names, *(_key(file) for claim in _claims(folder / CLAIMS) for file in claim["files"])])


def is_product(path: Path, names: frozenset[str]) -> bool:
    """Whether a file, by its path in a folder, is among the `products` of that."""
    return _key(path.as_posix()) in names


def _key(file: str) -> str:
    """A name in the manifest's folder, as a file system that ignores capitals tells it apart."""
    return unicodedata.normalize("NFC", file).casefold()


def _names_in(line: Mapping[str, Any]) -> list[str]:
    """The names of a line's files in the manifest's folder, which may have been called otherwise when they were written."""
    name = line.get("name")
    depth = name.count("/") + 1 if isinstance(name, str) else 1
    return [_key("/".join(Path(file).parts[-depth:])) for file in _files(line)]


def _question(conditions: Mapping[str, Any]) -> str:
    """A digest of what is asked: other answers to it take the place of those before."""
    return digest_of({name: value for name, value in conditions.items() if name not in BESIDE})


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
                question = claim.get("question")
                yield {**claim, "question": question if isinstance(question, str) else ""}


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
