"""A model for KServe's own server: it runs an OpenVINO or ONNX file, and needs nothing else."""

import argparse
from pathlib import Path
from uuid import uuid4

import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer, model_server
from kserve.utils.numpy_codec import from_np_dtype

EVERYWHERE = "0.0.0.0"


class Predictor(Model):
    """The Open Inference Protocol: every output that is asked for, or all."""

    def __init__(self, name, path, precision):
        super().__init__(name)
        self.path, self.precision = path, precision
        self.load()

    def load(self):
        if self.path.suffix == ".onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
            self.outputs = [item.name for item in session.get_outputs()]
            self.run = lambda arrays: session.run(self.outputs, arrays)
        else:
            import openvino

            hints = {} if self.precision == "default" else {"INFERENCE_PRECISION_HINT": self.precision}
            model = openvino.Core().read_model(self.path)
            compiled = openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **hints})
            self.outputs = [port.get_any_name() for port in model.outputs]
            self.run = lambda arrays: list(compiled.create_infer_request().infer(arrays).to_tuple())
        self.ready = True
        return True

    async def predict(self, request, headers=None, response_headers=None):
        results = dict(zip(self.outputs, self.run({item.name: item.as_numpy() for item in request.inputs})))
        wanted = [item.name for item in request.request_outputs or []] or self.outputs
        answered = []
        for name in wanted:
            array = np.ascontiguousarray(results[name])
            output = InferOutput(name, list(array.shape), from_np_dtype(array.dtype))
            output.set_data_from_numpy(array, binary_data=False)
            answered.append(output)
        return InferResponse(request.id or str(uuid4()), self.name, answered)


class Server(ModelServer):
    """KServe's server at one address: its own listens at all of them, and by gRPC knows no other."""

    def __init__(self, address):
        super().__init__(workers=1, enable_grpc=False)
        self.address = address

    async def _serve(self):
        self._rest_server.config.host = self.address
        await super()._serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--model_path", type=Path, required=True)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen: 0.0.0.0 in a container")
    told, _ = parser.parse_known_args()
    server = ModelServer() if told.address == EVERYWHERE else Server(told.address)
    server.start([Predictor(told.model_name, told.model_path, told.precision)])
