"""Hooked models with odd names, exported for a server: what is written is read back as it was meant, or nothing is written."""

from __future__ import annotations

import ast
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf import text_format

from hostile_files.onnx_files import _rename
from hostile_files.traps import NAMES, OURS, bytes_changed

KINDS = ("served: names of tensors", "served: names of tensors and files", "served: labels and records", "served: broken bytes")
SERVERS = {
    "triton": [[], ["--overlay"], ["--legacy", "--overlay"], ["--backend", "python"]],
    "ovms": [[]],
    "kserve": [[], ["--backend", "python"]],
    "mlserver": [[]],
    "fastapi": [[]],
}
MORE_NAMES = [
    'x" } ] version_policy { all { } } #',
    '"},"implementation":"os.system","a":{"b":"',
    "x: {y: 1} # &a *a !!python/object/apply:os.system ['id']",
    "'''); raise SystemExit(3) #",
    "\\",
    '"',
    "é" * 3000,
]
OUTPUT = "in/served"


def make_served(kind: str, rng: random.Random, folder: Path, template: Path) -> list[str]:
    """A folder with a hooked model of which names, or records, are odd, and the command that exports it."""
    folder.mkdir(parents=True)
    model, path = onnx.load(template / "hooked.onnx"), folder / "model_xai.onnx"
    if "tensors" in kind:
        for place in rng.sample(["image", "logits", "logits", "saliency_map"], rng.choice([1, 1, 2])):
            old = {"image": model.graph.input[0].name, "logits": model.graph.output[0].name}.get(place, place)
            new = rng.choice([*NAMES, *MORE_NAMES, *MORE_NAMES, *OURS])
            _rename(model.graph, old, new)
            for entry in model.metadata_props:  # the record names them, too
                entry.value = new if entry.value == old else entry.value
    if kind.endswith("files"):
        path = folder / rng.choice(
            ["a b_xai.onnx", "'; id; '_xai.onnx", "$(id)_xai.onnx", "ü_xai.onnx", "..onnx", "-x_xai.onnx"]
        )
    if "records" in kind:
        entry = rng.choice(model.metadata_props)
        entry.value = rng.choice([*NAMES, *MORE_NAMES])
        model.metadata_props.add(key="model_info labels", value=rng.choice([*NAMES, *MORE_NAMES]))
    data = model.SerializeToString()
    path.write_bytes(bytes_changed(rng, data) if "bytes" in kind else data)
    if rng.random() < 0.1:
        shutil.copytree(template / "photos", folder / "served")  # somebody else's
    server = rng.choice(list(SERVERS))
    force = ["--force"] if rng.random() < 0.3 else []
    names = [*NAMES, "config.json", *["cells"] * (4 * len(NAMES))]
    name = ["--name", rng.choice(names).replace("\0", "")] if rng.random() < 0.6 else []
    return [
        "export",
        "--model",
        f"./{path.name}",
        "--server",
        server,
        "--output",
        "served",
        *rng.choice(SERVERS[server]),
        *force,
        *name,
    ]


def faults(folder: Path) -> list[str]:
    """What is wrong with what was written: whatever no reader takes, and names that are not the model's."""
    wrong: list[str] = []
    for path in sorted(folder.rglob("*")):
        read = READERS.get(path.name) or READERS.get(path.suffix)
        if read is None or not path.is_file():
            continue
        try:
            names = read(path.read_text(encoding="utf-8"))
        except Exception as error:  # whatever a reader says
            wrong.append(f"injected: {path.name}: {type(error).__name__}")
            continue
        if names is not None and not _are_of(names, folder):
            wrong.append(f"injected: {path.name}: other names")
    return wrong


def _are_of(names: list[str], folder: Path) -> bool:
    """Whether names are among those of the model in a folder, or what an export adds."""
    path = next(folder.rglob("model.onnx"))
    graph = onnx.load(path).graph
    there = {value.name for value in (*graph.input, *graph.output)}
    return all(name in there or name == "overlay" or any(name.endswith(other) for other in there) for name in names)


def _triton(text: str) -> list[str]:
    from openvino_xai.serve.servers.model_config import model_config

    config = text_format.Parse(text, model_config()())
    assert {item.key for item in config.parameters} <= {"PERFORMANCE_HINT", "HINT_BF16", "precision"}
    return [field.name for field in (*config.input, *config.output)]


def _mlserver(text: str) -> list[str]:
    settings = json.loads(text)
    assert settings["implementation"] == "runtime.HookedRuntime"
    return [item["name"] for item in (*settings["inputs"], *settings["outputs"])]


def _yaml(text: str) -> list[str] | None:
    import yaml

    documents = list(yaml.safe_load_all(text))
    assert all(set(document) == {"apiVersion", "kind", "metadata", "spec"} for document in documents)
    outputs = [document["metadata"].get("annotations", {}).get("ovxai/outputs") for document in documents]
    return [name for output in outputs if output for name in json.loads(output)]


def _client(text: str) -> None:
    for block in text.split("```python\n")[1:]:
        tree = ast.parse(block.partition("\n```")[0])
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not any(word in name for name in called for word in ("system", "exec", "eval", "__import__", "SystemExit"))


def _json(text: str) -> None:
    json.loads(text)


def _python(text: str) -> None:
    ast.parse(text)


READERS: dict[str, Callable[[str], Any]] = {
    "config.pbtxt": _triton,
    "model-settings.json": _mlserver,
    "README.md": _client,
    ".json": _json,
    ".yaml": _yaml,
    ".py": _python,
}
