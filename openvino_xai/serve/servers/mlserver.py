"""A model for MLServer, which Seldon Core 2 and KServe run, too: settings, a runtime, and Seldon's resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.json_text import to_json
from openvino_xai.serve.endpoint import Endpoint, Tensor
from openvino_xai.serve.literals import yaml_string
from openvino_xai.serve.servers.by_python import requirement, write_hooked_model, write_program
from openvino_xai.serve.servers.clients import client_code
from openvino_xai.serve.servers.kserve import service_name
from openvino_xai.serve.servers.readme import write_readme
from openvino_xai.serve.servers.server import BY_PYTHON, Options, Server

VERSION = "1.7.1"  # what scripts/servers.py asks
START = f'pip install "mlserver=={VERSION}"   # and the runtime: openvino or onnxruntime\nmlserver start .'
PORT = 8081  # of gRPC: by HTTP MLServer reads JSON alone
SETTINGS = {  # a model runs in threads of the server: workers would hold copies of it, and die with uvloop 0.22
    "host": "127.0.0.1",
    "http_port": 8080,
    "grpc_port": PORT,
    "metrics_port": 8082,
    "parallel_workers": 0,
    "debug": False,
}
DOCKERFILE = """FROM seldonio/mlserver:{version}-slim
ENV MLSERVER_DEBUG=false MLSERVER_PARALLEL_WORKERS=0
RUN pip install --no-cache-dir {requirement}
COPY {name} /mnt/models/{name}
"""
RESOURCES = """# Seldon Core 2: a server with the image of the Dockerfile beside this file, and a model that asks for it.
apiVersion: mlops.seldon.io/v1alpha1
kind: Server
metadata:
  name: {server}
spec:
  serverConfig: mlserver
  extraCapabilities: [{capability}]
  podSpec:
    containers:
      - name: mlserver
        image: {image}
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata:
  name: {service}
spec:
  storageUri: {storage}  # where the folder {name} is
  requirements: [{capability}]
"""


def write_mlserver(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> Endpoint:
    """Write a folder with `model-settings.json`, the runtime and the model, and beside it what starts MLServer and Seldon, with
    a README; the endpoint. Raises InputError for a name that Kubernetes does not take.
    """
    service = service_name(endpoint.name)
    place = folder / endpoint.name
    write_hooked_model(place, endpoint, deployed)
    write_program(place / "runtime.py", "mlserver_runtime.py")
    settings: dict[str, Any] = {
        "name": endpoint.name,
        "implementation": "runtime.HookedRuntime",
        "platform": endpoint.runtime,
        "inputs": [_metadata(tensor) for tensor in endpoint.inputs],
        "outputs": [_metadata(tensor) for tensor in endpoint.outputs],
        "parameters": {"uri": f"./model{endpoint.suffix}", "extra": {"precision": options.precision}},
    }
    (place / "model-settings.json").write_text(to_json(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "settings.json").write_text(to_json(SETTINGS, indent=2) + "\n", encoding="utf-8")
    dockerfile = DOCKERFILE.format(version=VERSION, requirement=requirement(endpoint.runtime), name=endpoint.name)
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    resources = RESOURCES.format(
        server=yaml_string(f"{service}-server"),
        capability=yaml_string(f"ovxai-{service}"),
        image=yaml_string(f"{service}-mlserver"),
        service=yaml_string(service),
        storage=yaml_string(f"s3://models/{endpoint.name}"),
        name=endpoint.name,
    )
    (folder / "seldon.yaml").write_text(resources, encoding="utf-8")
    code = client_code(endpoint, name=endpoint.name, protocol="grpc", port=PORT, shapes=endpoint.request)
    write_readme(folder, endpoint, start=START, client=code)
    return endpoint


def _metadata(tensor: Tensor) -> dict[str, Any]:
    """A tensor, as the protocol's metadata have it."""
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


MLSERVER = Server(
    title="MLServer",
    write=write_mlserver,
    backends=BY_PYTHON,
)
