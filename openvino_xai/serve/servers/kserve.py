"""An InferenceService for KServe, which serves the model by Triton, or by a server of KServe's own kind."""

from __future__ import annotations

import json
import re
from importlib.metadata import packages_distributions, version
from importlib.resources import files
from pathlib import Path

from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.errors import InputError
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.literals import yaml_string
from openvino_xai.serve.servers import triton
from openvino_xai.serve.servers.clients import client_code
from openvino_xai.serve.servers.server import Options, Server

VERSION = "0.21.0"  # what scripts/servers.py asks; the runtime is the version that is installed here
PORT = 8080
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
  predictor:
"""
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
FORMATS = {".onnx": "onnx", ".xml": "openvino"}
DOCKERFILE = """FROM python:3.11-slim
RUN pip install --no-cache-dir kserve=={kserve} {runtime}=={version}
COPY predictor /predictor
ENTRYPOINT ["python", "/predictor/predictor.py"]
"""


def write_kserve(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> str:
    """Write `inference_service.yaml` and what it serves; the code of a client.

    In `models/` is a Triton repository for its storage, or, for the backend `python`, in `predictor/` the model with a server
    of KServe's own kind, and a Dockerfile. Raises InputError.
    """
    service = service_name(endpoint.name)
    outputs = json.dumps([tensor.name for tensor in endpoint.outputs], ensure_ascii=False)
    text = SERVICE.format(service=yaml_string(service), outputs=yaml_string(outputs))
    if options.backend == "python":
        (folder / "predictor").mkdir()
        deployed.save(folder / "predictor" / f"model{endpoint.suffix}")
        predictor = files("openvino_xai.serve.programs").joinpath("kserve_predictor.py").read_text(encoding="utf-8")
        (folder / "predictor" / "predictor.py").write_text(predictor, encoding="utf-8")
        dockerfile = DOCKERFILE.format(kserve=VERSION, runtime=endpoint.runtime, version=_installed_version(endpoint.runtime))
        (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        arguments = [
            f"--model_name={endpoint.name}",
            f"--model_path=/predictor/model{endpoint.suffix}",
            f"--precision={options.precision}",
            "--address=0.0.0.0",
        ]
        text += OF_ITS_OWN.format(image=yaml_string(f"{service}-predictor"), arguments=", ".join(map(yaml_string, arguments)))
    else:
        triton.write_triton(folder / "models", endpoint, deployed, options)
        storage = yaml_string(f"pvc://models/{endpoint.name}")
        text += BY_TRITON.format(format=yaml_string(FORMATS[endpoint.suffix]), storage=storage)
    (folder / "inference_service.yaml").write_text(text, encoding="utf-8")
    return client(endpoint, options.backend)


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


def _installed_version(runtime: Runtime) -> str:
    """The version of a runtime here, whichever package brings it: some are built for other devices."""
    return version(packages_distributions()[runtime][0])


def client(endpoint: Endpoint, backend: str) -> str:
    """How a client asks."""
    if backend == "python":
        return client_code(endpoint, name=endpoint.name, protocol="http", port=PORT, shapes=endpoint.request)
    return triton.client(endpoint, port=PORT)


KSERVE = Server(
    title="KServe",
    write=write_kserve,
    start="kubectl apply -f inference_service.yaml   # when what it names is there: the storage, or the image",
    backends=triton.BACKENDS,
    options=frozenset({"backend", "precision"}),
)
