"""What becomes of a case: refused, accepted, or one of the things that must not happen."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import traceback
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hostile_files import models, photos, records, served
from hostile_files.traps import SECRET
from hostile_files.watch import MARKS, Watch, canary, leaked

METHODS = (None, None, "grad_cam", "fd_cam")  # None is the default
KINDS = [*models.KINDS * 4, *[*photos.KINDS, *records.KINDS, *served.KINDS] * 2]
TELEMETRY = ".ses"  # what ONNX Runtime leaves in the temporary folder, whatever it runs
WRITTEN = ("in/hooked.onnx", "in/hooked.onnx.data", "in/hooked.xml", "in/hooked.bin")
OUTPUTS = ("in/out", "in/measured", "in/parts", "in/new")
COMMANDS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")  # bytes that command a terminal
BAD = (
    "campaign fails",
    "exception",
    "died",
    "hang",
    "wrong bits",
    "wrong maps",
    "left",
    "touched",
    "leaked",
    "terminal",
    "injected",
)


@dataclass
class Outcome:
    """What became of a case; `where` is the line of ours that an exception went through."""

    name: str
    what: str = ""
    where: str = ""
    also: list[str] = field(default_factory=list)
    trace: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether it must not happen."""
        return self.name in BAD or bool(self.also)

    def row(self, index: int, kind: str) -> dict[str, Any]:
        """As a line of the results."""
        return {"index": index, "kind": kind, "bad": self.is_bad, **asdict(self)}


def run_case(index: int, seed: int, work: Path, kinds: list[str], tell: Callable[[str], None]) -> dict[str, Any]:
    """Make a case, let the package loose on it, and look at what is there afterwards."""
    rng = random.Random(f"{seed}/{index}")
    kind = kinds[index % len(kinds)]
    tell(kind)
    root = work / "case" / str(index)
    os.chdir(work)
    shutil.rmtree(root, ignore_errors=True)
    secret = Path(os.environ["HOSTILE_SECRET"])
    secret.write_bytes(SECRET)
    canary(root / "canary")
    case_class = ModelCase if kind in models.KINDS else ServedCase if kind in served.KINDS else CommandCase
    case = case_class.drawn(kind, rng, root, work)
    os.chdir(root / "in")
    for output in (os.environ["HOSTILE_OUTPUT"], root / "output"):
        Path(output).write_bytes(b"")
    watch, scratch = Watch.of(root), Path(os.environ["TMPDIR"])
    outcome = case.outcome()
    outcome.also += watch.differences(lambda name: case.allows(name, outcome))
    outcome.also += [f"left: {item.name}" for item in scratch.iterdir() if item.name != TELEMETRY]
    outcome.also += [f"leaked: {name}" for name in leaked([path for path in case.written() if not path.is_symlink()])]
    printed = Path(os.environ["HOSTILE_OUTPUT"]).read_bytes()
    if any(mark in printed for mark in MARKS):
        outcome.also.append("leaked: printed")
    if command := COMMANDS.search(printed):
        outcome.also.append(f"terminal: {printed[max(0, command.start() - 60) : command.end() + 20]!r}")
    if secret.read_bytes() != SECRET:
        outcome.also.append("touched: the secret")
    for item in scratch.iterdir():
        shutil.rmtree(item, ignore_errors=True)
    return outcome.row(index, kind)


def _tried(command: list[str], action: Callable[[], Outcome] | None = None) -> Outcome:
    """What becomes of a command, and of an action behind it."""
    import typer

    from openvino_xai import OvxaiError
    from openvino_xai.cli.app import app, main

    usage = typer.BadParameter.__mro__[2]  # typer carries, or imports, a click that has it
    try:
        status = app(command, standalone_mode=False)
        sys.stdout.flush()
        return (
            action()
            if action is not None
            else Outcome("refused" if status else "accepted", "some are skipped" if status else "")
        )
    except OvxaiError as error:
        refused = Outcome("refused", type(error).__name__)
    except MemoryError:
        return Outcome("refused", "MemoryError")  # which the command line tells as an error, too
    except usage as error:
        refused = Outcome("refused", type(error).__name__)
    except BaseException as error:  # what this campaign looks for
        return _exception(error)
    if action is None or zlib.crc32(command[-1].encode()) % 8 == 0:  # what the command line says of it
        sys.argv = ["ovxai", *command]
        try:
            main()
        except SystemExit as end:
            if end.code not in (0, 1, 2):
                refused.also.append(f"status: {end.code}")
    return refused


