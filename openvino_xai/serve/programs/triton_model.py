"""A model for Triton's Python backend: it runs the OpenVINO or ONNX file beside it, and needs nothing else."""

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton


class Refused(Exception):
    """A request that the model cannot answer, as its client is told."""


class TritonPythonModel:
    """Requests that Triton has batched are run as one batch, where the model takes any; a mistake in one fails no other."""

    def initialize(self, args):
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.batched = config["max_batch_size"] > 0
        self.shapes = {item["name"]: self.shape(item) for item in config["input"]}
        self.dtypes = {item["name"]: np.dtype(triton.triton_string_to_numpy(item["data_type"])) for item in config["input"]}
        self.outputs = [item["name"] for item in config["output"]]
        self.gate = next((item["name"] for item in config["input"] if item.get("optional")), None)
        precision = config["parameters"]["precision"]["string_value"]
        if (folder / "model.onnx").exists():
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as failures

            session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
            self.run = lambda arrays: session.run(self.outputs, arrays)
            self.failed = (failures.Fail, failures.InvalidArgument, failures.RuntimeException, RuntimeError, MemoryError)
        else:
            import openvino

            hints = {} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision}
            compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", {"PERFORMANCE_HINT": "LATENCY", **hints})
            self.run = lambda arrays: list(map(compiled(arrays).__getitem__, self.outputs))
            self.failed = (RuntimeError, MemoryError)

    def shape(self, item):
        """The sizes that the model takes, -1 for any; Triton has no tensor of none, and its [1] is reshaped."""
        sizes = [] if "reshape" in item and not item["reshape"].get("shape") else item["dims"]
        return [*([-1] if self.batched else []), *map(int, sizes)]

    def arrays(self, request):
        """The inputs of a request; who does not say what to explain is an old client, and wants nothing explained."""
        for name in request.requested_output_names():
            if name not in self.outputs:
                raise Refused(f"there is no output '{name}': the model has {', '.join(self.outputs)}")
        tensors = {name: triton.get_input_tensor_by_name(request, name) for name in self.shapes}
        arrays = {name: self.array(name, tensor) for name, tensor in tensors.items() if tensor is not None}
        for name in self.shapes:
            if name not in arrays and name != self.gate:
                raise Refused(f"the input '{name}' is missing")
        if self.batched and len({len(array) for array in arrays.values()}) > 1:
            raise Refused("the inputs have different numbers of images")
        if self.gate is not None and self.gate not in arrays:
            arrays[self.gate] = np.zeros(len(next(iter(arrays.values()))), bool)
        return arrays

    def array(self, name, tensor):
        """An input as the model takes it, or Refused."""
        array, shape, dtype = tensor.as_numpy(), self.shapes[name], self.dtypes[name]
        if array.dtype != dtype:
            raise Refused(f"input '{name}' is {array.dtype}: {dtype} is expected")
        sizes = array.shape[:-1] if name == self.gate and array.shape[1:] == (1,) else array.shape
        if len(sizes) != len(shape) or any(expected not in (-1, size) or size < 1 for expected, size in zip(shape, sizes)):
            raise Refused(f"input '{name}' has the shape {list(array.shape)}: {shape} is expected, -1 for any size above 0")
        if dtype.kind == "f" and not np.isfinite(array).all():
            raise Refused(f"input '{name}' has data that are not finite")
        return array.reshape(sizes)

    def execute(self, requests):
        answers, waiting = [None] * len(requests), {}
        for place, request in enumerate(requests):
            try:
                arrays = self.arrays(request)
            except Refused as error:
                answers[place] = failure(error)
                continue
            alike = tuple(arrays[name].shape[1:] for name in self.shapes) if self.batched else place
            waiting.setdefault(alike, {})[place] = arrays
        for batch in waiting.values():
            for place, results in zip(batch, self.answers(list(batch.values()))):
                refused = isinstance(results, Refused)
                answers[place] = failure(results) if refused else self.response(requests[place], results)
        return answers

    def answers(self, batch):
        """The outputs of each request, or Refused: what fails in a batch is run alone."""
        try:
            if len(batch) == 1:
                return [self.run(batch[0])]
            joined = {name: np.concatenate([arrays[name] for arrays in batch]) for name in self.shapes}
            ends = np.cumsum([len(next(iter(arrays.values()))) for arrays in batch])[:-1]
            return list(zip(*(np.split(array, ends) for array in self.run(joined))))
        except self.failed as error:
            triton.Logger.log_error(f"the model failed: {error}")
        if len(batch) == 1:
            return [Refused("the model cannot be run on this request")]  # the runtime would name files of its source
        return [result for arrays in batch for result in self.answers([arrays])]

    def response(self, request, results):
        wanted = request.requested_output_names()
        tensors = [triton.Tensor(name, array) for name, array in zip(self.outputs, results) if name in wanted]
        return triton.InferenceResponse(tensors)


def failure(error):
    return triton.InferenceResponse(output_tensors=[], error=triton.TritonError(str(error)))
