"""Jobs larger than one sitting, or one machine: shards of images, each a file that is its own checkpoint.

A shard is worked off by one process and written whole, or not at all; a file that is there is not made again. So whatever is
killed, a worker or all of it, the next run goes on where the files end, and every image has one row.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from openvino_xai.errors import ImageError, InputError, ModelError
from openvino_xai.graph.files import written_whole
from openvino_xai.graph.scratch import sweep
from openvino_xai.runtime.network import Network
from openvino_xai.serve.lifetime import end_with_parent
from openvino_xai.serve.parts import arrow, count_rows, write_rows

Engine: TypeAlias = Literal["local", "ray"]
Work: TypeAlias = Callable[[Network, Sequence[Any]], Iterator["dict[str, Any] | ImageError"]]
Told: TypeAlias = Callable[[int, int], None]

PATIENCE = 3  # times that workers may die before any of them has finished a shard
JOB, MANIFEST = "job.json", "manifest.json"


@dataclass(frozen=True)
class Job:
    """Items, by name, that are worked off in shards of `size` into files in `folder`; `asked` is what makes it another job.

    `load` makes the network of a worker, and `work` rows of items, or why one cannot be read; both can be pickled.
    """

    folder: Path
    items: Mapping[str, Any]
    size: int
    load: Callable[[], Network]
    work: Work
    asked: Mapping[str, Any]

    @property
    def shards(self) -> list[Shard]:
        """All shards, in order."""
        names = list(self.items)
        return [
            Shard(
                self.folder / f"part-{index:06}.parquet", {name: self.items[name] for name in names[start : start + self.size]}
            )
            for index, start in enumerate(range(0, len(names), self.size))
        ]


@dataclass(frozen=True)
class Shard:
    """Some items by name, and the file for their rows."""

    path: Path
    items: Mapping[str, Any]

    @property
    def done(self) -> bool:
        """Whether its file is there."""
        return self.path.exists()


def run_shard(shard: Shard, network: Network, work: Work) -> int:
    """Work off a shard that is not done; the number of its images. Whoever does it, and however often, the file is the same."""
    if not shard.done:
        told = work(network, list(shard.items.values()))
        rows = [{"image": name, **_row(found)} for name, found in zip(shard.items, told, strict=True)]
        write_rows(shard.path, rows)
    return len(shard.items)


def _row(found: dict[str, Any] | ImageError) -> dict[str, Any]:
    return {"error": str(found)} if isinstance(found, ImageError) else {"error": None, **found}


def run_job(job: Job, engine: Engine, workers: int, told: Told) -> dict[str, Any]:
    """Work off what is left of a job, and tell what there is then, which is also written to `manifest.json`.

    Raises InputError where the folder holds another job, or what the engine needs is not installed, and ModelError where
    workers die again and again.
    """
    if engine not in get_args(Engine):
        raise InputError(f"engine '{engine}' is not known: one of {', '.join(get_args(Engine))} is expected")
    arrow()
    _claim(job)
    shards = job.shards
    start, left = time.perf_counter(), [shard for shard in shards if not shard.done]
    counted = _Counted(len(job.items), sum(len(shard.items) for shard in shards if shard.done), told)
    {"local": _locally, "ray": _by_ray}[engine](job, left, workers, counted)
    sweep(job.folder)
    found = {
        **dict(job.asked),
        "images": len(job.items),
        "rows": sum(count_rows(shard.path) for shard in shards),
        "parts": [shard.path.name for shard in shards],
        "seconds": round(time.perf_counter() - start, 3),
        "engine": engine,
        "workers": workers,
    }
    with written_whole(job.folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


@dataclass
class _Counted:
    """Tells how many images are done."""

    total: int
    done: int
    told: Told

    def add(self, images: int) -> None:
        self.done += images
        self.told(self.done, self.total)


def _claim(job: Job) -> None:
    """Write down what a folder is for. Raises InputError where it is for something else."""
    digest = hashlib.sha256("\n".join(job.items).encode()).hexdigest()
    own = json.loads(json.dumps({"asked": job.asked, "images": digest, "shard": job.size}))
    path = job.folder / JOB
    if path.exists():
        held = json.loads(path.read_text(encoding="utf-8"))
        if held != own:
            other = [name for name in own["asked"] if held["asked"].get(name) != own["asked"][name]]
            what = ", ".join(other) or ("images" if held["images"] != digest else "the size of shards")
            raise InputError(f"{job.folder} holds another job: it differs in {what}; choose another folder")
        return
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")


# ---- processes on this machine


def _locally(job: Job, left: list[Shard], workers: int, counted: _Counted) -> None:
    deaths = 0
    while left:
        before = len(left)
        try:
            _pool(job, left, workers, counted)
        except BrokenProcessPool as error:
            left = [shard for shard in left if not shard.done]
            deaths = 0 if len(left) < before else deaths + 1
            if deaths == PATIENCE:
                name = next(iter(left[0].items))
                raise ModelError(
                    f"workers die again and again, at the images from {name} on: is there memory enough?"
                ) from error
            continue
        left = [shard for shard in left if not shard.done]


def _pool(job: Job, left: list[Shard], workers: int, counted: _Counted) -> None:
    spawned = multiprocessing.get_context("spawn")  # runtimes do not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=spawned, initializer=_begin, initargs=(job.load,))
    try:
        for future in as_completed([pool.submit(_do, shard, job.work) for shard in left]):
            counted.add(future.result())
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, or Ctrl-C, no other shard is begun


_network: Network | None = None


def _begin(load: Callable[[], Network]) -> None:
    """What a worker does first: it ends with its parent, leaves Ctrl-C to it, and loads the network."""
    global _network
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _network = load()


def _do(shard: Shard, work: Work) -> int:
    assert _network is not None
    return run_shard(shard, _network, work)


# ---- Ray


class _Worker:
    """What Ray keeps on a machine: a network, and the shards that it may be asked for."""

    def __init__(self, load: Callable[[], Network], work: Work, shards: Sequence[Shard]) -> None:
        self._network, self._work, self._shards = load(), work, shards

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"images": run_shard(self._shards[row["shard"]], self._network, self._work)}


def _by_ray(job: Job, left: list[Shard], workers: int, counted: _Counted) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError("the engine ray needs Ray: pip install 'ovxai[ray]'") from error
    if not left:
        return
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    shards = ray.data.from_items([{"shard": index} for index in range(len(left))], override_num_blocks=len(left))
    pool = ray.data.ActorPoolStrategy(size=workers)
    worked = shards.map(_Worker, fn_constructor_args=(job.load, job.work, left), compute=pool, num_cpus=1)
    for row in worked.iter_rows():
        counted.add(int(row["images"]))


# ---- what is done with images


def explained(network: Network, photos: Sequence[Path], *, targets: str) -> Iterator[dict[str, Any] | ImageError]:
    """For each photo what is predicted, and the maps [K, h, w] of its targets."""
    for photo in photos:
        try:
            seen = network.explain(photo, targets=targets)
        except ImageError as error:
            yield error
            continue
        best = seen.predictions[0]
        yield {
            "predicted": best.id,
            "label": best.label,
            "probability": best.probability,
            "targets": [target.id for target in seen.targets],
            "probabilities": [target.probability for target in seen.targets],
            "cells": list(seen.maps.shape[1:]),
            "box": list(seen.box),
            "maps": seen.maps,
        }


def explaining(targets: str) -> Work:
    """The work of explaining photos for `targets`."""
    return partial(explained, targets=targets)
