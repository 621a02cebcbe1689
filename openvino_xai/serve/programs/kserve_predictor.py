"""A model for KServe's own server: it runs an OpenVINO or ONNX file, and needs nothing else."""

import argparse
from collections import Counter
from pathlib import Path
from uuid import uuid4

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.errors import InferenceError, InvalidInput
from kserve.logging import logger
from kserve.utils.numpy_codec import from_np_dtype

EVERYWHERE = "0.0.0.0"
ONNX_TYPES = {"float": "float32", "double": "float64"}  # others are called as numpy calls them
KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}  # of numbers that stand for those of a kind
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, InferenceError)


class Input:
    """What the model takes: a size of None is open."""

    def __init__(self, name, dtype, shape):
        self.name, self.dtype, self.shape = name, np.dtype(dtype), shape

    def read(self, item):
        """The array of a request, or InvalidInput."""
        datatype, shape = from_np_dtype(self.dtype), list(item.shape)
        if item.datatype != datatype:
            raise InvalidInput(f"input '{self.name}' is {item.datatype}: {datatype} is expected")
        fits = len(shape) == len(self.shape) and all(expected in (None, size) for expected, size in zip(self.shape, shape))
        if not fits or not all(isinstance(size, int) and size > 0 for size in shape):
            expected = [-1 if size is None else size for size in self.shape]
            raise InvalidInput(f"input '{self.name}' has the shape {shape}: {expected} is expected, -1 for any size above 0")
        try:
            array = np.array(item.data) if isinstance(item.data, list) and item.data else item.as_numpy()
            if array.dtype.kind not in KINDS[self.dtype.kind]:
                raise InvalidInput(f"input '{self.name}' has data that are no numbers of {datatype}")
            with np.errstate(over="ignore"):
                numbers = array.astype(self.dtype).reshape(shape)
        except InvalidInput:
            raise
        except UNREADABLE as error:
            raise InvalidInput(f"input '{self.name}' has data that do not make {shape} of {datatype}") from error
        if self.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise InvalidInput(f"input '{self.name}' has data that are not finite, or too large for {datatype}")
        if self.dtype.kind in "iu" and not np.array_equal(numbers.reshape(-1), array.reshape(-1)):
            raise InvalidInput(f"input '{self.name}' has data that {datatype} does not hold")
        return numbers


class Predictor(Model):
    """The Open Inference Protocol: every output that is asked for, or all. Mistakes of a client are InvalidInput: 400."""

    def __init__(self, name, path, precision):
        super().__init__(name)
        self.path, self.precision = path, precision
        self.load()

    def load(self):
        if self.path.suffix == ".onnx":
            self.inputs, self.outputs, self.run = onnx_model(self.path)
        else:
            self.inputs, self.outputs, self.run = openvino_model(self.path, self.precision)
        self.ready = True
        return True

    async def predict(self, request, headers=None, response_headers=None):
        if not isinstance(request, InferRequest):
            raise InvalidInput("the Open Inference Protocol is expected: /v2/models/NAME/infer")
        wanted = self.wanted(request)
        results = dict(zip(self.outputs, self.run(self.read(request))))
        answered = []
        for name in wanted:
            array = np.ascontiguousarray(results[name])
            output = InferOutput(name, list(array.shape), from_np_dtype(array.dtype))
            output.set_data_from_numpy(array, binary_data=True)  # the response writes it as the client wants it
            answered.append(output)
        return InferResponse(
            request.id or str(uuid4()),
            self.name,
            answered,
            from_grpc=request.from_grpc,
            use_binary_outputs=request.use_binary_outputs,
            requested_outputs=request.request_outputs,
        )

    def wanted(self, request):
        """The names of the outputs that are asked for, all where none is, or InvalidInput."""
        names = [item.name for item in request.request_outputs or []]
        refuse_repeated("output", names)
        for name in names:
            if name not in self.outputs:
                raise InvalidInput(f"there is no output '{name}': the model has {', '.join(self.outputs)}")
        return names or self.outputs

    def read(self, request):
        """The arrays of a request, or InvalidInput."""
        items = {item.name: item for item in request.inputs}
        refuse_repeated("input", [item.name for item in request.inputs])
        names = [taken.name for taken in self.inputs]
        for name in items:
            if name not in names:
                raise InvalidInput(f"there is no input '{name}': the model has {', '.join(names)}")
        for name in names:
            if name not in items:
                raise InvalidInput(f"the input '{name}' is missing")
        arrays = {taken.name: taken.read(items[taken.name]) for taken in self.inputs}
        if len({len(arrays[taken.name]) for taken in self.inputs if taken.shape[:1] == [None]}) > 1:
            raise InvalidInput("the inputs have different numbers of images")
        return arrays


def refuse_repeated(kind, names):
    for name, count in Counter(names).items():
        if count > 1:
            raise InvalidInput(f"the {kind} '{name}' is there {count} times")


def onnx_model(path):
    """Inputs, names of outputs, and a function from arrays to arrays."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [item.name for item in session.get_outputs()]
    kinds = [item.type.removeprefix("tensor(").removesuffix(")") for item in session.get_inputs()]
    inputs = [
        Input(item.name, ONNX_TYPES.get(kind, kind), [size if isinstance(size, int) else None for size in item.shape])
        for item, kind in zip(session.get_inputs(), kinds)
    ]
    failed = (failures.Fail, failures.InvalidArgument, failures.RuntimeException, RuntimeError, MemoryError)
    return inputs, outputs, answering(lambda arrays: session.run(outputs, arrays), failed)


def openvino_model(path, precision):
    """Inputs, names of outputs, and a function from arrays to arrays."""
    import openvino

    hints = {} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision}
    model = openvino.Core().read_model(path)
    compiled = openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **hints})
    inputs = [
        Input(
            port.get_any_name(),
            port.element_type.to_dtype(),
            [size.get_length() if size.is_static else None for size in port.partial_shape],
        )
        for port in model.inputs
    ]
    outputs = [port.get_any_name() for port in model.outputs]
    return (
        inputs,
        outputs,
        answering(lambda arrays: list(compiled.create_infer_request().infer(arrays).to_tuple()), (RuntimeError, MemoryError)),
    )


def answering(run, failed):
    """The function, whose failures are told without what the runtime says: it names files of its source."""

    def answer(arrays):
        try:
            return run(arrays)
        except failed as error:
            logger.error("the model failed", exc_info=error)
        raise InferenceError("the model cannot be run on this request")

    return answer


def readable(decode):
    """KServe's reader of requests, where bytes that are no request are a mistake of the client, too."""

    def read(*arguments):
        try:
            return decode(*arguments)
        except InvalidInput:
            raise
        except UNREADABLE as error:
            raise InvalidInput(f"the request is none of the Open Inference Protocol: {type(error).__name__}") from error

    return read


class Server(ModelServer):
    """KServe's server at one address: its own listens at all of them, and by gRPC knows no other."""

    def __init__(self, address):
        super().__init__(workers=1, enable_grpc=address == EVERYWHERE)
        self.address = address
        self.dataplane.decode_inference_request = readable(self.dataplane.decode_inference_request)

    async def _serve(self):
        self._rest_server.config.host = self.address
        await super()._serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--model_path", type=Path, required=True)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen: 0.0.0.0 in a container")
    options, _ = parser.parse_known_args()
    Server(options.address).start([Predictor(options.model_name, options.model_path, options.precision)])
