"""Hooks on a GPU: are outputs and maps right there, and what do they cost? One table, in under ten minutes.

    python scripts/gpu.py --provider CUDAExecutionProvider --output gpu.md
    python scripts/gpu.py --device GPU --model model.xml

Of each file, in each place, it compares the hooked file with the plain one there (in f32 to the bit; in f16 it tells), the maps
with those on a CPU (to 1e-4), and times both in turn. A place that is not there is refused, and so is one that ran elsewhere:
a provider that fell back, nodes that ran on the CPU, a device that stood for another. Beside ResNet-50 it times Grad-CAM and
Score-CAM in PyTorch, where that is installed. On a CPU it rehearses: --provider CPUExecutionProvider, --device CPU.

The exit status is 0 where all is right or told, 1 where something is wrong, and 2 where something is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # f32 is f32: TF32 has 10 bits of 23; read when CUDA's libraries are loaded

import numpy as np
from accelerators.places import Device, Place, Provider, Unavailable
from accelerators.resnet import weights, write_resnet
from accelerators.rows import HEADS, Row, case_of, cell_text, row_of
from studies.pages import brief, grid, versions

from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.files.writing import check_output, written_whole

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "samples" / "models"
PHOTOS = (
    ROOT / "samples/faces/astronaut.png",
    *(ROOT / "samples/images" / name for name in ("cat.png", "coffee.png", "rocket.jpg")),
)
RESNET = "ResNet-50, seeded"
MOST_SECONDS = 8.0  # of timing a line
PAPER = {"plain": "", "hooked": "1", "Grad-CAM": "1.16", "Score-CAM": "147.80"}  # Byun and Lee, 2022, table 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    start = time.monotonic()
    try:
        places = places_of(options)
        if options.output is not None:
            check_output(options.output)
        for place in places:
            for path in options.model:
                place.model(path, "f32")  # what does not run there is refused before anything is measured
        return measured(options, places, start + 60 * options.minutes)
    except OvxaiError as error:
        print(f"gpu.py: {cell_text(str(error))}", file=sys.stderr)
        return 2


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--provider", action="append", default=[], help="an execution provider of ONNX Runtime; may be repeated"
    )
    parser.add_argument("--device", action="append", default=[], help="a device of OpenVINO: GPU, GPU.1, NPU; may be repeated")
    parser.add_argument(
        "--model", action="append", type=Path, default=[], help="a file, in place of the samples; may be repeated"
    )
    parser.add_argument("--precision", nargs="+", choices=("f32", "f16"), default=["f32", "f16"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--minutes", type=float, default=9.0, help="lines that would begin later are left out (default: 9)")
    parser.add_argument("--torch", default=sys.executable, help="a Python that has torch (default: this one)")
    parser.add_argument("--output", type=Path, help="the file for the table, too")
    return parser.parse_args(arguments)


def places_of(options: argparse.Namespace) -> list[Place]:
    """The places that are named. Raises InputError for one that is not there, and where none is named."""
    if any(batch < 1 for batch in options.batch):
        raise InputError("a batch is at least 1")
    if not options.minutes > 0:
        raise InputError(f"--minutes is {options.minutes}: a number above 0 is expected")
    places: list[Place] = [*map(Provider, options.provider), *map(Device, options.device)]
    if not places:
        raise InputError("where is to be measured? --provider CUDAExecutionProvider or --device GPU is expected")
    return places


def measured(options: argparse.Namespace, places: Sequence[Place], end: float) -> int:
    """Measure, and write what is there after each line; the exit status."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of seeded weights nothing is known about pixels
        for place in places:
            for title, path in files_of(options.model, place, Path(folder)):
                for precision in options.precision:
                    for row in rows_of(path, title, place, precision, batches=options.batch, end=end):
                        rows.append(row)
                        print(f"{row.title}, {row.place}, {row.precision}, batch {row.batch}: {row.verdict}", file=sys.stderr)
                        write(options.output, page(rows, ""))
        text = page(rows, "" if options.model else beside_torch(options, rows, Path(folder), end))
    write(options.output, text)
    print(text)
    verdicts = {row.verdict for row in rows}
    return 2 if "refused" in verdicts else int("wrong" in verdicts)


def files_of(models: Sequence[Path], place: Place, folder: Path) -> list[tuple[str, Path]]:
    """The files that are measured in a place, each with its title."""
    if models:
        return [(path.name, path) for path in models]
    path = folder / "resnet50.onnx"
    files = [(RESNET, path if path.exists() else write_resnet(path))]
    if isinstance(place, Provider):
        names = ("efficientnet_lite0_int8.onnx", "ultraface_rfb320.onnx")
    else:
        names = ("efficientnet_lite0.xml", "ultraface_rfb320.xml")
    return files + [(name, MODELS / name) for name in names]


