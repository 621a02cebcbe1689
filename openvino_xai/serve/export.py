"""A hooked model as a folder that a server can serve."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from openvino_xai.arguments import FLAG, PATH, TEXT, takes
from openvino_xai.choices import check_choice
from openvino_xai.contract import WANTED, reads
from openvino_xai.dialects.open import Model, open_model
from openvino_xai.errors import InputError
from openvino_xai.record.reading import records_of
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.repository import written_repository
from openvino_xai.serve.servers import fastapi, kserve, mlserver, ovms, triton
from openvino_xai.serve.servers.server import Options, Server, runtime_of
from openvino_xai.serve.web.site import WEB
from openvino_xai.words import Precision

ServerName: TypeAlias = Literal["triton", "ovms", "kserve", "mlserver", "fastapi", "web"]
PRECISIONS = get_args(Precision)
SERVERS: dict[str, Server] = {
    "triton": triton.TRITON,
    "ovms": ovms.OVMS,
    "kserve": kserve.KSERVE,
    "mlserver": mlserver.MLSERVER,
    "fastapi": fastapi.FASTAPI,
    "web": WEB,
}
NOT_THERE = {  # what is said of an option that a server has not
    "backend": "{title} has one backend: leave it out",
    "precision": "{title} runs the model as it is written: leave the precision out",
    "legacy": "a pair of endpoints with one copy of the weights is Triton's: {title} has none",
    "overlay": "a step that draws maps over images is Triton's: {title} has none",
    "runtime": "a folder of onnxruntime-web is for a page: {title} has its own runtime",
}


@takes(
    output=PATH,
    server=TEXT,
    name=TEXT.or_none(),
    backend=TEXT.or_none(),
    precision=TEXT,
    legacy=FLAG,
    overlay=FLAG,
    runtime=PATH.or_none(),
    force=FLAG,
)
def export(
    model: Model,
    output: str | os.PathLike[str],
    *,
    server: ServerName,
    name: str | None = None,
    backend: str | None = None,
    precision: Precision = "f32",
    legacy: bool = False,
    overlay: bool = False,
    runtime: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Endpoint:
    """Write a repository for a server, whole or not at all, and return what its clients see.

    `web` is a page that explains photos in the browser: `runtime` is a folder of npm's package onnxruntime-web, which it runs
    the model with.

    `name` is the endpoint's, by default the file's without `_xai`, so that the hooked model takes the place of the old one.
    `overlay` adds a step to Triton's endpoint, and an output `overlay` of PNG bytes: the map over the image.
    `force` replaces what an export has written, and refuses a folder with anything else in it. Raises InputError, also for a
    hook that was not verified in the runtime that will serve it, and ModelError for a model without a hook.
    """
    choices = {"backend": backend is not None, "precision": precision != "f32", "legacy": legacy, "overlay": overlay}
    choices["runtime"] = runtime is not None
    _refuse_options(server, precision, [option for option, is_chosen in choices.items() if is_chosen])
    serving = SERVERS[server]
    path = Path(model) if isinstance(model, (str, os.PathLike)) else None
    with written_repository(Path(output), force=force, source=path) as folder:
        deployed = open_model(model)
        if not serving.tells_class and any(reads(record, WANTED) for record in records_of(deployed.graph, deployed.info)):
            raise InputError(
                "the model wants to be told a class, which old clients do not: insert with targets top:K or all",
                options=("targets",),
            )
        options = Options(
            backend=serving.backend(deployed.suffix, backend),
            precision=precision,
            legacy=legacy,
            overlay=overlay,
            runtime=None if runtime is None else Path(runtime),
        )
        stem = path.stem.removesuffix("_xai") if path is not None else "model"
        endpoint = Endpoint.hooked(deployed, stem if name is None else name, runtime_of(options.backend, deployed))
        return serving.write(folder, endpoint, deployed, options)


def _refuse_options(server: str, precision: str, chosen: Sequence[str]) -> None:
    """Raise InputError for words that are not known, and for options that a server has not."""
    check_choice("server", server, SERVERS, options=("server",))
    check_choice("precision", precision, PRECISIONS, options=("precision",))
    for option in chosen:
        if option not in SERVERS[server].options:
            raise InputError(NOT_THERE[option].format(title=SERVERS[server].title), options=(option,))
