"""OpenVINO models, compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset

from openvino_xai.graph.protocol import Running


def running(compiled: ov.CompiledModel, model: ov.Model, quantised: str) -> Running:
    """A compiled model as a function from inputs to outputs, by the names in `model`: compiling merges and drops some."""
    wanted = {name_of(port): i for i, port in enumerate(model.inputs)}
    names = [name_of(port) for port in model.outputs]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = compiled(told(inputs))
        return {name: results[i] for i, name in enumerate(names)}

    @cache
    def request() -> ov.InferRequest:  # holds memory of its own: only for those who measure
        return compiled.create_infer_request()

    def told(inputs: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
        return {wanted[name]: array for name, array in inputs.items() if name in wanted}

    def once(inputs: Mapping[str, np.ndarray]) -> object:
        return request().infer(told(inputs), share_inputs=True, share_outputs=True)

    def many(inputs: Mapping[str, np.ndarray], count: int) -> None:
        queue = ov.AsyncInferQueue(compiled)
        for _ in range(count):
            queue.start_async(told(inputs), share_inputs=True)
        queue.wait_all()

    return Running(run, once, many, quantised + _precision(compiled))


def _precision(compiled: ov.CompiledModel) -> str:
    try:
        return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
    except RuntimeError:  # AUTO and HETERO do not tell
        return "unknown"


_CORE: list[ov.Core] = []


def core() -> ov.Core:
    """The one core of this process."""
    if not _CORE:
        _CORE.append(ov.Core())
    return _CORE[0]


def computed(ports: Sequence[ov.Output]) -> list[np.ndarray]:
    """What ports that depend on no input hold."""
    model = ov.Model([opset.result(port) for port in ports], [], "constant")
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(result) for result in compiled({}).values()]


def first_line(error: BaseException) -> str:
    """What OpenVINO means, without where in its sources it was found."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(("Exception from", "Check"))]
    return lines[0] if lines else type(error).__name__


def name_of(port: Any) -> str:
    """The tensor name a client uses: the first in order of spelling, or the node's name where there is none."""
    names = port.get_names()
    if names:
        return str(min(names, key=lambda name: (len(name), name)))
    node = port.get_node()
    if node.get_type_name() == "Result":
        node = node.input(0).get_source_output().get_node()
    return str(node.get_friendly_name())
