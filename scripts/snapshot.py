"""What hooks are made of, written down, so that a change of the code that should change none of it can be held to that.

    python scripts/snapshot.py SNAPSHOT.json                    write one
    python scripts/snapshot.py NOW.json --compare BEFORE.json   write one, and say where it differs from another; exit status 1

For the networks of `tests/zoo` and the samples, in both dialects: the layers that are listed, with cost and reason, and for
each method the nodes that the hook adds, in order: name, operation, attributes, operands, and shapes as far as they are known.
Constants stand by the digest of what they hold. A refusal stands by its message. Nothing is run, and so nothing is verified.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import openvino as ov
from rich.progress import track

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import OvxaiError

ROOT = Path(__file__).parents[1]
METHODS = ("reciprocam", "vit_reciprocam", "grad_cam", "fd_cam", "ablation_cam")
FILES = (*sorted((ROOT / "tests" / "zoo").glob("*.onnx")), *sorted((ROOT / "samples" / "models").glob("*.[xo]*")))


def cases() -> list[tuple[str, Any]]:
    """Each model by its name and dialect."""
    models: list[tuple[str, Any]] = []
    for path in FILES:
        if path.suffix == ".onnx":
            models.append((f"{path.stem} onnx", path))
        models.append((f"{path.stem} openvino", ov.Core().read_model(path)))
    return models


def taken(model: Any) -> dict[str, Any]:
    """The snapshot of one model."""
    snapshot: dict[str, Any] = {"layers": [asdict(layer) for layer in xai.layers(model)]}
    before = {name for name, *_ in nodes(open_model(model))}
    for method in METHODS:
        try:
            hooked = xai.insert(model, method=method, verify=False)
        except OvxaiError as error:
            snapshot[method] = {"refused": str(error)}
            continue
        added = _renumbered([node for node in nodes(hooked.deployed) if node[0] not in before])
        snapshot[method] = {"record": hooked.record, "cost": hooked.layer.cost, "memory": hooked.layer.memory, "nodes": added}
    return snapshot


def _renumbered(added: list[list[Any]]) -> list[list[Any]]:
    """Nodes of which the names that OpenVINO numbers as a process goes on, as Convert_155148, are numbered in their order."""
    numbered: dict[str, str] = {}
    for name, op, *_ in added:
        if re.fullmatch(rf"{re.escape(op)}_\d+", name):
            numbered[name] = f"{op}_#{len(numbered)}"
    return [
        [numbered.get(name, name), op, attributes, [_renamed(operand, numbered) for operand in operands], shapes]
        for name, op, attributes, operands, shapes in added
    ]


def _renamed(operand: str | None, numbered: dict[str, str]) -> str | None:
    name, colon, port = (operand or "").rpartition(":")
    return numbered[name] + colon + port if name in numbered else operand


def nodes(deployed: Deployed) -> Iterator[list[Any]]:
    """The nodes of a model: name, operation, attributes, operands and shapes of outputs."""
    return _of_openvino(deployed.native) if deployed.suffix == ".xml" else _of_onnx(deployed.native)


def _of_openvino(model: ov.Model) -> Iterator[list[Any]]:
    for op in model.get_ordered_ops():
        if op.get_type_name() in ("Constant", "Parameter", "Result"):
            continue
        operands = [_operand(port.get_source_output()) for port in op.inputs()]
        shapes = [str(port.get_partial_shape()) for port in op.outputs()]
        yield [op.get_friendly_name(), op.get_type_name(), _plain(op.get_attributes()), operands, shapes]


def _operand(port: ov.Output) -> str:
    node = port.get_node()
    constant = node.get_type_name() == "Constant"
    return digest(node.get_data()) if constant else f"{node.get_friendly_name()}:{port.get_index()}"


def _of_onnx(model: ir.Model) -> Iterator[list[Any]]:
    for node in model.graph:
        operands = [
            None if value is None else str(value.name) if value.const_value is None else digest(value.const_value.numpy())
            for value in node.inputs
        ]
        attributes = {name: attribute.value for name, attribute in node.attributes.items()}
        yield [node.name, node.op_type, _plain(attributes), operands, [str(value.shape) for value in node.outputs]]


def digest(array: np.ndarray) -> str:
    """A constant by what it holds."""
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
    return f"{array.dtype} {list(array.shape)} {content}"


def _plain(attributes: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in sorted(attributes.items())}


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """The places where two snapshots differ, a line each."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(before.get(name), after.get(name), f"{where}/{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{where}[{index}]")
    elif before != after:
        counts = [f"{len(item)} items" if isinstance(item, list) else str(item)[:200] for item in (before, after)]
        yield f"{where}: {counts[0]} -> {counts[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--compare", type=Path)
    options = parser.parse_args()
    models = cases()
    snapshot = {name: taken(model) for name, model in track(models, "taking", total=len(models))}
    text = json.dumps(snapshot, indent=1)
    options.snapshot.write_text(text + "\n", encoding="utf-8")
    if options.compare is not None:
        lines = list(differences(json.loads(options.compare.read_text(encoding="utf-8")), json.loads(text)))
        print("\n".join(lines) or "the snapshots are equal")
        sys.exit(bool(lines))


if __name__ == "__main__":
    main()
