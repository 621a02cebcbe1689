"""A client in Python: the Open Inference Protocol (KServe v2), which every server here speaks, by Triton's client package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from openvino_xai.serve.endpoint import Endpoint


def client_code(
    endpoint: Endpoint,
    *,
    name: str,
    protocol: Literal["http", "grpc"],
    port: int,
    shapes: Mapping[str, Sequence[int]],
    picture: str | None = None,
) -> str:
    """The code of a client that sends one image, all zeros, and asks for scores, maps, and a `picture`, PNG bytes."""
    arrays = ",\n".join(
        f"    {tensor.name!r}: np.{'ones' if tensor.name == endpoint.gate else 'zeros'}"
        f"({list(shapes[tensor.name])}, {str(tensor.dtype)!r})"
        for tensor in endpoint.inputs
    )
    wanted = [endpoint.original[0].name, *endpoint.maps, *([] if picture is None else [picture])]
    file = "" if picture is None else f"open('overlay.png', 'wb').write(result.as_numpy({picture!r}).flat[0])\n"
    return f"""import numpy as np
import tritonclient.{protocol} as triton  # pip install "tritonclient[{protocol}]"
from tritonclient.utils import np_to_triton_dtype

client = triton.InferenceServerClient("127.0.0.1:{port}")
arrays = {{
{arrays},
}}
inputs = []
for name, array in arrays.items():
    inputs.append(triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
    inputs[-1].set_data_from_numpy(array)
outputs = {wanted!r}  # leave out what is not wanted
result = client.infer({name!r}, inputs, outputs=[triton.InferRequestedOutput(name) for name in outputs])
for name in outputs:
    print(name, result.as_numpy(name).shape)
{file}"""
