"""The package with one runtime alone, tried: fresh environments, and the commands on a model of that kind.

    python scripts/installation/one_runtime.py --work FOLDER [--only openvino|onnx]

The package is installed without its dependencies, and then what `openvino_xai.cli.installation.requirements` tells.
Then the commands run on the sample of that kind, and one on the sample of the other. The exit status is 1 where one fails.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
MODELS = {
    "openvino": SAMPLES / "models" / "efficientnet_lite0.xml",
    "onnx": SAMPLES / "models" / "efficientnet_lite0_int8.onnx",
}
MISSING = {"openvino": ["onnx", "onnx_ir", "onnxruntime"], "onnx": ["openvino"]}
EVALUATE = ["scikit-image>=0.25", "scipy>=1.15"]  # the extra, whose base would bring both runtimes


def run(*command: str | Path, status: int = 0) -> str:
    """What a command prints. Ends the program where its exit status is another than it should be."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT.parent, check=False)
    if result.returncode != status:
        sys.exit(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def source(folder: Path) -> Path:
    """A copy of what is installed: building leaves files where it happens, which the next build would take for its own."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "openvino_xai", folder / "openvino_xai", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def installed(folder: Path, runtime: str) -> Path:
    """The Python of a fresh environment with one runtime."""
    venv.create(folder, clear=True, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", source(folder / "source"))
    lines = run(python, "-m", "openvino_xai.cli.installation.requirements", runtime)
    (folder / "requirements.txt").write_text(lines, encoding="utf-8")
    run(python, "-m", "pip", "install", "-q", "-r", folder / "requirements.txt", *EVALUATE)
    for name in MISSING[runtime]:
        run(python, "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{name}') is not None)")
    return python


def tried(python: Path, runtime: str, work: Path) -> None:
    """Have each command work on a model of the runtime's kind, and refuse one of the other."""
    ovxai, model, photos = python.with_name("ovxai"), MODELS[runtime], SAMPLES / "images"
    hooked = work / f"{runtime}_hooked{model.suffix}"
    run(python, "-c", "import openvino_xai")
    run(ovxai, "layers", model)
    run(ovxai, "insert", model, "-o", hooked, "--force")
    run(ovxai, "explain", hooked, photos, "-o", work / f"{runtime}_out")
    run(ovxai, "explain", model, photos / "cat.png", "-o", work / f"{runtime}_plain")
    run(ovxai, "evaluate", model, photos, "-o", work / f"{runtime}_scores", "--again")
    (other,) = (name for name in MODELS if name != runtime)
    refusal = run(ovxai, "explain", MODELS[other], photos, "-o", work / "no", status=2)
    if f"pip install 'ovxai[{other}]'" not in refusal or "Traceback" in refusal:
        sys.exit(f"a model of the other kind is not refused as it should be: {refusal}")
    print(f"{runtime} alone: the commands work, and the other kind is refused: {refusal.strip()}")


def main() -> None:
    """Try each runtime."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="A folder for environments and results.")
    parser.add_argument("--only", choices=MODELS, help="One runtime.")
    options = parser.parse_args()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    for runtime in [options.only] if options.only else MODELS:
        tried(installed(work / runtime, runtime), runtime, work)


if __name__ == "__main__":
    main()
