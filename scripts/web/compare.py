"""Hooked files in onnxruntime-web, beside Python's ONNX Runtime: `python scripts/web/compare.py --work FOLDER`.

Needs node and npm, which fetches onnxruntime-web into FOLDER. The sample models are hooked, and the plain and the hooked file
run on a sample photo in Node, as WASM on one thread. Printed is how far each output is from what Python returns, and how long
the hooked file takes beside the plain one (medians of 30 runs in turn, in one process).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime

import openvino_xai as xai
from openvino_xai.render.photo import read_photo

ROOT = Path(__file__).parents[2]
MODELS = {
    "efficientnet_lite0_int8.onnx": ("images/cat.png", {"targets": "top:1", "scale": "u8"}),
    "ultraface_rfb320.onnx": ("faces/astronaut.png", {"targets": "boxes:4"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    (work / "package.json").write_text('{"type": "module"}')
    subprocess.run(["npm", "install", "--silent", "onnxruntime-web"], cwd=work, check=True)
    version = json.loads((work / "node_modules/onnxruntime-web/package.json").read_text())["version"]
    shutil.copy(Path(__file__).with_name("run.mjs"), work)
    jobs = [job for name, (photo, options) in MODELS.items() for job in jobs_of(work, name, photo, options)]
    (work / "jobs.json").write_text(json.dumps(jobs))
    run = subprocess.run(["node", "run.mjs", "jobs.json"], cwd=work, check=True, capture_output=True, text=True)
    results = json.loads(run.stdout.splitlines()[-1])
    print(f"onnxruntime-web {version}, onnxruntime {onnxruntime.__version__}")
    for plain, hooked in zip(results[::2], results[1::2], strict=True):
        for result in (plain, hooked):
            for output in result["outputs"]:
                how_far = "the same bits" if output["same_bits"] else f"up to {output['difference']:.1e} apart"
                print(f"{result['model']}: {output['name']} {how_far}")
        ratio = hooked["milliseconds"] / plain["milliseconds"]
        print(f"{hooked['model']}: {ratio:.2f} of the plain file's {plain['milliseconds']:.1f} ms")


def jobs_of(work: Path, name: str, photo: str, options: dict[str, str]) -> list[dict[str, object]]:
    """The plain file and the hooked one: what they are fed, and what they return to Python."""
    stem = name.removesuffix(".onnx")
    shutil.copy(ROOT / "samples/models" / name, work / f"{stem}.onnx")
    xai.insert(work / f"{stem}.onnx", **options).save(work / f"{stem}_xai.onnx", force=True)  # type: ignore[arg-type]
    image = np.asarray(xai.load(work / f"{stem}_xai.onnx").prepare(read_photo(ROOT / "samples" / photo)), np.float32)
    image.tofile(work / f"{stem}.bin")
    jobs = []
    for file in (f"{stem}.onnx", f"{stem}_xai.onnx"):
        session = onnxruntime.InferenceSession(work / file, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        expected = {}
        for output, array in zip(names, session.run(names, {session.get_inputs()[0].name: image}), strict=True):
            np.asarray(array).tofile(work / f"{file}.{output}.bin")
            expected[output] = f"{file}.{output}.bin"
        jobs.append({"model": file, "input": f"{stem}.bin", "shape": image.shape, "expected": expected})
    return jobs


if __name__ == "__main__":
    main()
