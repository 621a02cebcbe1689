"""Files in one runtime, in the environment of that: `reader.py RUNTIME JOBS`.

JOBS is a JSON list of a file's `model`, `inputs` and `outputs` (.npz files of arrays by their names) and `names`, of the
file's outputs in their order. For each there is a line of JSON on standard output: `version`, and `failed` with the `stage`
("load" or "run") where the runtime does not read the file. Where the lines end before the files do, the runtime has crashed.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = Mapping[str, np.ndarray]
Run: TypeAlias = Callable[[], Arrays]  # carries out one inference


@dataclass(frozen=True)
class File:
    """A model, what it is fed, the `names` of its outputs in their order, and a folder for what is made of it."""

    model: Path
    inputs: Arrays
    names: Sequence[str]
    work: Path


def openvino(file: File) -> Run:
    import openvino as ov

    compiled = ov.Core().compile_model(file.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run() -> Arrays:
        results = compiled(dict(file.inputs))
        return {name: results[name] for name in file.names}

    return run


def onnxruntime(file: File) -> Run:
    return _onnxruntime(file, "CPUExecutionProvider")


def onnxruntime_openvino(file: File) -> Run:
    return _onnxruntime(file, "OpenVINOExecutionProvider")


def _onnxruntime(file: File, provider: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(file.model, providers=[provider])
    if session.get_providers()[0] != provider:  # it falls back without a word
        raise RuntimeError(f"{provider} is not there: {', '.join(session.get_providers())}")
    return lambda: dict(zip(file.names, session.run(file.names, dict(file.inputs)), strict=True))


def opencv(file: File) -> Run:
    import cv2

    net = cv2.dnn.readNetFromONNX(str(file.model))

    def run() -> Arrays:
        for name, array in file.inputs.items():
            net.setInput(array, name)
        return dict(zip(file.names, net.forward(file.names), strict=True))

    return run


def mnn(file: File) -> Run:
    # the package's own command installs a logger by pip, into whatever environment is on the path: its library alone is called
    code = "import MNN, _tools, sys; _tools.mnnconvert(sys.argv)"
    options = ["-f", "ONNX", "--modelFile", str(file.model), "--MNNModel", str(file.work / "model.mnn"), "--bizCode", "none"]
    _convert([sys.executable, "-c", code, *options], file.work / "model.mnn")
    import MNN

    module = MNN.nn.load_module_from_file(str(file.work / "model.mnn"), list(file.inputs), list(file.names))

    def run() -> Arrays:
        values = [
            MNN.expr.const(
                array, list(array.shape), MNN.expr.NCHW, MNN.expr.float if array.dtype == np.float32 else MNN.expr.int
            )
            for array in file.inputs.values()
        ]
        results = [MNN.expr.convert(value, MNN.expr.NCHW) for value in module.forward(values)]
        return {name: np.array(value.read()) for name, value in zip(file.names, results, strict=True)}

    return run


def tract(file: File) -> Run:
    import tract

    runnable = tract.onnx().load(str(file.model)).into_model().into_runnable()
    return lambda: {
        name: value.to_numpy() for name, value in zip(file.names, runnable.run(list(file.inputs.values())), strict=True)
    }


def ncnn(file: File) -> Run:
    import ncnn

    copy = file.work / "model.onnx"
    copy.write_bytes(file.model.read_bytes())
    kinds = {"float32": "f32", "int64": "i64", "bool": "bool"}
    shapes = ",".join(f"[{','.join(map(str, array.shape))}]{kinds[str(array.dtype)]}" for array in file.inputs.values())
    pnnx = next(Path(sys.prefix).glob("lib/*/site-packages/pnnx/pnnx"))
    pnnx.chmod(0o755)
    parameters, weights = file.work / "model.ncnn.param", file.work / "model.ncnn.bin"
    _convert([str(pnnx), str(copy), f"inputshape={shapes}", "fp16=0"], parameters)
    kinds_of_layers = {line.split()[0] for line in parameters.read_text().splitlines()[2:]}
    if unknown := sorted(kind for kind in kinds_of_layers if ncnn.layer_to_index(kind) < 0):
        raise RuntimeError(f"no layers {', '.join(unknown)}")
    net = ncnn.Net()
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{half}", False)
    if net.load_param(str(parameters)) or net.load_model(str(weights)):
        raise RuntimeError("what pnnx wrote is not read")
    blobs = [ncnn.Mat(np.ascontiguousarray(array[0])).clone() for array in file.inputs.values()]  # it has no batch

    def run() -> Arrays:
        extractor, outputs = net.create_extractor(), {}
        for number, blob in enumerate(blobs):
            extractor.input(f"in{number}", blob)
        for number, name in enumerate(file.names):  # in the file's order, as pnnx names them; `output_names` has another
            status, value = extractor.extract(f"out{number}")
            if status:
                raise RuntimeError(f"{name}: status {status}")
            outputs[name] = np.array(value)[None]
        return outputs

    return run


def _convert(command: Sequence[str], product: Path) -> None:
    """Raise RuntimeError where the command does not make the file, with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=product.parent)
    if done.returncode or not product.exists():
        lines = (done.stdout + done.stderr).strip().splitlines() or [f"exit {done.returncode}"]
        raise RuntimeError(f"the conversion ends with {lines[-1]}")


READERS = {
    # the package with the version, and what reads a file
    "openvino": ("openvino", openvino),
    "onnxruntime": ("onnxruntime", onnxruntime),
    "onnxruntime_openvino": ("onnxruntime-openvino", onnxruntime_openvino),
    "opencv": ("opencv-python-headless", opencv),
    "mnn": ("MNN", mnn),
    "tract": ("tract", tract),
    "ncnn": ("ncnn", ncnn),
}


def main(runtime: str, jobs: str) -> None:
    package, reader = READERS[runtime]
    for job in json.loads(Path(jobs).read_text(encoding="utf-8")):
        report: dict[str, Any] = {"version": importlib.metadata.version(package), "stage": "load"}
        with tempfile.TemporaryDirectory() as work:
            try:
                run = reader(File(Path(job["model"]), dict(np.load(job["inputs"])), job["names"], Path(work)))
                report["stage"] = "run"
                np.savez(job["outputs"], **run())
            except Exception as error:  # whatever a runtime raises is what is measured
                report["failed"] = str(error).partition("Stack backtrace")[0][-1000:] or type(error).__name__
        print(f"\n{json.dumps(report)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
