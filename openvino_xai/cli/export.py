"""`ovxai export`: a hooked model as a folder that a server can serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openvino_xai.cli.options import Json, ModelPath, takes_options
from openvino_xai.cli.options.choices import PRECISIONS, keys
from openvino_xai.cli.text import say, warn
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.serve.export import ServerName
    from openvino_xai.words import Precision

_SERVER = "triton, ovms (OpenVINO Model Server), kserve, mlserver (also Seldon Core 2), fastapi (a program), web (a page)."
_BACKEND = "Triton's backend: openvino, onnxruntime or python; by default the model's own."
_RUNTIME = "web: the folder of npm's package onnxruntime-web, as node_modules/onnxruntime-web; its files go into the page."
_LEGACY = "Triton: two endpoints on one copy of the weights, NAME as it was and NAME_xai with maps."
_OVERLAY = "Triton: one output more, PNG bytes of the map over the image, for clients that cannot draw."


@takes_options
def export(
    model: ModelPath,
    server: Annotated[str, typer.Option(help=_SERVER), keys("SERVERS", "serve.export")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    name: Annotated[str | None, typer.Option(help="The endpoint's name; by default the file's without _xai.")] = None,
    backend: Annotated[str | None, typer.Option(help=_BACKEND)] = None,
    precision: Annotated[str, typer.Option(help="f32, f16, bf16, or default for what the device prefers."), PRECISIONS] = "f32",
    legacy: Annotated[bool, typer.Option("--legacy", help=_LEGACY)] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help=_OVERLAY)] = False,
    runtime: Annotated[Path | None, typer.Option(help=_RUNTIME)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an export has written there, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """Write a hooked model as a repository for a model server, with its configuration and a client, or as a web page.

    Old clients do not break: their outputs keep name and order, their requests stay valid. The page (web) explains photos and
    the camera in the browser, by an ONNX file, and asks no server.
    """
    from openvino_xai.serve.export import export as exported

    endpoint = exported(
        model,
        output,
        server=cast("ServerName", server),
        name=name,
        backend=backend,
        precision=cast("Precision", precision),
        legacy=legacy,
        overlay=overlay,
        runtime=runtime,
        force=force,
    )
    for text in endpoint.warnings:
        warn(text)
    if as_json:
        outputs = [{"name": t.name, "dtype": str(t.dtype), "shape": list(t.shape)} for t in endpoint.outputs]
        served = {"output": str(output), "server": server, "name": endpoint.name, "outputs": outputs}
        checked = {"runtime": endpoint.runtime, "verified": endpoint.verified}
        say(to_json({**served, **checked, "grows_by": endpoint.grows_by, "warnings": endpoint.warnings}))
    else:
        say(f"{output}: {endpoint.name} for {server}; {endpoint.summary}")