def rows_of(path: Path, title: str, place: Place, precision: str, *, batches: Sequence[int], end: float) -> list[Row]:
    """The lines of a file in one place and precision."""
    if time.monotonic() > end:
        return [Row(title, place.name, precision, batch, "left out", "the time was up") for batch in batches]
    try:
        case = case_of(path, title, place, precision)
    except InputError:
        raise
    except Unavailable as error:
        return [Row(title, place.name, precision, batch, "left out", str(error)) for batch in batches]
    except OvxaiError as error:
        return [Row(title, place.name, precision, batch, "refused", str(error)) for batch in batches]
    rows = []
    for batch in batches:
        if time.monotonic() > end:
            rows.append(Row(title, place.name, precision, batch, "left out", "the time was up"))
        else:
            rows.append(row_of(case, batch, PHOTOS, MOST_SECONDS))
    return rows


def beside_torch(options: argparse.Namespace, rows: Sequence[Row], folder: Path, end: float) -> str:
    """PyTorch's Grad-CAM and Score-CAM of the same network beside the hooked file, as Markdown."""
    row = next((row for row in rows if row.title == RESNET and row.batch == 1 and row.pair is not None), None)
    if row is None or row.pair is None:
        return "PyTorch was not timed: there is no line of ResNet-50 at batch 1 to stand beside."
    seconds = end - time.monotonic()
    cuda = "0" if row.place.startswith("CPU") else "1"
    result = torch_result(options.torch, folder, cuda, seconds)
    if isinstance(result, str):
        return f"PyTorch was not timed: {cell_text(result)}"
    plain, hooked = (float(value) for value in np.median(row.pair.latency, axis=1))
    lines = [["plain", row.place, f"{plain * 1e3:.1f}", "1", f"{plain / hooked:.2f}", ""]]
    lines.append(
        ["Recipro-CAM, all classes: the hooked file", row.place, f"{hooked * 1e3:.1f}", f"{hooked / plain:.2f}", "1", "1"]
    )
    where = f"torch {result['torch']}, {result['device']}"
    for name in ("plain", "Grad-CAM", "Score-CAM"):
        if name not in result:
            continue
        taken = result[name]
        paper = PAPER[name]
        ratios = [brief(taken / result["plain"]), brief(taken / hooked), paper]
        lines.append([name if name == "plain" else f"{name}, one class", where, f"{taken * 1e3:.1f}", *ratios])
    heads = [
        "ResNet-50, f32, batch 1",
        "place",
        "ms",
        "times its own plain",
        "times the hooked file",
        "the paper: times Recipro-CAM",
    ]
    notes = [f"Logits in PyTorch are {result['difference']:.0e} from ONNX's, of the largest."]
    if "Score-CAM foreseen" in result:
        notes.append(f"Score-CAM was not timed to its end: its first questions foretell {result['Score-CAM foreseen']:.0f} s.")
    return grid(heads, [[cell_text(cell) for cell in line] for line in lines]) + "\n\n" + " ".join(notes)


def torch_result(python: str, folder: Path, cuda: str, seconds: float) -> dict[str, Any] | str:
    """What `torch_cams.py` measures, or why it does not."""
    if seconds < 20:
        return "the time was up"
    import onnxruntime

    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    session = onnxruntime.InferenceSession(folder / "resnet50.onnx", providers=["CPUExecutionProvider"])
    np.savez(folder / "weights.npz", **weights())
    np.savez(folder / "example.npz", image=image, logits=session.run(None, {"image": image})[0])
    script = Path(__file__).parent / "accelerators" / "torch_cams.py"
    files = [str(folder / name) for name in ("weights.npz", "example.npz")]
    command = [python, str(script), *files, cuda, "20", str(seconds - 10)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} does not run, or not in time: {type(error).__name__}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def page(rows: Sequence[Row], beside: str) -> str:
    """The table in Markdown, and what it was measured with."""
    places = sorted({row.place for row in rows})
    rehearsal = all(place.startswith("CPU") for place in places)
    what = (
        "A rehearsal on the CPU: no GPU took part."
        if rehearsal
        else "Times hold the way of images and maps to and from the device."
    )
    parts = [grid(HEADS, [row.cells() for row in rows]), beside, f"{what} {versions()}; {os.cpu_count()} cores."]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(output: Path | None, text: str) -> None:
    if output is not None:
        with written_whole(output) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