@dataclass(frozen=True)
class ModelCase:
    """A model whose layers are listed, and that gets a hook, verified, and is written."""

    path: Path
    method: str | None
    force: bool
    more: list[str]

    @classmethod
    def drawn(cls, kind: str, rng: random.Random, root: Path, work: Path) -> ModelCase:
        """A case of a kind; now and then something stands where the hooked model goes."""
        path = models.make_model(kind, rng, root / "in", work / "seeds")
        target = path.with_name(f"hooked{path.suffix}")
        choice = rng.randrange(20)
        if choice == 0:
            target.symlink_to("../canary/photos/model.onnx")
        elif choice == 1:
            os.link(root / "canary" / "script", target)
        elif choice == 2:
            target.write_bytes(b"an older one")
        elif choice == 3 and path.suffix == ".xml":
            target.with_suffix(".bin").symlink_to("../canary/private")
        return cls(path, rng.choice(METHODS), rng.random() < 0.7, rng.choice([[], ["--json"]]))

    def outcome(self) -> Outcome:
        """What becomes of it."""
        return _tried(["layers", "--model", str(self.path), *self.more], self._hooked)

    def _hooked(self) -> Outcome:
        from openvino_xai import insert

        target = self.path.with_name(f"hooked{self.path.suffix}")
        insert(self.path, method=self.method).save(target, force=self.force)
        return _compared(self.path, target)

    def allows(self, name: str, outcome: Outcome) -> bool:
        """Whether a path may be new, or another file than before."""
        return name in WRITTEN and outcome.name not in ("refused", "exception")

    def written(self) -> list[Path]:
        """The files that may have been written."""
        return [self.path.parent.parent / name for name in WRITTEN]


@dataclass(frozen=True)
class CommandCase:
    """Photos, and records of runs before, in a folder where a command runs."""

    folder: Path
    command: list[str]
    anywhere: bool

    @classmethod
    def drawn(cls, kind: str, rng: random.Random, root: Path, work: Path) -> CommandCase:
        """A case of a kind."""
        folder, template = root / "in", work / "template"
        if kind in records.KINDS:
            command = records.make_records(kind, rng, folder, template)
        else:
            folder.mkdir()
            shutil.copy(template / "model.onnx", folder)
            photos.make_photos(kind, rng, folder / "photos")
            more = rng.choice([["--output", "out"], ["--output", "out", "--report", "out/report.html"]])
            command = ["explain", "--input", "photos", *more]
            if rng.random() < 0.3:
                command = ["evaluate", "--input", "photos", "--metric", "complexity", "--output", "out"]
        if "--model" not in command:
            command += ["--model", "model.onnx"]
        return cls(folder, command, "patterns" in kind)

    def outcome(self) -> Outcome:
        """What becomes of it: accepted where every file that was written is whole."""
        outcome = _tried(self.command)
        for path in self.written():
            if path.suffix == ".html" and b"<script>alert(1)" in path.read_bytes():
                outcome.also.append("injected: the report")
            if path.suffix == ".npy" and path.read_bytes()[:6] == b"\x93NUMPY" and not np.isfinite(np.load(path)).all():
                return Outcome("wrong maps", path.name)
        return outcome

    def allows(self, name: str, outcome: Outcome) -> bool:
        """Whether a path may be new, or another file than before."""
        inside = name.startswith("in/") and not name.startswith(("in/photos", "in/model.onnx"))
        new = self.anywhere and name.startswith("in/photos/") and name not in ("in/photos/a.png", "in/photos/b.png")
        return (
            name.startswith(("in/out/", "in/measured/", "in/parts/", "in/new/"))
            or name in OUTPUTS
            or (self.anywhere and inside)
            or new
        )

    def written(self) -> list[Path]:
        """The files that may have been written."""
        return [
            path
            for name in OUTPUTS
            for path in (self.folder.parent / name).rglob("*")
            if path.is_file() and not path.is_symlink()
        ]


@dataclass(frozen=True)
class ServedCase:
    """A hooked model that is exported for a server."""

    folder: Path
    command: list[str]

    @classmethod
    def drawn(cls, kind: str, rng: random.Random, root: Path, work: Path) -> ServedCase:
        """A case of a kind."""
        return cls(root / "in", served.make_served(kind, rng, root / "in", work / "template"))

    def outcome(self) -> Outcome:
        """What becomes of it: accepted where all that was written is read back."""
        outcome = _tried(self.command)
        if outcome.name == "accepted":
            outcome.also += served.faults(self.folder / "served")
        return outcome

    def allows(self, name: str, outcome: Outcome) -> bool:
        """Whether a path may be new."""
        return outcome.name == "accepted" and (name == served.OUTPUT or name.startswith(f"{served.OUTPUT}/"))

    def written(self) -> list[Path]:
        """The files that may have been written."""
        return [path for path in (self.folder / "served").rglob("*") if path.is_file() and not path.is_symlink()]


