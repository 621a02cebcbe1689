"""The folder of a page: the page itself, the model beside it, what is known of the model, and the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError
from openvino_xai.json_text import to_json
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.literals import code_block
from openvino_xai.serve.servers.server import Server
from openvino_xai.serve.web.facts import describe, facts_of
from openvino_xai.serve.web.runtime_files import CPU, PACKAGE, RuntimeFiles

MODEL = "model.onnx"
RUNTIME = "ort"  # the folder of the runtime's files
LARGEST = 2**31 - 1  # bytes that a browser's array and a protobuf may have
LARGE = 200_000_000  # bytes that are long in coming
SHARED = "map.js"  # what reports draw maps with
START = "python -m http.server 8000 --bind 127.0.0.1"
ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Page(Endpoint):
    """A hooked model as people see it in a browser; `notes` are what they may stumble over."""

    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What is doubtful, or missing."""
        return list(self.notes)

    @property
    def summary(self) -> str:
        """How it is opened."""
        return f"serve the folder (`{START} --directory FOLDER`) and open {ADDRESS}"


def write_page(folder: Path, endpoint: Endpoint, deployed: Deployed, package: Path | None) -> Page:
    """Write the page into a folder, with the runtime of a `package`; what people see of it. Raises InputError, ModelError."""
    runtime = None if package is None else RuntimeFiles.of(package)
    facts = facts_of(deployed)
    paths = deployed.save(folder / MODEL)
    sizes = {path.name: path.stat().st_size for path in paths}
    _refuse_size(sizes)
    unverified = [] if endpoint.verified else [f"{endpoint.checked}: bits may differ in the browser, too"]
    notes = (*unverified, *_notes(facts, sizes, runtime))
    data = [name for name in sizes if name != MODEL]
    served = {"file": MODEL, "bytes": sizes[MODEL], "data": data, "runtime": None if runtime is None else _served(runtime)}
    text = to_json({"name": endpoint.name, **served, **facts})
    (folder / "facts.js").write_text(f'"use strict";\nconst data = {text};\n', encoding="utf-8")
    _write_scripts(folder)
    if runtime is not None:
        (folder / RUNTIME).mkdir()
        for name, content in runtime.files.items():
            (folder / RUNTIME / name).write_bytes(content)
    (folder / "README.md").write_text(_readme(endpoint, facts, runtime, notes), encoding="utf-8")
    return Page(**vars(endpoint), notes=notes)


def _write_scripts(folder: Path) -> None:
    for part in files("openvino_xai.serve.web").joinpath("page").iterdir():
        (folder / part.name).write_bytes(part.read_bytes())
    (folder / SHARED).write_bytes(files("openvino_xai.render").joinpath("page", SHARED).read_bytes())


def _served(runtime: RuntimeFiles) -> dict[str, Any]:
    return {"version": runtime.version, "gpu": runtime.has_gpu}


def _refuse_size(sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if size > LARGEST:
            raise InputError(
                f"the model's {name} has {size / 1e9:.1f} GB, and a browser takes 2.1: quantise it, or take a smaller one"
            )


def _notes(facts: Mapping[str, Any], sizes: Mapping[str, int], runtime: RuntimeFiles | None) -> list[str]:
    notes = list(facts["doubts"])
    if runtime is None:
        notes.append(
            f"the page has no runtime yet: name a folder of npm's package {PACKAGE} as runtime, or copy files as its README.md "
            "says"
        )
    total = sum(sizes.values())
    if total > LARGE:
        notes.append(f"the model has {total / 1e6:.0f} MB, which a browser loads and keeps twice")
    return notes


def _readme(endpoint: Endpoint, facts: Mapping[str, Any], runtime: RuntimeFiles | None, notes: tuple[str, ...]) -> str:
    steps = "" if runtime is not None else f"Fetch the runtime, in this folder:\n\n{code_block(_copy_lines())}\n"
    version = f"The runtime is {PACKAGE} {runtime.version or 'of an unknown version'}.\n\n" if runtime is not None else ""
    warnings = "".join(f"Note: {note}.\n\n" for note in notes)
    return f"""# {endpoint.name}

A page that explains photos and the camera in the browser. {describe(facts)} Nothing leaves the browser,
and nothing is loaded from elsewhere.

{version}{warnings}{steps}Serve this folder, on this machine alone, and open {ADDRESS}:

{code_block(START)}
Any web server will do that sends `.mjs` as `text/javascript` and `.wasm` as `application/wasm`. Browsers give the camera to
pages from this machine or by HTTPS. Where the server sends `Cross-Origin-Opener-Policy: same-origin` and
`Cross-Origin-Embedder-Policy: require-corp`, several threads run the model.
"""


def _copy_lines() -> str:
    return (
        f"npm install --prefix runtime {PACKAGE}\nmkdir {RUNTIME}\n"
        f"cp runtime/node_modules/{PACKAGE}/dist/{CPU} runtime/node_modules/{PACKAGE}/dist/ort-wasm-simd-threaded.* {RUNTIME}/"
    )


WEB = Server(
    title="a browser",
    write=lambda folder, endpoint, deployed, options: write_page(folder, endpoint, deployed, options.runtime),
    backends={".onnx": ("onnxruntime",)},
    options=frozenset({"runtime"}),
    tells_class=True,
    otherwise=": hook the ONNX file that it was converted from, or one that your training framework exports",
)
