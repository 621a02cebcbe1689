"""A hooked model as a folder that a server can serve."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from openvino_xai.arguments import FLAG, PATH, TEXT, takes
from openvino_xai.choices import check_choice
from openvino_xai.contract import WANTED, reads
from openvino_xai.dialects.open import Model, open_model
from openvino_xai.errors import InputError
from openvino_xai.record.reading import records_of
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.literals import code_block, code_span
from openvino_xai.serve.repository import written_repository
from openvino_xai.serve.servers import kserve, mlserver, ovms, triton
from openvino_xai.serve.servers.server import Options, Server, runtime_of
from openvino_xai.words import Precision

ServerName: TypeAlias = Literal["triton", "ovms", "kserve", "mlserver"]
PRECISIONS = get_args(Precision)
SERVERS: dict[str, Server] = {
    "triton": triton.TRITON,
    "ovms": ovms.OVMS,
    "kserve": kserve.KSERVE,
    "mlserver": mlserver.MLSERVER,
}


@takes(output=PATH, server=TEXT, name=TEXT.or_none(), backend=TEXT.or_none(), precision=TEXT, legacy=FLAG, force=FLAG)
def export(
    model: Model,
    output: str | os.PathLike[str],
    *,
    server: ServerName,
    name: str | None = None,
    backend: str | None = None,
    precision: Precision = "f32",
    legacy: bool = False,
    force: bool = False,
) -> Endpoint:
    """Write a repository for a server, whole or not at all, and return what its clients see.

    `name` is the endpoint's, by default the file's without `_xai`, so that the hooked model takes the place of the old one.
    `force` replaces what an export has written, and refuses a folder with anything else in it. Raises InputError, also for a
    hook that was not verified in the runtime that will serve it, and ModelError for a model without a hook.
    """
    _refuse_options(server, precision, legacy=legacy)
    serving = SERVERS[server]
    path = Path(model) if isinstance(model, (str, os.PathLike)) else None
    with written_repository(Path(output), force=force, source=path) as folder:
        deployed = open_model(model)
        if any(reads(record, WANTED) for record in records_of(deployed.graph, deployed.info)):
            raise InputError(
                "the model wants to be told a class, which old clients do not: insert with targets top:K or all",
                options=("targets",),
            )
        options = Options(backend=serving.backend(deployed.suffix, backend), precision=precision, legacy=legacy)
        stem = path.stem.removesuffix("_xai") if path is not None else "model"
        endpoint = Endpoint.hooked(deployed, stem if name is None else name, runtime_of(options.backend, deployed))
        code = serving.write(folder, endpoint, deployed, options)
        (folder / "README.md").write_text(_readme(endpoint, serving, code, legacy=legacy), encoding="utf-8")
    return endpoint


def _refuse_options(server: str, precision: str, *, legacy: bool) -> None:
    """Raise InputError for words that are not known, and for what a server has not."""
    check_choice("server", server, SERVERS, options=("server",))
    check_choice("precision", precision, PRECISIONS, options=("precision",))
    if legacy and "legacy" not in SERVERS[server].options:
        pair = "a pair of endpoints with one copy of the weights"
        raise InputError(f"{pair} is Triton's: {server} has none", options=("legacy",))


def _readme(endpoint: Endpoint, server: Server, code: str, *, legacy: bool) -> str:
    outputs = "\n".join(f"- {code_span(t.name)} {t.dtype} {list(t.shape)}" for t in endpoint.outputs)
    pair = (
        f"`{endpoint.name}` answers as it did, `{endpoint.name}_xai` with maps; both run `{endpoint.name}_core`, one copy of "
        "the weights, which computes the maps either way. Outputs of an ensemble come in no order: take them by name.\n\n"
        if legacy
        else ""
    )
    requests = "Requests stay what they were." if endpoint.gate is None else "Requests have one input more."
    warnings = "".join(f"Note: {text}.\n\n" for text in endpoint.warnings)
    return f"""# {endpoint.name}

{pair}Outputs, the old ones first and as they were:

{outputs}

A response for one image grows by {endpoint.grows_by} bytes. {requests} {endpoint.checked}.

{warnings}Serve it, on this machine alone:

{code_block(server.start)}
Ask it:

{code_block(code, "python")}"""
