"""Configurations read by the schemas of those who read them in earnest: run in the environment of Triton or of MLServer.

    python schemas.py FOLDER

FOLDER has repositories that export has written. One JSON object on stdout: of each configuration the names of its inputs and
outputs, and which other fields are set.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def triton(path: Path) -> dict[str, Any]:
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    config = text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    fields = sorted(field.name for field, _ in config.ListFields())
    maps = [{**step.input_map, **step.output_map} for step in config.ensemble_scheduling.step]
    return {
        "names": [field.name for field in (*config.input, *config.output)],
        "fields": [*fields, *sorted(config.parameters)],
        "maps": [sorted(map(list, pairs.items())) for pairs in maps],
    }


def mlserver(path: Path) -> dict[str, Any]:
    from mlserver.settings import ModelSettings

    settings = ModelSettings.parse_file(str(path))
    fields = [settings.implementation_, settings.parameters.uri, *settings.parameters.extra]
    return {"names": [item.name for item in (*settings.inputs, *settings.outputs)], "fields": fields, "maps": []}


READERS = {"config.pbtxt": triton, "model-settings.json": mlserver}


def main(folder: Path) -> None:
    name = "model-settings.json" if (Path(sys.prefix) / "bin" / "mlserver").exists() else "config.pbtxt"
    print(json.dumps({str(path.relative_to(folder)): READERS[name](path) for path in sorted(folder.rglob(name))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
