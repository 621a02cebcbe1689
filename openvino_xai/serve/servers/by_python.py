"""A model beside a program that runs it in a server, and what the program has to know of the hook."""

from __future__ import annotations

from functools import cache
from importlib.metadata import packages_distributions, version
from importlib.resources import files
from pathlib import Path

from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.json_text import to_json
from openvino_xai.serve.endpoint import Endpoint

PROGRAMS = "openvino_xai.serve.programs"


def write_program(path: Path, name: str) -> None:
    """Copy a program that runs in a server."""
    path.write_text(program(name), encoding="utf-8")


def program(name: str) -> str:
    """The text of a program that runs in a server."""
    return files(PROGRAMS).joinpath(name).read_text(encoding="utf-8")


def write_hooked_model(folder: Path, endpoint: Endpoint, deployed: Deployed) -> None:
    """Write `model.xml` or `model.onnx`, `hooked_model.py`, which runs it, and `hook.json`, what the hook adds."""
    folder.mkdir(parents=True)
    deployed.save(folder / f"model{endpoint.suffix}")
    write_program(folder / "hooked_model.py", "hooked_model.py")
    added = [tensor.name for tensor in endpoint.outputs if tensor.name in endpoint.added]
    (folder / "hook.json").write_text(to_json({"added": added, "gate": endpoint.gate}, indent=2) + "\n", encoding="utf-8")


@cache  # it looks at every package that is installed
def requirement(runtime: Runtime) -> str:
    """The package of a runtime at the version that is installed here, whichever package brings it here."""
    return f"{runtime}=={version(packages_distributions()[runtime][0])}"
