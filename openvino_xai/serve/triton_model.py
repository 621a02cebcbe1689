"""A model for Triton's Python backend: it runs the OpenVINO or ONNX file beside it, and needs nothing else."""

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """Requests that Triton has batched are run as one batch, where the model takes any."""

    def initialize(self, args):
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.inputs = [item["name"] for item in config["input"]]
        self.outputs = [item["name"] for item in config["output"]]
        self.gate = next((item["name"] for item in config["input"] if item.get("optional")), None)
        self.batched = config["max_batch_size"] > 0
        precision = config["parameters"]["precision"]["string_value"]
        if (folder / "model.onnx").exists():
            import onnxruntime

            session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
            self.run = lambda arrays: session.run(self.outputs, arrays)
        else:
            import openvino

            hints = {} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision}
            compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", {"PERFORMANCE_HINT": "LATENCY", **hints})
            self.run = lambda arrays: list(map(compiled(arrays).__getitem__, self.outputs))

    def given(self, request):
        """The inputs of a request; who does not say what to explain is an old client, and wants nothing explained."""
        tensors = {name: triton.get_input_tensor_by_name(request, name) for name in self.inputs}
        arrays = {name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None}
        count = len(next(iter(arrays.values())))
        gates = {name: np.zeros(count, bool) for name in self.inputs if name not in arrays}
        return {**arrays, **{name: array.reshape(-1) for name, array in arrays.items() if name == self.gate}, **gates}

    def execute(self, requests):
        asked = [self.given(request) for request in requests]
        if self.batched:
            joined = {name: np.concatenate([one[name] for one in asked]) for name in self.inputs}
            ends = np.cumsum([len(one[self.inputs[0]]) for one in asked])[:-1]
            parts = list(zip(*(np.split(array, ends) for array in self.run(joined))))
        else:
            parts = [self.run(one) for one in asked]
        return [
            triton.InferenceResponse(
                [
                    triton.Tensor(name, array)
                    for name, array in zip(self.outputs, arrays)
                    if name in request.requested_output_names()
                ]
            )
            for request, arrays in zip(requests, parts)
        ]
