"""Jobs from the command line: options, and progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from openvino_xai.cli.options.choices import literal
from openvino_xai.cli.options.group import Group
from openvino_xai.cli.text import progress, warn

if TYPE_CHECKING:
    from openvino_xai.serve.jobs import Load, Work

_ENGINE = "Work off many images in shards, into Parquet: local (processes) or ray (machines)."


@dataclass(frozen=True)
class EngineOptions(Group):
    """How a job of many images is cut into shards and run."""

    engine: Annotated[str | None, typer.Option(help=_ENGINE, rich_help_panel="Jobs"), literal("Engine", "serve.jobs")] = None
    workers: Annotated[int, typer.Option(help="Processes, each with a network.", min=1, rich_help_panel="Jobs")] = 1
    shard_size: Annotated[int, typer.Option(help="Images of a file.", min=1, rich_help_panel="Jobs")] = 200

    def run(
        self,
        folder: Path,
        items: dict[str, Any],
        sources: dict[str, Any],
        loader: Callable[[], Load],
        work: Work,
        conditions: dict[str, Any],
    ) -> dict[str, Any]:
        """Run a job of items, by name, into a folder, and show its progress; returns its summary. Raises an OvxaiError."""
        from openvino_xai.serve.jobs import Engine, Job, run_job

        job = Job(folder, items, self.shard_size, loader, work, conditions, sources)
        start = time.perf_counter()
        with progress("working") as show:

            def tell(done: int, total: int) -> None:
                show(f"working, {done / (time.perf_counter() - start):.3g} images/s", done, total)

            return run_job(job, cast(Engine, self.engine), self.workers, tell, warn)
