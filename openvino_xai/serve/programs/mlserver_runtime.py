"""A runtime for MLServer: it runs the OpenVINO or ONNX file that `hooked_model`, beside this file, loads."""

import asyncio
from pathlib import Path

import numpy as np
from hooked_model import Failed, HookedModel, Refused, datatype
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError, MLServerError
from mlserver.types import Datatype, InferenceResponse, ResponseOutput
from mlserver.utils import get_model_uri


class HookedRuntime(MLModel):
    """The Open Inference Protocol: every output that is asked for, or all. Mistakes of a client are answered by 400."""

    async def load(self):
        path = Path(await get_model_uri(self.settings))
        self.model = HookedModel(path, (self.settings.parameters.extra or {}).get("precision", "f32"))
        return True

    async def predict(self, payload):
        items = [(item.name, Datatype(item.datatype).value, item.shape, numbers(item)) for item in payload.inputs]
        try:
            wanted = self.model.wanted([item.name for item in payload.outputs or []])
            results = await asyncio.to_thread(self.model.answer, items)  # others are heard meanwhile
        except Refused as error:
            raise InferenceError(str(error)) from error
        except Failed as error:
            raise MLServerError(str(error), 500) from error
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            id=payload.id,
            outputs=[output(name, results[name]) for name in wanted],
        )


def numbers(item):
    """What reads the numbers of an item of a request: as JSON has them, or in binary."""
    data = item.data.root
    return lambda: np.array(data) if isinstance(data, list) else NumpyCodec.decode_input(item)


def output(name, array):
    """An output as the protocol has it: flat, and null for what is no number."""
    flat = array.reshape(-1)
    data = flat.tolist()
    if array.dtype.kind == "f" and not np.isfinite(flat).all():
        data = [value if np.isfinite(value) else None for value in data]
    return ResponseOutput(name=name, shape=list(array.shape), datatype=datatype(array.dtype), data=data)
