"""A hooked model as a folder that a server can serve."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from openvino_xai.errors import InputError
from openvino_xai.graph.files import Model, open_model, writing
from openvino_xai.graph.scratch import scratch_folder
from openvino_xai.serve import kserve, ovms, triton
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.surgery.record import RECORD, reads
from openvino_xai.surgery.site import WANTED

Server: TypeAlias = Literal["triton", "ovms", "kserve"]
PRECISIONS = ("f32", "f16", "bf16", "default")
STARTS = {
    "triton": "tritonserver --model-repository=. --http-address=127.0.0.1 --grpc-address=127.0.0.1 --metrics-address=127.0.0.1",
    "ovms": "ovms --config_path config.json --port 9000 --rest_port 8000 \\\n"
    "    --grpc_bind_address 127.0.0.1 --rest_bind_address 127.0.0.1",
    "kserve": "kubectl apply -f inference_service.yaml   # when what it names is there: the storage, or the image",
}


def export(
    model: Model,
    output: str | os.PathLike[str],
    *,
    server: Server,
    name: str | None = None,
    backend: str | None = None,
    precision: str = "f32",
    legacy: bool = False,
    force: bool = False,
) -> Endpoint:
    """Write a repository for a server, whole or not at all, and return what its clients see.

    `name` is the endpoint's, by default the file's without `_xai`, so that the hooked model takes the place of the old one.
    Raises InputError, and ModelError for a model without a hook.
    """
    for word, told, known in (("server", server, get_args(Server)), ("precision", precision, PRECISIONS)):
        if told not in known:
            raise InputError(f"{word} '{told}' is not known: one of {', '.join(known)} is expected")
    if legacy and server != "triton":
        raise InputError(f"a pair of endpoints with one copy of the weights is Triton's: {server} has none")
    if backend is not None and server == "ovms":
        raise InputError("OpenVINO Model Server has one backend: leave it out")
    target = Path(output)
    if target.exists() and not force:
        raise InputError(f"{target} exists; choose another folder or overwrite it with --force")
    deployed = open_model(model)
    if reads(deployed.info(RECORD), WANTED):
        raise InputError("the model wants to be told a class, which old clients do not: insert with --targets top:K or all")
    stem = Path(model).stem.removesuffix("_xai") if isinstance(model, (str, os.PathLike)) else "model"
    endpoint = Endpoint.hooked(deployed, name or stem)
    with writing(target), scratch_folder(target.parent) as scratch:
        folder = scratch / target.name
        folder.mkdir()
        if server == "triton":
            triton.write_triton(folder, endpoint, deployed, backend=backend, precision=precision, legacy=legacy)
            told = triton.client(endpoint, legacy)
        elif server == "ovms":
            ovms.write_ovms(folder, endpoint, deployed, precision=precision)
            told = ovms.client(endpoint)
        else:
            kserve.write_kserve(folder, endpoint, deployed, backend=backend, precision=precision)
            told = kserve.client(endpoint)
        (folder / "README.md").write_text(_readme(endpoint, server, legacy, told), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
    return endpoint


def _readme(endpoint: Endpoint, server: Server, legacy: bool, told: str) -> str:
    outputs = "\n".join(f"- `{t.name}` {t.dtype} {list(t.shape)}" for t in endpoint.outputs)
    pair = (
        f"`{endpoint.name}` answers as it did, `{endpoint.name}_xai` with maps; both run `{endpoint.name}_core`, one copy of "
        "the weights, which computes the maps either way. Outputs of an ensemble come in no order: take them by name.\n\n"
        if legacy
        else ""
    )
    warned = "".join(f"Note: {text}.\n\n" for text in endpoint.warnings)
    return f"""# {endpoint.name}

{pair}Outputs, the old ones first and as they were:

{outputs}

A response for one image grows by {endpoint.grows_by} bytes. Requests stay what they were.

{warned}Serve it, on this machine alone:

```
{STARTS[server]}
```

Ask it:

```python
{told}```
"""
