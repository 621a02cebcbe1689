"""An InferenceService for KServe, which serves the model by Triton, or by a server of KServe's own kind."""

from __future__ import annotations

from importlib.resources import files
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
"""
BY_TRITON = """    model:
      modelFormat:
        name: {format}
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: pvc://models/{name}
"""
OF_ITS_OWN = """    containers:
      - name: kserve-container
        image: {service}-predictor  # built from the Dockerfile beside this file
        args: ["--model_name={name}", "--model_path=/predictor/model{suffix}", "--precision={precision}", "--address=0.0.0.0"]
"""
FORMATS = {".onnx": "onnx", ".xml": "openvino"}


DOCKERFILE = """FROM python:3.11-slim
RUN pip install --no-cache-dir kserve openvino onnxruntime
COPY predictor /predictor
ENTRYPOINT ["python", "/predictor/predictor.py"]
"""


def write_kserve(folder: Path, endpoint: Endpoint, deployed: Deployed, *, backend: str | None, precision: str) -> None:
    """Write `inference_service.yaml` and what it serves: in `models/` a Triton repository for its storage, or, for the backend
    `python`, in `predictor/` the model with a server of KServe's own kind, and a Dockerfile. Raises InputError.
    """
    told = {
        "service": endpoint.name.lower().replace("_", "-").replace(".", "-"),
        "name": endpoint.name,
        "outputs": ", ".join(tensor.name for tensor in endpoint.outputs),
    }
    if backend == "python":
        (folder / "predictor").mkdir()
        deployed.save(folder / "predictor" / f"model{endpoint.suffix}")
        predictor = files("openvino_xai.serve").joinpath("kserve_predictor.py").read_text(encoding="utf-8")
        (folder / "predictor" / "predictor.py").write_text(predictor, encoding="utf-8")
        (folder / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
        service = (SERVICE + OF_ITS_OWN).format(**told, suffix=endpoint.suffix, precision=precision)
    else:
        write_triton(folder / "models", endpoint, deployed, backend=backend, precision=precision, legacy=False)
        service = (SERVICE + BY_TRITON).format(**told, format=FORMATS[endpoint.suffix])
    (folder / "inference_service.yaml").write_text(service, encoding="utf-8")


def client(endpoint: Endpoint) -> str:
    """How a client asks: the Open Inference Protocol, as JSON."""
    image, scores = endpoint.image, endpoint.original[0]
    shape = image.one
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
