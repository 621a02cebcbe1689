"""A model for KServe's own server: it runs the OpenVINO or ONNX file that `hooked_model`, beside this file, loads."""

import argparse
import functools
from pathlib import Path
from uuid import uuid4

import numpy as np
from hooked_model import UNREADABLE, Failed, HookedModel, Refused, datatype
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.errors import InferenceError, InvalidInput

EVERYWHERE = "0.0.0.0"


def telling(method):
    """The method, whose refusals are InvalidInput, which KServe answers by 400."""

    @functools.wraps(method)
    async def wrapped(*arguments, **options):
        try:
            return await method(*arguments, **options)
        except Refused as error:
            raise InvalidInput(str(error)) from error
        except Failed as error:
            raise InferenceError(str(error)) from error

    return wrapped


class Predictor(Model):
    """The Open Inference Protocol, and the one before it: `:predict` answers as the plain model does, `:explain` with maps."""

    def __init__(self, name, path, precision):
        super().__init__(name)
        self.path, self.precision = path, precision
        self.load()

    def load(self):
        self.model = HookedModel(self.path, self.precision)
        self.ready = True
        return True

    @telling
    async def predict(self, request, headers=None, response_headers=None):
        if not isinstance(request, InferRequest):
            return {"predictions": self.rows(request, explain=False)[0]}
        wanted = self.model.wanted([item.name for item in request.request_outputs or []])
        results = self.model.answer([(item.name, item.datatype, item.shape, numbers(item)) for item in request.inputs])
        answered = []
        for name in wanted:
            array = np.ascontiguousarray(results[name])
            output = InferOutput(name, list(array.shape), datatype(array.dtype))
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

    @telling
    async def explain(self, request, headers=None):
        predictions, explanations = self.rows(request, explain=True)
        return {"predictions": predictions, "explanations": explanations}

    def rows(self, request, *, explain):
        """For each instance what the plain model answers, and what the hook adds, or Refused."""
        instances = request.get("instances") if isinstance(request, dict) else None
        if not isinstance(instances, list) or not instances:
            raise Refused(
                '{"instances": [...]} is expected, an image each; the Open Inference Protocol is at /v2/models/NAME/infer'
            )
        names = [taken.name for taken in self.model.inputs]
        if not isinstance(instances[0], dict):
            instances = [{names[0]: instance} for instance in instances]
        if not all(isinstance(instance, dict) and instance.keys() == instances[0].keys() for instance in instances):
            raise Refused("all instances have to be of one form: the numbers of an image, or an object of numbers by input")
        columns = {name: [instance[name] for instance in instances] for name in instances[0]}
        results = self.model.answer([self.column(name, numbers) for name, numbers in columns.items()], explain=explain)
        count = len(instances)
        if not all(len(results[name].shape) and len(results[name]) == count for name in results):
            raise Refused(
                "this model's outputs are not one an image: ask by the Open Inference Protocol, /v2/models/NAME/infer"
            )
        originals = {name: results[name].tolist() for name in self.model.originals}
        added = {name: results[name].tolist() for name in self.model.added} if explain else {}
        predictions = next(iter(originals.values())) if len(originals) == 1 else by_row(originals, count)
        return predictions, by_row(added, count)

    def column(self, name, values):
        """An item for the model, of the numbers of all instances, or Refused."""
        try:
            array = np.array(values)
        except UNREADABLE as error:
            raise Refused(f"input '{name}' has data of different sizes") from error
        if array.dtype == object:
            raise Refused(f"input '{name}' has data that are no numbers")
        taken = next((taken for taken in self.model.inputs if taken.name == name), None)
        return name, "" if taken is None else datatype(taken.dtype), array.shape, lambda: array


def by_row(columns, count):
    """Arrays by name as objects, one an instance."""
    return [{name: rows[place] for name, rows in columns.items()} for place in range(count)]


def numbers(item):
    """What reads the numbers of an item of a request: as JSON has them, or in binary."""

    def read():
        try:
            return np.array(item.data) if isinstance(item.data, list) and item.data else item.as_numpy()
        except InferenceError as error:
            raise ValueError(str(error)) from error

    return read


def readable(decode):
    """KServe's reader of requests, where bytes that are no request are a mistake of the client, too."""

    def read(*arguments):
        try:
            return decode(*arguments)
        except InvalidInput:
            raise
        except (*UNREADABLE, InferenceError) as error:
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
