"""A repository for OpenVINO Model Server."""

from __future__ import annotations

import json
from pathlib import Path

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.servers.clients import client_code
from openvino_xai.serve.servers.readme import write_readme
from openvino_xai.serve.servers.server import Options, Server

START = """ovms --config_path config.json --port 9000 --rest_port 8000 \\
    --grpc_bind_address 127.0.0.1 --rest_bind_address 127.0.0.1"""


def write_ovms(folder: Path, endpoint: Endpoint, deployed: Deployed, options: Options) -> Endpoint:
    """Write `config.json`, a version folder and a README; the endpoint. The server reads outputs and shapes from the model."""
    precision = options.precision
    version = folder / endpoint.name / "1"
    version.mkdir(parents=True)
    deployed.save(version / f"model{endpoint.suffix}")
    hints = {"PERFORMANCE_HINT": "LATENCY", **({} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision})}
    config = {"name": endpoint.name, "base_path": endpoint.name, "target_device": "CPU", "plugin_config": hints}
    (folder / "config.json").write_text(
        json.dumps({"model_config_list": [{"config": config}]}, indent=2) + "\n", encoding="utf-8"
    )
    write_readme(folder, endpoint, start=START, client=client(endpoint))
    return endpoint


def client(endpoint: Endpoint) -> str:
    """How a client asks."""
    return client_code(endpoint, name=endpoint.name, protocol="grpc", port=9000, shapes=endpoint.request)


OVMS = Server(
    title="OpenVINO Model Server",
    write=write_ovms,
    backends={".xml": ("openvino",), ".onnx": ("openvino",)},
)
