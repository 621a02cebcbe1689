"""A model store and an InferenceService for KServe, which serves it by Triton or by OpenVINO Model Server."""

from __future__ import annotations

from pathlib import Path

from openvino_xai.graph.protocol import Deployed
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.triton import write_triton

SERVICE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {service}
  annotations:
    # every output of the model, in its order
    ovxai/outputs: "{outputs}"
spec:
  predictor:
    model:
      modelFormat:
        name: {format}
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: pvc://models/{name}
"""
FORMATS = {".onnx": "onnx", ".xml": "openvino"}


def write_kserve(folder: Path, endpoint: Endpoint, deployed: Deployed, *, backend: str | None, precision: str) -> None:
    """Write `inference_service.yaml` and, in `models/`, what its storage holds: a Triton repository. Raises InputError."""
    write_triton(folder / "models", endpoint, deployed, backend=backend, precision=precision, legacy=False)
    service = SERVICE.format(
        service=endpoint.name.lower().replace("_", "-").replace(".", "-"),
        name=endpoint.name,
        format=FORMATS[endpoint.suffix],
        outputs=", ".join(tensor.name for tensor in endpoint.outputs),
    )
    (folder / "inference_service.yaml").write_text(service, encoding="utf-8")


def client(endpoint: Endpoint) -> str:
    """How a client asks: the Open Inference Protocol, as JSON."""
    image, scores = endpoint.image, endpoint.original[0]
    shape = [1 if size == -1 else size for size in image.shape]
    return f"""import numpy as np
import requests

image = np.zeros({shape}, np.{image.dtype})
asked = {{
    "inputs": [{{"name": "{image.name}", "shape": {shape}, "datatype": "FP32", "data": image.ravel().tolist()}}],
    "outputs": [{{"name": "{scores.name}"}}, {{"name": "saliency_map"}}],
}}
result = requests.post("http://127.0.0.1:8080/v2/models/{endpoint.name}/infer", json=asked).json()
print([(output["name"], output["shape"]) for output in result["outputs"]])
"""
