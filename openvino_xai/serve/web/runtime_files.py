"""The files of onnxruntime-web that a page loads, from a folder of npm's package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.files.paths import is_file, is_folder
from openvino_xai.files.reading import read_regular
from openvino_xai.json_text import from_json

PACKAGE = "onnxruntime-web"
CPU, GPU = "ort.wasm.min.mjs", "ort.webgpu.min.mjs"  # what the page imports
OLDEST = (1, 20)  # the first whose package has files of these names
LARGEST = 2**28  # bytes of a file
PARTS = re.compile(rb"ort-wasm[a-z0-9.-]*\.mjs")
INSTALL = f"`npm install {PACKAGE}` fetches it, and runtime node_modules/{PACKAGE} names it"
VERSION = re.compile(r"\d+\.\d+[\w.+-]*")


@dataclass(frozen=True)
class RuntimeFiles:
    """The bytes of files by their names; "" is the version of a folder that does not tell it."""

    version: str
    files: dict[str, bytes]

    @property
    def has_gpu(self) -> bool:
        """Whether WebGPU can be used."""
        return GPU in self.files

    @classmethod
    def of(cls, folder: Path) -> RuntimeFiles:
        """Those in a folder: of the package, its `dist`, or a project where it is installed. Raises InputError."""
        folder = _package(folder)
        dist = folder / "dist" if is_folder(folder / "dist") else folder
        if not is_file(dist / CPU):
            raise InputError(
                f"{folder} holds no {CPU}: a folder of npm's package {PACKAGE} is expected, or its dist; {INSTALL}",
                options=("runtime",),
            )
        files = _with_parts(dist, CPU)
        if is_file(dist / GPU):
            files |= _with_parts(dist, GPU)
        return cls(_version(dist.parent if dist.name == "dist" else dist), files)


def _package(folder: Path) -> Path:
    if not is_folder(folder):
        raise InputError(f"{folder} is no folder: one of npm's package {PACKAGE} is expected; {INSTALL}", options=("runtime",))
    for inner in (folder / "node_modules" / PACKAGE, folder / PACKAGE):
        if is_folder(inner):
            return inner
    return folder


def _with_parts(dist: Path, entry: str) -> dict[str, bytes]:
    """A script and what it loads: another one, and the WebAssembly of the same name."""
    script = read_regular(dist / entry, most=LARGEST)
    files = {entry: script}
    for name in sorted({match.decode() for match in PARTS.findall(script)}):
        for part in (name, name.removesuffix("mjs") + "wasm"):
            files[part] = read_regular(dist / part, most=LARGEST)
    return files


def _version(folder: Path) -> str:
    """The version that a package tells. Raises InputError for another package, and one that is too old."""
    path = folder / "package.json"
    if not is_file(path):
        return ""
    try:
        content = from_json(read_regular(path, most=LARGEST))
        name, version = content["name"], content["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} tells no name and version of a package: {INSTALL}", options=("runtime",)) from error
    if name != PACKAGE:
        raise InputError(f"{folder} is the package {quoted(name)}: {PACKAGE} is expected; {INSTALL}", options=("runtime",))
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise InputError(f"{path} tells the version {quoted(version)}: numbers are expected; {INSTALL}", options=("runtime",))
    if tuple(int(number) for number in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InputError(f"{PACKAGE} {version} is too old: {oldest} or newer is expected; {INSTALL}", options=("runtime",))
    return version
