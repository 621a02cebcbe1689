"""Where a model runs: a provider of ONNX Runtime or a device of OpenVINO, and the proof that it ran there."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import openvino as ov
from onnxruntime.transformers.float16 import convert_float_to_float16

from openvino_xai.dialects.onnx.run import running as running_in_onnxruntime
from openvino_xai.dialects.open import check_model_file, open_model
from openvino_xai.dialects.openvino.run import Names, core, first_line
from openvino_xai.dialects.openvino.run import running as running_in_openvino
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import InputError, ModelError

LARGEST_SHARE = 0.1  # of the nodes' time that may pass elsewhere: shapes and small integers belong on the CPU
CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
TENSORRT_PROVIDER = "TensorrtExecutionProvider"


class FellBack(Exception):
    """A model ran elsewhere than it was to run, or a large part of it did."""


class Unavailable(Exception):
    """A place has no such precision for a file."""


@dataclass(frozen=True)
class Placement:
    """Which providers ran the nodes of one inference: `seconds` and `nodes` of each, and the operations that ran elsewhere.

    Time on a GPU is that of starting kernels, so that the share of the CPU is rather told too large than too small.
    """

    provider: str
    seconds: Mapping[str, float]
    nodes: Mapping[str, int]
    operations: Sequence[str]

    @property
    def share(self) -> float:
        """In [0, 1]: of the nodes' time, what passed elsewhere; 1 where no node ran on the provider."""
        if not self.nodes.get(self.provider):
            return 1.0
        return 1 - self.seconds[self.provider] / max(sum(self.seconds.values()), 1e-12)

    def text(self) -> str:
        """The share of nodes and of time that ran elsewhere."""
        strangers = sum(self.nodes.values()) - self.nodes.get(self.provider, 0)
        return f"{strangers} of {sum(self.nodes.values())}, {self.share:.0%}" if strangers else "none"

    def refuse(self, what: str) -> None:
        """Raise FellBack where more than a small share of the time passed elsewhere."""
        if self.share <= LARGEST_SHARE:
            return
        others = ", ".join(sorted(set(self.nodes) - {self.provider})) or "nothing"
        raise FellBack(
            f"{what} did not run on {self.provider}: {self.text()} of the nodes and of their time ran on {others} "
            f"({', '.join(self.operations[:6])}); at most {LARGEST_SHARE:.0%} of the time is expected"
        )


@dataclass(frozen=True)
class Ready:
    """A model that runs where it is to run, and the word for what ran elsewhere."""

    running: Running
    elsewhere: str


class Place(Protocol):
    """Where models run."""

    name: str
    is_cpu: bool

    def model(self, path: Path, precision: str) -> Any:
        """The model of a file in a precision, as `insert` takes it. Raises InputError, Unavailable."""

    def compile(self, model: Deployed, precision: str, inputs: Mapping[str, np.ndarray]) -> Ready:
        """The model, ready, after it ran once. Raises FellBack, ModelError."""

    def reference(self, model: Deployed) -> tuple[str, Running]:
        """What maps are held to: a runtime on the CPU, in f32."""


