"""What is asked of `ovxai evaluate`, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.options import LayerOptions, NetworkOptions, ProbeOptions

if TYPE_CHECKING:
    from openvino_xai.evaluate.classes.case import Choices
    from openvino_xai.evaluate.sanity import Stage


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is measured, of which photos, under which conditions, and where it is kept."""

    model: str
    inputs: list[str]
    metrics: list[str]
    choices: Choices
    options: LayerOptions
    probing: ProbeOptions
    running: NetworkOptions
    limit: int | None
    output: Path | None
    conditions: dict[str, Any]
    again: bool
    sanity: bool
    baselines: bool
    report: Path | None
    beside: list[Path]


@dataclass(frozen=True)
class Measurement:
    """What was measured, how it is printed, and whether all images could be read."""

    result: dict[str, Any]
    stages: list[Stage]
    show: Callable[[dict[str, Any]], None]
    all_read: bool
