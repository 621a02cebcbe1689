"""`ovxai benchmark`: what a hook costs on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_xai.cli.options import HookOptions, Json, ModelPath, takes_options
from openvino_xai.cli.options.choices import Vocabulary
from openvino_xai.cli.options.flags import Device, Precision
from openvino_xai.cli.text import progress, say, say_table
from openvino_xai.errors import InputError
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.benchmark.compare import Row
    from openvino_xai.dialects.protocol import Deployed


@takes_options
def benchmark(
    model: ModelPath,
    options: HookOptions,
    device: Device = "CPU",
    precision: Precision = "f32",
    hint: Annotated[
        str,
        typer.Option(help="OpenVINO's performance hint: LATENCY or THROUGHPUT."),
        Vocabulary(lambda: ("LATENCY", "THROUGHPUT")),
    ] = "LATENCY",
    batch: Annotated[int, typer.Option(help="Images in a batch.", min=1)] = 1,
    iterations: Annotated[int, typer.Option(help="Timed inferences of each model.", min=2)] = 60,
    as_json: Json = False,
) -> None:
    """Measure a model plain and hooked, in turn in one process: latency, throughput, and what compiling and memory take.

    A plain model is hooked in memory; of a hooked one the hook is taken off for comparison. Ratios are hooked over plain.
    """
    from openvino_xai.benchmark.compare import Setting, compare
    from openvino_xai.contract import RECORD
    from openvino_xai.dialects.open import open_model
    from openvino_xai.record.removal import unhooked

    deployed = open_model(model)
    variants: dict[str, Deployed] = {}
    if deployed.info(RECORD):
        plain, variants["hooked"] = unhooked(deployed), deployed
    else:
        plain = deployed
        for kind in options.plan.split(","):
            variants[kind] = options.insert(model, plan=kind).deployed
    _check_batch(plain, batch)
    setting = Setting(device, precision, hint, batch, iterations)
    with progress("measuring") as show:
        rows = compare(plain, variants, setting, show)
    if as_json:
        record = next(iter(variants.values())).info(RECORD)
        say(to_json({"model": model, **asdict(setting), "hook": record, "rows": [asdict(row) for row in rows]}))
        return
    _print(rows, setting.batch, Path(model).name)


def _check_batch(plain: Deployed, batch: int) -> None:
    for value in plain.graph.inputs:
        size = value.shape[0] if value.shape else None
        if isinstance(size, int) and size != batch:
            raise InputError(f"input '{value.name}' has a fixed batch of {size}; --batch {batch} does not fit")


def _print(rows: list[Row], batch: int, name: str) -> None:
    from openvino_xai.operations.cost import human

    names = ("", "latency p50", "p95", "ratio", "images/s", "ratio", "compile", "peak memory", "file", "precision")
    cells = [
        (
            row.name,
            f"{row.latency_p50 * 1e3:.2f} ms",
            f"{row.latency_p95 * 1e3:.2f} ms",
            "" if row.latency_ratio is None else f"{row.latency_ratio:.3f}",
            f"{row.throughput:.1f}",
            "" if row.throughput_ratio is None else f"{row.throughput_ratio:.3f}",
            f"{row.compile_seconds:.2f} s",
            human(row.peak_bytes),
            human(row.file_bytes),
            row.precision,
        )
        for row in rows
    ]
    say_table(names, cells, texts=("", "precision"), title=f"{name}, batch {batch}")
