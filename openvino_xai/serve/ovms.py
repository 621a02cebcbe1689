"""A repository for OpenVINO Model Server."""

from __future__ import annotations

import json
from pathlib import Path

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.serve.clients import client_code
from openvino_xai.serve.endpoint import Endpoint


def write_ovms(folder: Path, endpoint: Endpoint, deployed: Deployed, *, precision: str) -> None:
    """Write `config.json` and a version folder. Outputs and shapes are read from the model itself."""
    version = folder / endpoint.name / "1"
    version.mkdir(parents=True)
    deployed.save(version / f"model{endpoint.suffix}")
    hints = {"PERFORMANCE_HINT": "LATENCY", **({} if precision == "default" else {"INFERENCE_PRECISION_HINT": precision})}
    config = {"name": endpoint.name, "base_path": endpoint.name, "target_device": "CPU", "plugin_config": hints}
    (folder / "config.json").write_text(
        json.dumps({"model_config_list": [{"config": config}]}, indent=2) + "\n", encoding="utf-8"
    )


def client(endpoint: Endpoint) -> str:
    """How a client asks."""
    return client_code(endpoint, name=endpoint.name, protocol="grpc", port=9000, shapes=endpoint.request)
