"""Where hooked files run: `python scripts/runs_on.py --work FOLDER [--write]`.

The ONNX samples and the networks of tests/zoo are hooked, and the plain and the hooked files run on one image in OpenVINO, ONNX
Runtime (on the CPU, and by its OpenVINO provider), onnxruntime-web and onnxruntime-node, OpenCV's DNN module, MNN, tract and
ncnn. Each runtime has an environment in FOLDER, and files are read in processes of their own: a crash is an answer, too.
Held against each other are the file's own outputs with and without a hook in the same runtime, and the maps there and in ONNX
Runtime.

FOLDER/runs_on/ keeps what became of each file; what is there is not done again. `--write` puts the tables into
docs/measured/runs_on.md, between `<!-- table: runs_on -->` or `<!-- table: runs_on_files -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from rich.console import Console
from rich.progress import Progress
from side_by_side import environment
from studies.pages import versions, write

import openvino_xai as xai
from openvino_xai.errors import PlanError
from openvino_xai.render.photo import read_photo

Arrays: TypeAlias = Mapping[str, np.ndarray]
Results: TypeAlias = Mapping[tuple[str, str, str], dict[str, Any]]  # by network, hook and runtime

ROOT = Path(__file__).parents[1]
READER = Path(__file__).parent / "runtimes" / "reader.py"
PAGE = ROOT / "docs" / "measured" / "runs_on.md"
SECONDS = 300  # for one file in one runtime
FAR = 0.02  # of a map in [0, 1], where the plain file's outputs are CLOSE: 5 of 255, what nobody sees
CLOSE = 1e-3
RUNTIMES = {
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "onnxruntime_openvino": "... its OpenVINO provider",
    "onnxruntime-web": "onnxruntime-web",
    "onnxruntime-node": "onnxruntime-node",
    "opencv": "OpenCV DNN",
    "mnn": "MNN",
    "tract": "tract",
    "ncnn": "ncnn",
}
WORDS = {
    # what becomes of a hooked file, with the head of its column
    "runs": "hooked files that run",
    "other numbers": "run with other numbers",
    "fails": "fail where the plain file runs",
    "crashes": "crash",
    "plain fails": "the plain file fails, too",
    "plain differs": "the plain file has other numbers, too",
    "hooked alone": "only the plain file fails",
}
OURS = ("openvino", "onnxruntime", "opencv")  # in the environment of this project
OF_NODE = ("onnxruntime-web", "onnxruntime-node")
HOOKS: dict[str, dict[str, Any]] = {
    "all classes": {},
    "top class, bytes": {"targets": "top:1", "scale": "u8"},
    "gradients": {"method": "grad_cam"},
    "all classes, portable": {"portable": True},
    "top class, portable": {"targets": "top:1", "portable": True},
    "gradients, portable": {"method": "grad_cam", "portable": True},
}
BOX_HOOKS: dict[str, dict[str, Any]] = {
    "boxes, gradients": {"targets": "boxes:4"},
    "boxes, masks": {"targets": "boxes:4", "method": "reciprocam", "cut": "heads"},
    "map of each class": {"method": "class_map"},
    "map of each class, portable": {"method": "class_map", "portable": True},
}
SAMPLES = {
    "efficientnet_lite0_int8.onnx": ("images/cat.png", HOOKS),
    "ultraface_rfb320.onnx": ("faces/astronaut.png", BOX_HOOKS),
}


@dataclass(frozen=True)
class File:
    """A network as it is ("plain") or hooked, and what it is fed."""

    network: str
    hook: str
    path: Path
    inputs: Path

    @property
    def key(self) -> str:
        """What tells it from other files, and from itself with another content."""
        digest = hashlib.sha256(self.path.read_bytes() + self.inputs.read_bytes()).hexdigest()[:12]
        return f"{self.path.stem}_{digest}"

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return [output.name for output in onnx.load(self.path, load_external_data=False).graph.output]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for environments, files and results")
    parser.add_argument("--only", help="beginnings of names of networks, with commas between")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), help="with commas between")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/measured/runs_on.md")
    arguments = parser.parse_args()
    chosen = arguments.runtimes.split(",")
    if unknown := [name for name in chosen if name not in RUNTIMES]:
        parser.error(f"runtime {unknown[0]!r} is not known: any of {', '.join(RUNTIMES)}")
    for folder in ("files", "runs_on"):
        (arguments.work / folder).mkdir(parents=True, exist_ok=True)
    if {"onnxruntime", "openvino"} - set(chosen):
        parser.error("onnxruntime and openvino are what others are held to: name both")
    names = tuple(arguments.only.split(",")) if arguments.only else ("",)
    files = list(files_in(arguments.work, names))
    results: dict[tuple[str, str, str], dict[str, Any]] = {}
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("running", total=len(files) * len(chosen))
        for network, group in groupby(files, key=lambda file: file.network):
            same = list(group)
            for runtime in chosen:
                bar.update(task, description=f"{network}: {runtime}")
                for file, report in zip(same, run_all(arguments.work, same, runtime), strict=True):
                    results[network, file.hook, runtime] = report
                bar.advance(task, len(same))
    tables = {"runs_on": overview(results, chosen), "runs_on_files": page(results, chosen)}
    print("\n\n".join(tables.values()))
    if arguments.write:
        write(tables, [PAGE])


def files_in(work: Path, names: tuple[str, ...]) -> Iterator[File]:
    """The plain and the hooked files of networks with these beginnings of names, hooked anew."""
    for model in [*(ROOT / "samples/models" / name for name in SAMPLES), *sorted((ROOT / "tests/zoo").glob("*.onnx"))]:
        if not model.name.startswith(names):
            continue
        photo, hooks = SAMPLES.get(model.name, (None, HOOKS))
        plain = File(model.stem, "plain", work / "files" / model.name, work / "files" / f"{model.stem}.npz")
        shutil.copy(model, plain.path)
        hooked = []
        for hook, options in hooks.items():
            path = work / "files" / f"{model.stem}_{re.sub('[^a-z]+', '_', hook)}.onnx"
            try:
                xai.insert(plain.path, **options).save(path, force=True)
            except PlanError as error:
                print(f"{model.stem}, {hook}: {error}", file=sys.stderr)
                continue
            hooked.append(File(model.stem, hook, path, plain.inputs))
        np.savez(plain.inputs, **fed(hooked[0].path, photo))
        yield from (plain, *hooked)


def fed(hooked: Path, photo: str | None) -> Arrays:
    """What a network is fed: a photo as the model expects it, or noise where it was trained on none."""
    graph = onnx.load(hooked, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    (image,) = (value for value in graph.input if value.name not in weights)
    if photo is None:
        shape = [size.dim_value or 1 for size in image.type.tensor_type.shape.dim]
        return {image.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    return {image.name: np.asarray(xai.load(hooked).prepare(read_photo(ROOT / "samples" / photo)), np.float32)}


def run_all(work: Path, files: Sequence[File], runtime: str) -> list[dict[str, Any]]:
    """What became of each file in a runtime; `outputs` is a file with what it returned. What is there is not done again."""
    caches = {file: work / "runs_on" / f"{file.key}_{runtime}.json" for file in files}
    left = [file for file in files if not caches[file].exists()]
    while left:
        reports = (read_by_node if runtime in OF_NODE else read_by_python)(work, left, runtime)
        for file, report in zip(left, reports, strict=False):
            text = json.dumps({**report, "outputs": str(caches[file].with_suffix(".npz"))})
            caches[file].write_text(text, encoding="utf-8")
        left = left[len(reports) :]
    return [json.loads(cache.read_text(encoding="utf-8")) for cache in caches.values()]


@cache
def interpreter(work: Path, runtime: str) -> Path:
    """The Python that has a runtime."""
    return Path(sys.executable) if runtime in OURS else environment(work, runtime)


def read_by_python(work: Path, files: Sequence[File], runtime: str) -> list[dict[str, Any]]:
    jobs = [
        {
            "model": str(file.path.resolve()),
            "inputs": str(file.inputs.resolve()),
            "outputs": str((work / "runs_on" / f"{file.key}_{runtime}.npz").resolve()),
            "names": file.outputs,
        }
        for file in files
    ]
    return reports_of([interpreter(work, runtime), READER, runtime], jobs, work)


@cache
def node_folder(work: Path) -> Path:
    """A folder with node's packages."""
    folder = work / "node"
    folder.mkdir(exist_ok=True)
    if not (folder / "node_modules" / OF_NODE[-1]).exists():
        (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", *OF_NODE], cwd=folder, check=True)
    shutil.copy(Path(__file__).parent / "web" / "outputs.mjs", folder)
    return folder


def read_by_node(work: Path, files: Sequence[File], runtime: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        jobs = []
        for place, file in enumerate(files):
            folder, inputs = Path(name, str(place)), {}
            folder.mkdir()
            for number, (key, array) in enumerate(np.load(file.inputs).items()):
                raw = folder / f"input_{number}.bin"
                array.tofile(raw)
                inputs[key] = {"type": str(array.dtype), "shape": array.shape, "file": str(raw)}
            jobs.append({"model": str(file.path.resolve()), "inputs": inputs, "folder": str(folder)})
        reports = reports_of(["node", "outputs.mjs", runtime], jobs, node_folder(work))
        for place, (file, report) in enumerate(zip(files, reports, strict=False)):
            arrays = {
                key: np.fromfile(Path(name, str(place), f"{number}.bin"), output["type"]).reshape(output["shape"])
                for number, (key, output) in enumerate(report.pop("outputs", {}).items())
            }
            if arrays:
                np.savez(work / "runs_on" / f"{file.key}_{runtime}.npz", **arrays)
    return reports


def reports_of(command: Sequence[str | Path], jobs: Sequence[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What a process says of files, up to the one that ends it, of which is told how."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as listing:
        listing.write(json.dumps(jobs))
        listing.flush()
        try:
            done = subprocess.run(
                [*command, listing.name], capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder
            )
            output, code, errors = done.stdout, done.returncode, done.stderr
        except subprocess.TimeoutExpired as error:
            output, code, errors = (error.stdout or b"").decode(), None, ""
    reports = [json.loads(line) for line in output.splitlines() if line.startswith('{"version"')]
    if len(reports) < len(jobs):
        why = f"not done after {SECONDS} s" if code is None else f"exit {code} {errors.strip()[-300:]}"
        reports.append({"failed": why, "stage": "crash"})
    return reports


@dataclass(frozen=True)
class Comparison:
    """A hooked file in a runtime: its own outputs beside the plain file's there, and its maps beside ONNX Runtime's.

    `outputs` is the largest difference, None where the plain file does not run; `beside` how far the plain file's outputs there
    are from ONNX Runtime's, of the largest of these; `maps` the largest difference of maps in [0, 1].
    """

    same_bits: bool
    outputs: float | None
    beside: float
    maps: float


def compared(plain: Mapping[str, Any], hooked: Mapping[str, Any], reference: Mapping[str, Any], *, of_all: bool) -> Comparison:
    """How a hooked file does in a runtime, of what became of the files; `of_all` is whether maps are of all classes in turn."""
    there, expected = (dict(np.load(report["outputs"])) for report in (hooked, reference))
    before = None if "failed" in plain else dict(np.load(plain["outputs"]))
    names = [name for name in expected if not name.startswith("saliency_")]
    laid = {name: shaped(there[name], expected[name]) for name in expected}
    before = None if before is None else {name: shaped(before[name], expected[name]) for name in names}
    maps = [array["saliency_map"].astype(np.float64) for array in (laid, expected)]
    if of_all:  # of an improbable class a map in [0, 1] is rounding enlarged: the most probable one's counts
        best = int(expected[names[0]].reshape(-1).argmax())
        maps = [array[:, best] for array in maps]
    of_bytes = 255 if expected["saliency_map"].dtype == np.uint8 else 1
    basis = laid if before is None else before
    return Comparison(
        same_bits=before is not None and all(np.array_equal(laid[name], before[name]) for name in names),
        outputs=None if before is None else max(apart(laid[name], before[name]) for name in names),
        beside=max(apart(basis[name], expected[name]) / max(float(np.abs(expected[name]).max()), 1e-30) for name in names),
        maps=apart(*maps) / of_bytes,
    )


def shaped(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """An array in the shape that it has in ONNX Runtime, from which it may lack axes of 1; as it is where it holds others."""
    return array.reshape(like.shape) if array.size == like.size else array


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference; infinite where shapes differ or one is no number."""
    if a.shape != b.shape:
        return np.inf
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0)
    return np.inf if np.isnan(difference) else float(difference)


def verdict(results: Results, network: str, hook: str, runtime: str) -> tuple[str, str]:
    """What became of a hooked file in a runtime, as a word that is counted, and as the text of a cell."""
    plain, hooked = (results[network, which, runtime] for which in ("plain", hook))
    if "failed" in hooked and "failed" in plain:
        return "plain fails", "plain file, too"
    if "failed" in hooked:
        word = "crashes" if hooked["stage"] == "crash" else "fails"
        return word, f"**{word}**: {reason(hooked['failed'])}"
    result, settled = (comparison(results, network, hook, name) for name in (runtime, "openvino"))
    outputs = "same bits" if result.same_bits else "" if result.outputs is None else f"{result.outputs:.0e}"
    maps = "0" if result.maps == 0 else f"{result.maps:.0e}"
    if result.outputs is None:
        return "hooked alone", f"plain file fails; {result.beside:.0e} of the outputs; {maps}"
    if result.beside > CLOSE:
        return "plain differs", f"{outputs}; plain file {result.beside:.0e} apart; {maps}"
    # OpenVINO verifies hooks, too: where it is as far from ONNX Runtime, a map hardly varies, and is rounding enlarged
    if result.outputs > CLOSE or result.maps > max(FAR, 2 * settled.maps):
        return "other numbers", f"**other numbers**: {outputs}; {maps}"
    return "runs", f"{outputs}; {maps}"


def comparison(results: Results, network: str, hook: str, runtime: str) -> Comparison:
    plain, hooked = (results[network, which, runtime] for which in ("plain", hook))
    return compared(plain, hooked, results[network, hook, "onnxruntime"], of_all="all classes" in hook)


def reason(text: str) -> str:
    """Why a file is not read, in a few words that fit into a cell."""
    words = re.sub(r"\s+", " ", text.replace("|", "/").replace("`", "'")).strip()
    return words if len(words) <= 120 else f"... {words[-120:].partition(' ')[2]}"


def overview(results: Results, runtimes: Sequence[str]) -> str:
    """Markdown: a line a runtime."""
    hooked = sorted({(network, hook) for network, hook, _ in results if hook != "plain"})
    mended = "of those that fail, crash or have other numbers: run with --portable"
    heads = ["runtime", "version", *WORDS.values(), mended, "own outputs as the plain file's, to the bit"]
    lines = [
        f"{len(hooked)} hooked files of {len({network for network, _ in hooked})} networks. {versions()}.",
        "",
        f"| {' | '.join(heads)} |",
        "| --- " * len(heads) + "|",
    ]
    for runtime in runtimes:
        verdicts = [verdict(results, network, hook, runtime) for network, hook in hooked]
        version = next((r["version"] for (_, _, name), r in results.items() if name == runtime and "version" in r), "")
        counts = [sum(word == which for which, _ in verdicts) for word in WORDS]
        same = sum("same bits" in text for _, text in verdicts)
        better = sum(
            word in ("other numbers", "fails", "crashes") and verdict(results, network, form, runtime)[0] == "runs"
            for (word, _), (network, hook) in zip(verdicts, hooked, strict=True)
            if (network, form := portable_form(hook)) in hooked and form != hook
        )
        lines.append(f"| {RUNTIMES[runtime]} | {version} | " + " | ".join(map(str, [*counts, better, same])) + " |")
    return "\n".join(lines)


def portable_form(hook: str) -> str:
    """The hook that has the same maps, and is portable."""
    return f"{hook.removesuffix(', portable').removesuffix(', bytes')}, portable"


def page(results: Results, runtimes: Sequence[str]) -> str:
    """Markdown: a line a hooked file."""
    hooked = list(dict.fromkeys((network, hook) for network, hook, _ in results if hook != "plain"))
    lines = ["| network | hook | " + " | ".join(RUNTIMES[runtime] for runtime in runtimes) + " |"]
    lines.append("| --- " * (len(runtimes) + 2) + "|")
    for network, hook in hooked:
        cells = [verdict(results, network, hook, runtime)[1] for runtime in runtimes]
        lines.append(f"| {network} | {hook} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