class Provider:
    """An execution provider of ONNX Runtime. Raises InputError where this ONNX Runtime does not have it."""

    def __init__(self, name: str) -> None:
        available = onnxruntime.get_available_providers()
        if name not in available:
            raise InputError(
                f"provider '{name}' is not in ONNX Runtime {onnxruntime.__version__} here: one of {', '.join(available)} is "
                "expected (onnxruntime-gpu has those for CUDA and TensorRT)"
            )
        self.name, self.is_cpu = name, name == CPU_PROVIDER

    def model(self, path: Path, precision: str) -> Any:
        if path.suffix != ".onnx":
            raise InputError(f"{path} is no ONNX file, which is what a provider runs: name a .onnx, or --device for OpenVINO")
        check_model_file(path)
        if precision == "f32" or self.name == TENSORRT_PROVIDER:
            return path
        try:
            model = onnx.load(path)
        except Exception as error:
            raise ModelError(f"{path} is not read as ONNX: {error}") from error
        if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
            raise Unavailable("an INT8 file is not converted to f16")
        try:
            return convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
        except Exception as error:
            raise Unavailable(f"ONNX Runtime does not convert it to f16: {error}") from error

    def compile(self, model: Deployed, precision: str, inputs: Mapping[str, np.ndarray]) -> Ready:
        with tempfile.TemporaryDirectory() as folder:
            path = model.save(Path(folder) / "model.onnx")[0]
            options = onnxruntime.SessionOptions()
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            options.log_severity_level = 3
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            try:
                session = onnxruntime.InferenceSession(path, options, providers=self._providers(precision))
                refuse_fallback(self.name, session.get_providers())
                session.disable_fallback()
                running = running_in_onnxruntime(session, precision)
                running.run(inputs)
                running.run(inputs)  # the first run chooses kernels, and counts for none
                profile = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
            except RuntimeError as error:
                raise ModelError(f"{self.name} does not run it: {str(error)[:300]}") from error
        placement = placement_of(self.name, profile)
        placement.refuse("the model")
        return Ready(running, placement.text())

    def reference(self, model: Deployed) -> tuple[str, Running]:
        if not self.is_cpu:
            return "ONNX Runtime's CPU", model.compile()
        native = core().read_model(model.object().SerializeToString())
        return "OpenVINO's CPU", open_model(native).compile()

    def _providers(self, precision: str) -> list[Any]:
        if self.name == TENSORRT_PROVIDER:
            return [(self.name, {"trt_fp16_enable": "1" if precision == "f16" else "0"})]
        if self.name == CUDA_PROVIDER:  # an exhaustive search picks other kernels each time, and with them other bits
            return [(self.name, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]
        return [self.name]


def refuse_fallback(provider: str, providers: Sequence[str]) -> None:
    """Raise FellBack where a session's first provider is not the one that it was made for."""
    if not providers or providers[0] != provider:
        raise FellBack(
            f"{provider} was asked for, and ONNX Runtime fell back to {', '.join(providers) or 'nothing'}: a driver or a "
            "library that the provider needs is not installed here, or there is no such device"
        )


def placement_of(provider: str, profile: Sequence[Mapping[str, Any]]) -> Placement:
    """Where the nodes of the last inference in a profile of ONNX Runtime ran."""
    starts = [event["ts"] for event in profile if event.get("name") == "model_run"]
    last = max(starts, default=0)
    events = [event for event in profile if event.get("cat") == "Node" and event["ts"] >= last]
    seconds: Counter[str] = Counter()
    nodes: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    for event in events:
        name = event["args"].get("provider", "")
        if not name or not event["name"].endswith("_kernel_time"):
            continue
        seconds[name] += event["dur"] / 1e6
        nodes[name] += 1
        if name != provider:
            operations[event["args"]["op_name"]] += event["dur"]
    return Placement(provider, seconds, nodes, [name for name, _ in operations.most_common()])


class Device:
    """A device of OpenVINO. Raises InputError for one that is not here, or that stands for several."""

    def __init__(self, name: str) -> None:
        devices = core().available_devices
        if not re.fullmatch(r"(CPU|GPU|NPU)(\.\d+)?", name):
            raise InputError(
                f"device {name!r} is none by itself: CPU, GPU, NPU or GPU.1 is expected, and here are {', '.join(devices)}"
            )
        if name not in devices and not any(device.startswith(f"{name}.") for device in devices):
            raise InputError(f"OpenVINO {ov.__version__} has no device {name} here: {', '.join(devices)} is expected")
        self.name, self.is_cpu = name, name.startswith("CPU")

    def model(self, path: Path, precision: str) -> Any:
        check_model_file(path)
        try:
            return core().read_model(path) if path.suffix == ".onnx" else path
        except RuntimeError as error:
            raise ModelError(f"OpenVINO does not read {path}: {first_line(error)}") from error

    def compile(self, model: Deployed, precision: str, inputs: Mapping[str, np.ndarray]) -> Ready:
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        try:
            compiled = core().compile_model(model.native, self.name, hints)
            devices = compiled.get_property("EXECUTION_DEVICES")
        except RuntimeError as error:
            raise ModelError(f"{self.name} does not run it in {precision}: {str(error).strip().splitlines()[-1]}") from error
        refuse_devices(self.name, devices)
        running = running_in_openvino(compiled, Names.of(model.native), "")
        if running.precision != precision:
            raise FellBack(f"{precision} was asked for, and {self.name} computes in {running.precision}")
        running.run(inputs)
        return Ready(running, "none")

    def reference(self, model: Deployed) -> tuple[str, Running]:
        return "OpenVINO's CPU", model.compile()


def refuse_devices(device: str, devices: Sequence[str]) -> None:
    """Raise FellBack where OpenVINO runs a model on other devices than the one it was compiled for."""
    strangers = [name for name in devices if name != device and not name.startswith(f"{device}.")]
    if strangers or not devices:
        raise FellBack(f"{device} was asked for, and OpenVINO runs the model on {', '.join(devices) or 'nothing'}")
