"""Jobs larger than one sitting, or one machine: shards of images, each a file that is its own checkpoint.

A shard is worked off by one process and written whole, or not at all; a file that holds its rows, made from the same images, is
not made again. So whatever is killed, a worker or all of it, the next run goes on where the files end, and every image has one
row.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from openvino_xai.errors import ImageError, InputError, ModelError
from openvino_xai.files.paths import is_link
from openvino_xai.files.reading import read_regular
from openvino_xai.files.scratch import sweep
from openvino_xai.files.writing import written_whole
from openvino_xai.json_text import from_json, to_json
from openvino_xai.runtime.folders.pipeline import in_order
from openvino_xai.runtime.folders.reserve import reserved
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.sources import digest_of
from openvino_xai.serve.lifetime import end_with_parent
from openvino_xai.serve.parts import State, arrow, state, write_rows

Engine: TypeAlias = Literal["local", "ray"]
Load: TypeAlias = Callable[[], Network]
Work: TypeAlias = Callable[[Network, Sequence[Any]], Iterator["dict[str, Any] | ImageError"]]
Progress: TypeAlias = Callable[[int, int], None]

Note: TypeAlias = Callable[[str], None]

RAY_REACHABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # by whatever name (2.60): 0 has Ray listen on the loopback alone
PATIENCE = 3  # times that workers may die before any of them has finished a shard
JOB, MANIFEST = "job.json", "manifest.json"
LARGEST = 2**26  # bytes of what is read of a job
ANEW = {"stale": "its images are others now", "broken": "it is broken"}


@dataclass(frozen=True)
class Job:
    """Items, by name, that are worked off in shards of `size` into files in `folder`; other `conditions` make another job.

    `loader` is called once, where the folder is for this job, for what makes the network of a worker; `work` makes rows of
    items, or tells why one cannot be read. Both can be pickled. `sources` tells for each item what must not have changed.
    """

    folder: Path
    items: Mapping[str, Any]
    size: int
    loader: Callable[[], Load]
    work: Work
    conditions: Mapping[str, Any]
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shards(self) -> list[Shard]:
        """All shards, in order."""
        names = list(self.items)
        return [
            self._shard(index, names[start : start + self.size]) for index, start in enumerate(range(0, len(names), self.size))
        ]

    def _shard(self, index: int, names: list[str]) -> Shard:
        digest = digest_of([dict(self.conditions), [[name, self.sources.get(name)] for name in names]])
        return Shard(self.folder / f"part-{index:06}.parquet", {name: self.items[name] for name in names}, digest)


@dataclass(frozen=True)
class Shard:
    """Some items by name, the file for their rows, and the digest of what these are made from."""

    path: Path
    items: Mapping[str, Any]
    digest: str

    @property
    def state(self) -> State:
        """The state of its file: `whole` is as it should be. Raises InputError where something else is there."""
        return state(self.path, list(self.items), self.digest)

    @property
    def done(self) -> bool:
        """Whether its file is there, whole, and made from these items."""
        return self.state == "whole"


def run_shard(shard: Shard, network: Network, work: Work) -> int:
    """Run a shard that is not done; returns the number of its images. The file is the same whoever writes it, and when."""
    if not shard.done:
        outcomes = work(network, list(shard.items.values()))
        rows = [{"image": name, **_row(outcome)} for name, outcome in zip(shard.items, outcomes, strict=True)]
        write_rows(shard.path, rows, digest=shard.digest)
    return len(shard.items)


def _row(outcome: dict[str, Any] | ImageError) -> dict[str, Any]:
    return {"error": str(outcome)} if isinstance(outcome, ImageError) else {"error": None, **outcome}


def run_job(job: Job, engine: Engine, workers: int, progress: Progress, note: Note = lambda text: None) -> dict[str, Any]:
    """Work off what is left of a job, and tell what there is then, which is also written to `manifest.json`.

    `note` hears what is done again, and where Ray listens. Raises InputError where the folder is in use, or holds another job
    or files of somebody else, or what the engine needs is not installed, and ModelError where workers die again and again.
    """
    if engine not in get_args(Engine):
        raise InputError(f"engine '{engine}' is not known: one of {', '.join(get_args(Engine))} is expected")
    arrow()
    with reserved(job.folder):
        _claim(job)
        return _run(job, engine, workers, progress, note)


def _run(job: Job, engine: Engine, workers: int, progress: Progress, note: Note) -> dict[str, Any]:
    start, shards = time.perf_counter(), job.shards
    states = [shard.state for shard in shards]
    for shard, state_of in zip(shards, states, strict=True):
        if state_of in ANEW:
            note(f"{shard.path} is made anew: {ANEW[state_of]}")
    left = [shard for shard, state_of in zip(shards, states, strict=True) if state_of != "whole"]
    counter = _Counter(len(job.items), len(job.items) - sum(len(shard.items) for shard in left), progress)
    if left:
        running = _Running(job.loader(), job.work, workers, counter, note)
        {"local": _locally, "ray": _by_ray}[engine](running, left)
    sweep(job.folder)
    summary = {
        **dict(job.conditions),
        "images": len(job.items),
        "rows": sum(len(shard.items) for shard in shards if shard.done),
        "parts": [shard.path.name for shard in shards],
        "seconds": round(time.perf_counter() - start, 3),
        "engine": engine,
        "workers": workers,
    }
    _write(job.folder / MANIFEST, summary)
    return summary


def _write(path: Path, value: object) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")


@dataclass
class _Counter:
    """A counter that reports how many images are done."""

    total: int
    done: int
    progress: Progress

    def add(self, images: int) -> None:
        self.done += images
        self.progress(self.done, self.total)


@dataclass(frozen=True)
class _Running:
    """What an engine needs for shards: the loader and the work, how many workers, and whom to tell."""

    load: Load
    work: Work
    workers: int
    counter: _Counter
    note: Note


def _claim(job: Job) -> None:
    """Write down which job a folder is for. Raises InputError where it is for another one."""
    this = from_json(to_json({"asked": dict(job.conditions), "images": digest_of(list(job.items)), "shard": job.size}))
    path = job.folder / JOB
    if not os.path.lexists(path):
        others = sorted(file.name for file in job.folder.iterdir() if file.name == MANIFEST or file.match("part-*.parquet"))
        if others:
            raise InputError(f"{job.folder} holds {others[0]}, and no {JOB} that tells of it: choose another folder")
        _write(path, this)
        return
    there = _recorded_job(path)
    if there != this:
        other = [name for name, value in this["asked"].items() if there["asked"].get(name) != value]
        what = ", ".join(other) or ("images" if there["images"] != this["images"] else "the size of shards")
        raise InputError(f"{job.folder} holds another job: it differs in {what}; choose another folder")


def _recorded_job(path: Path) -> dict[str, Any]:
    """The record of a job in a file. Raises InputError for other files."""
    if is_link(path):
        raise InputError(f"{path} is a link, and no job wrote it: choose another folder, or remove it")
    try:
        record = from_json(read_regular(path, most=LARGEST))
    except ValueError:
        record = None
    if not isinstance(record, dict) or set(record) != {"asked", "images", "shard"} or not isinstance(record["asked"], dict):
        raise InputError(f"{path} tells of no job: choose another folder, or move it away")
    return record


# ---- processes on this machine


def _locally(running: _Running, left: list[Shard]) -> None:
    deaths = 0
    while left:
        before = len(left)
        try:
            _pool(running, left)
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


def _pool(running: _Running, left: list[Shard]) -> None:
    spawned = multiprocessing.get_context("spawn")  # runtimes do not survive a fork
    pool = ProcessPoolExecutor(running.workers, mp_context=spawned, initializer=_begin, initargs=(running.load,))
    try:
        for future in as_completed([pool.submit(_do, shard, running.work) for shard in left]):
            running.counter.add(future.result())
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, or Ctrl-C, no other shard is begun


_network: Network | None = None


def _begin(load: Load) -> None:
    """What a worker does first: it ends with its parent, leaves Ctrl-C to it, and loads the network."""
    global _network
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _network = load()


def _do(shard: Shard, work: Work) -> int:
    assert _network is not None
    return run_shard(shard, _network, work)


# ---- Ray


def _started_ray(note: Note) -> Any:
    """Ray, on the cluster that RAY_ADDRESS names, or for this machine alone. Raises InputError.

    A node that Ray starts listens on every interface, and whoever reaches it may run code there.
    """
    address = os.environ.get("RAY_ADDRESS", "local")
    if address == "local":
        os.environ[RAY_REACHABLE] = "0"  # read when Ray is imported
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError("the engine ray needs Ray: pip install 'ovxai[ray]'") from error
    if ray.is_initialized():
        return ray
    try:
        ray.init(address, include_dashboard=False if address == "local" else None, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"Ray does not start at RAY_ADDRESS={address}: {error}") from error
    listens = ray.get_runtime_context().gcs_address
    if address != "local":
        note(f"joined the Ray cluster at {listens}, as RAY_ADDRESS says")
    elif listens.startswith("127.0.0.1:"):
        note("Ray listens on 127.0.0.1, for this machine alone; RAY_ADDRESS joins a cluster")
    else:
        ray.shutdown()
        raise InputError(f"Ray listens on {listens}, where others reach it: start a cluster of your own, and set RAY_ADDRESS")
    return ray


class _Worker:
    """What Ray keeps on a machine: a network, and the shards that it may be asked for."""

    def __init__(self, load: Load, work: Work, shards: Sequence[Shard]) -> None:
        self._network, self._work, self._shards = load(), work, shards

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"images": run_shard(self._shards[row["shard"]], self._network, self._work)}


def _by_ray(running: _Running, left: list[Shard]) -> None:
    ray = _started_ray(running.note)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    shards = ray.data.from_items([{"shard": index} for index in range(len(left))], override_num_blocks=len(left))
    pool = ray.data.ActorPoolStrategy(size=running.workers)
    worked = shards.map(_Worker, fn_constructor_args=(running.load, running.work, left), compute=pool, num_cpus=1)
    for row in worked.iter_rows():
        running.counter.add(int(row["images"]))


# ---- what is done with images


def explained(network: Network, photos: Sequence[Path], *, targets: str | None) -> Iterator[dict[str, Any] | ImageError]:
    """For each photo what is predicted, or the boxes that are seen, and the maps [K, h, w] of its targets."""

    def row(index: int, pixels: np.ndarray) -> dict[str, Any]:
        return replace(network.explain(pixels, targets=targets), path=photos[index]).to_row()

    for outcome in in_order(photos, row, streams=network.streams):
        yield outcome.result


def explaining(targets: str | None) -> Work:
    """The work of explaining photos for `targets`."""
    return partial(explained, targets=targets)