def _exception(error: BaseException) -> Outcome:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/openvino_xai/" in frame.filename]
    where = f"openvino_xai/{ours[-1].filename.rpartition('/openvino_xai/')[2]}:{ours[-1].lineno}" if ours else "outside"
    trace = "".join(traceback.format_exception(error))
    return Outcome("exception", f"{type(error).__name__}: {str(error)[:200]}", where, trace=trace[-4000:])


def _compared(path: Path, target: Path) -> Outcome:
    """The plain file and the hooked one, each in a session of the runtime that knows nothing of this package."""
    session = {".onnx": _in_onnxruntime, ".xml": _in_openvino}[path.suffix]
    try:
        run, inputs = session(path)
    except Exception as error:  # whatever a runtime says of a file of ours
        return Outcome("accepted, plain file fails", f"{type(error).__name__}: {str(error)[:200]}")
    try:
        run_hooked, _ = session(target)
    except Exception as error:
        return Outcome("wrong bits", f"the hooked file does not load: {type(error).__name__}: {str(error)[:200]}")
    for seed in range(2):
        arrays = _random(inputs, seed)
        try:
            plain = run(arrays)
        except Exception as error:
            return Outcome("accepted, plain file fails", f"{type(error).__name__}: {str(error)[:200]}")
        try:
            hooked = run_hooked(arrays)
        except Exception as error:
            return Outcome("wrong bits", f"the hooked model does not run: {type(error).__name__}: {str(error)[:200]}")
        for place, (name, array) in enumerate(plain):
            other = hooked[place][1]
            nan = array.dtype.kind == "f"
            if hooked[place][0] != name or array.dtype != other.dtype or not np.array_equal(array, other, equal_nan=nan):
                return Outcome("wrong bits", f"output {place} {name[:80]!r}")
        maps = dict(hooked).get("saliency_map")
        if not all(np.isfinite(array).all() for _, array in plain if array.dtype.kind == "f"):
            continue  # where scores are none, maps are none
        if maps is None or maps.ndim != 4 or not np.isfinite(maps).all() or maps.min() < 0 or maps.max() > 1:
            return Outcome("wrong maps", "no maps" if maps is None else f"{maps.shape}, {maps.min()} to {maps.max()}")
    return Outcome("accepted")


Arrays = list[tuple[str, np.ndarray]]
Run = Callable[[list[np.ndarray]], Arrays]


def _in_onnxruntime(path: Path) -> tuple[Run, list[tuple[list[int], Any]]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), [item.name for item in session.get_outputs()]
    types = {
        "float": "f4",
        "float16": "f2",
        "double": "f8",
        "bool": "?",
        "int64": "i8",
        "int32": "i4",
        "uint8": "u1",
        "int8": "i1",
    }

    def run(arrays: list[np.ndarray]) -> Arrays:
        feed = {item.name: array for item, array in zip(inputs, arrays, strict=False)}
        return list(zip(outputs, session.run(None, feed), strict=True))

    kinds = [types[item.type.removeprefix("tensor(").removesuffix(")")] for item in inputs]
    return run, [
        ([size if isinstance(size, int) else 0 for size in item.shape], k) for item, k in zip(inputs, kinds, strict=True)
    ]


def _in_openvino(path: Path) -> tuple[Run, list[tuple[list[int], Any]]]:
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [min(port.get_names(), default="") for port in compiled.outputs]
    for place, port in enumerate(compiled.outputs):
        if "saliency_map" in port.get_names():
            names[place] = "saliency_map"

    def run(arrays: list[np.ndarray]) -> Arrays:
        results = compiled(arrays[: len(compiled.inputs)])
        return [(name, np.array(results[place])) for place, name in enumerate(names)]

    inputs = [
        ([size.get_length() if size.is_static else 0 for size in port.partial_shape], port.get_element_type().to_dtype())
        for port in compiled.inputs
    ]
    return run, inputs


def _random(inputs: list[tuple[list[int], Any]], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = []
    for shape, dtype in inputs:
        sizes = [size or (2 if axis == 0 else 16) for axis, size in enumerate(shape)]
        dtype = np.dtype(dtype)
        if dtype.kind == "f":
            arrays.append((rng.normal(0, 1 + 9 * seed, sizes)).astype(dtype))
        else:
            arrays.append(rng.integers(0, 2, sizes).astype(dtype))
    return arrays


__all__ = ["BAD", "KINDS", "WRITTEN", "Outcome", "run_case"]
