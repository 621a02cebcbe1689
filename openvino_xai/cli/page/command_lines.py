"""The command lines that do what a page shows, as a shell reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.insert import IR, ONNX
from openvino_xai.cli.page.start import FED, Start
from openvino_xai.cli.text import quoted

if TYPE_CHECKING:
    from openvino_xai.ui.question import Question


def command_lines(start: Start, photos: Mapping[str, Path], question: Question) -> dict[str, str]:
    """The command lines that make the picture that a page shows, and that write what the network is fed into the model."""
    from openvino_xai.contract import VECTOR_TARGETS
    from openvino_xai.probes import PROBE_NAMES
    from openvino_xai.render.overlay import OVERLAY
    from openvino_xai.ui.question import fed_by

    options = start.chosen(question.choice)
    fed = fed_by(start.running.values(), question.preprocessing)
    feeding = {"preprocess" if name == "preset" else name: value for name, value in fed.items()}
    hook = {name: value for name, value in _unusual(options).items() if options.method not in PROBE_NAMES or name != "method"}
    running = {name: value for name, value in _unusual(start.running).items() if name not in FED}
    drawn: dict[str, object] = {"targets": ",".join(map(str, question.classes))} if question.classes else {}
    vectors = {"against": start.against, "similarity": start.similarity} if start.against is not None else {}
    if vectors:
        drawn = {name: value for name, value in vectors.items() if value is not None}
        hook |= {"targets": VECTOR_TARGETS, **{name: drawn[name] for name in ("similarity",) if name in drawn}}
    if question.opacity != OVERLAY.opacity:
        drawn["opacity"] = f"{question.opacity:g}"
    photo = photos.get(question.photo, question.name)
    explained = {"model": start.model, "input": photo, "output": "explained", **_unusual(options), **feeding, **running}
    written = f"{Path(start.model).stem}_xai{ONNX if start.model.endswith(ONNX) else IR}"
    return {
        "explain": _line("explain", {**explained, **_unusual(start.probing), **drawn}),
        "insert": _line("insert", {"model": start.model, **hook, **feeding, "output": written}),
    }


def _unusual(options: Any) -> dict[str, object]:
    """The options that are not as they are by default."""
    return {field.name: value for field in fields(options) if (value := getattr(options, field.name)) != field.default}


def _line(command: str, options: Mapping[str, object]) -> str:
    """A command line for a shell, an option a line, whatever is in the names."""
    lines = [f"ovxai {command}"]
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        for item in map(str, value if isinstance(value, (list, tuple)) else [value]):
            words = [f"{flag}={item}"] if item.startswith("-") else [flag, item]
            lines.append(" ".join(map(quoted, words)))
    return " \\\n  ".join(lines)
