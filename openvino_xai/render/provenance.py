"""What a report says of how it was made: versions, the model, its hook, and what it was fed. No machine or user is named."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeAlias

from openvino_xai.version import __version__

Rows: TypeAlias = "list[list[str]]"

RUNTIMES = ("openvino", "onnxruntime", "onnx", "numpy", "opencv-python-headless")
FIRST = ("method", "layer", "score", "targets", "scale", "precision", "device")  # of a hook's record
EPOCH = "SOURCE_DATE_EPOCH"  # of the environment: the time to write down, so that the same run writes the same page


def provenance(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tables with a `title` and `rows` of texts, for a page with a line of `explanations.jsonl`."""
    tables = {
        "Page": [["ovxai", __version__], ["written", written_at()]],
        "Model": _model(line),
        "Hook": _hook(line["hook"]),
        "Preprocessing": _preprocessing(line.get("preprocessing", {})),
        "Installed where the page was written": [["Python", platform.python_version()], *_versions()],
    }
    return [{"title": title, "rows": rows} for title, rows in tables.items() if rows]


def written_at() -> str:
    """The time in UTC, or that of `SOURCE_DATE_EPOCH`."""
    seconds = os.environ.get(EPOCH, "")
    digits = seconds.isascii() and seconds.isdigit() and len(seconds) < 12
    time = datetime.fromtimestamp(int(seconds), UTC) if digits else datetime.now(UTC)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def _model(line: Mapping[str, Any]) -> Rows:
    conditions = line.get("asked", {})
    facts = {
        "file": line.get("model"),
        "digest": conditions.get("model_digest"),
        "digest of the labels": conditions.get("labels_digest"),
        "explained by ovxai": conditions.get("ovxai"),
        "targets": conditions.get("targets"),
    }
    return [[name, str(fact)] for name, fact in facts.items() if fact is not None]


def _hook(record: Mapping[str, Any]) -> Rows:
    names = [*(name for name in FIRST if name in record), *sorted(set(record) - set(FIRST))]
    return [[name, str(record[name])] for name in names]


def _preprocessing(facts: Mapping[str, Any]) -> Rows:
    sources = facts.get("sources", {})
    rows = [[name, _text(fact), sources.get(name, "")] for name, fact in facts.items() if name not in ("fed", "sources")]
    return [["fed", facts["fed"], ""], *rows] if "fed" in facts else rows


def _text(fact: Any) -> str:
    return ", ".join(map(str, fact)) if isinstance(fact, (list, tuple)) else str(fact)


def _versions() -> Rows:
    rows = []
    for name in RUNTIMES:
        try:
            rows.append([name, version(name)])
        except PackageNotFoundError:  # another build of it
            continue
    return rows
