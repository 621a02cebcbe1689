"""An InferenceService for KServe, which serves the model by Triton, or by a server of KServe's own kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.literals import yaml_string
from openvino_xai.serve.servers import triton
from openvino_xai.serve.servers.by_python import requirement, write_hooked_model, write_program
from openvino_xai.serve.servers.clients import client_code
from openvino_xai.serve.servers.readme import write_readme
from openvino_xai.serve.servers.server import Options, Server

VERSION = "0.21.0"  # what scripts/servers.py asks; the runtime is the version that is installed here
PORT = 8080
START = "kubectl apply -f inference_service.yaml   # when what it names is there: the storage, or the image"
NAME = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")  # of an InferenceService: its webhook wants a letter first
LONGEST = 63 - len("-predictor")  # of a label of RFC 1123, which KServe calls its pods by
SERVICE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {service}
  annotations:
    # every output of the model, in its order, as JSON
    ovxai/outputs: {outputs}
spec:
"""
PREDICTOR = "  predictor:\n"
EXPLAINER = "  explainer: # pods of its own, with the same program: `:explain` goes there\n"
BY_TRITON = """    model:
      modelFormat:
        name: {format}
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: {storage}
"""
OF_ITS_OWN = """    containers:
      - name: kserve-container
        image: {image}  # built from the Dockerfile beside this file
        args: [{arguments}]
"""
ABOUT_V1 = (
    "By KServe's v1 `/v1/models/{name}:predict` at port {port} answers as the plain model, and `/v1/models/{name}:explain` "
    'with maps: post `{{"instances": [IMAGE, ...]}}`. `service_with_explainer.yaml` has pods of their own for `:explain`.\n\n'
)
FORMATS = {".onnx": "onnx", ".xml": "openvino"}
DOCKERFILE = """FROM python:3.11-slim
RUN pip install --no-cache-dir kserve=={kserve} {requirement}
COPY predictor /predictor
ENTRYPOINT ["python", "/predictor/predictor.py"]
"""


def write_kserve(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> Endpoint:
    """Write `inference_service.yaml` and what it serves, with a README; the endpoint.

    In `models/` is a Triton repository for its storage, or, for the backend `python`, in `predictor/` the model with a server
    of KServe's own kind, and a Dockerfile. Raises InputError.
    """
    service = service_name(endpoint.name)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = json.dumps([tensor.name for tensor in endpoint.outputs], ensure_ascii=False)
    text = SERVICE.format(service=yaml_string(service), outputs=yaml_string(outputs)) + PREDICTOR
    if options.backend == "python":
        write_hooked_model(folder / "predictor", endpoint, deployed)
        write_program(folder / "predictor" / "predictor.py", "kserve_predictor.py")
        dockerfile = DOCKERFILE.format(kserve=VERSION, requirement=requirement(endpoint.runtime))
        (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        arguments = [
            f"--model_name={endpoint.name}",
            f"--model_path=/predictor/model{endpoint.suffix}",
            f"--precision={options.precision}",
            "--address=0.0.0.0",
        ]
        text += OF_ITS_OWN.format(image=yaml_string(f"{service}-predictor"), arguments=", ".join(map(yaml_string, arguments)))
        explained = text + EXPLAINER + text.partition(PREDICTOR)[2]
        (folder / "service_with_explainer.yaml").write_text(explained, encoding="utf-8")
    else:
        triton.write_models(folder / "models", endpoint, deployed, options)
        storage = yaml_string(f"pvc://models/{endpoint.name}")
        text += BY_TRITON.format(format=yaml_string(FORMATS[endpoint.suffix]), storage=storage)
    (folder / "inference_service.yaml").write_text(text, encoding="utf-8")
    about = ABOUT_V1.format(name=endpoint.name, port=PORT) if options.backend == "python" else ""
    write_readme(folder, endpoint, start=START, client=client(endpoint, options.backend), about=about)
    return endpoint


def service_name(name: str) -> str:
    """The name of the InferenceService of an endpoint: Kubernetes has neither capitals nor '_' and '.'. Raises InputError."""
    service = re.sub("[_.]", "-", name.lower())
    if not NAME.fullmatch(service) or len(service) > LONGEST:
        raise InputError(
            f"'{name}' gives the service '{service}', which Kubernetes does not take: at most {LONGEST} letters, digits and "
            "'-' are expected, a letter first and no '-' last; choose another name",
            options=("name",),
        )
    return service


def client(endpoint: Endpoint, backend: str) -> str:
    """How a client asks."""
    if backend == "python":
        return client_code(endpoint, name=endpoint.name, protocol="http", port=PORT, shapes=endpoint.request)
    return triton.client(endpoint, port=PORT)


KSERVE = Server(
    title="KServe",
    write=write_kserve,
    backends=triton.BACKENDS,
    options=frozenset({"backend", "precision"}),
)
