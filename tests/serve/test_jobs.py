"""Jobs that are killed: nothing is lost, nothing is there twice."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from tiny import CASES

import openvino_xai as xai
from openvino_xai.errors import InputError, ModelError
from openvino_xai.serve.jobs import Job, explaining, run_job
from openvino_xai.serve.parts import read_rows

pytestmark = pytest.mark.slow

CASE = CASES["pool and linear"]
IMAGES = 1000


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand small images, one of which cannot be read, and a hooked model."""
    folder = tmp_path_factory.mktemp("job")
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for number in range(IMAGES - 1):
        cv2.imwrite(str(folder / "photos" / f"{number:04}.png"), rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    (folder / "photos" / "0500broken.png").write_bytes(b"no image")
    onnx.save(CASE.build("B", 17), folder / "model.onnx")
    xai.insert(folder / "model.onnx", layer="f").save(folder / "model_xai.onnx")
    return folder


def command(workplace: Path, output: Path, *more: object) -> list[str]:
    arguments = ["explain", "-m", workplace / "model_xai.onnx", "-i", workplace / "photos", "-o", output, "--engine", "local"]
    return [sys.executable, "-m", "openvino_xai.cli", *map(str, arguments), "--shard-size", "20", "--json", *map(str, more)]


def rows_of(output: Path) -> dict[str, dict[str, Any]]:
    rows = read_rows(sorted(output.glob("part-*.parquet")))
    by_image = {row["image"]: row for row in rows}
    assert len(rows) == len(by_image) == IMAGES  # nothing twice, nothing lost
    assert [Path(row["image"]).name for row in rows if row["error"]] == ["0500broken.png"]
    assert not [path for path in output.rglob("*") if ".ovxai-" in path.name]
    return by_image


@pytest.fixture(scope="module")
def true(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    output = tmp_path_factory.mktemp("true") / "out"
    done = subprocess.run(command(workplace, output), capture_output=True, text=True)
    assert done.returncode == 1 and "0500broken.png" in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["images"], summary["rows"], len(summary["parts"])) == (IMAGES, IMAGES, 50)
    return rows_of(output)


def test_rows_are_what_the_network_says(workplace: Path, true: dict[str, dict[str, Any]]) -> None:
    network = xai.load(workplace / "model_xai.onnx")
    for path in list(true)[:10]:
        explanation, row = network.explain(path), true[path]
        assert row["predicted"] == explanation.predictions[0].id == row["targets"][0]
        assert row["cells"] == [6, 8]
        np.testing.assert_allclose(np.reshape(row["maps"], (6, 8)), explanation.maps[0], atol=1e-3)


def processes_under(parent: int) -> list[int]:
    """Every process that a process has started, and that these have."""
    processes = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        processes += [process for child in children for process in (child, *processes_under(child))]
    return processes


def workers_of(parent: int) -> list[int]:
    def is_worker(process: int) -> bool:
        try:
            return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            return False

    return [process for process in processes_under(parent) if is_worker(process)]


def wait_for_parts(output: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    while len(list(output.glob("part-*.parquet"))) < count:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_killed_workers_lose_nothing(workplace: Path, true: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = subprocess.Popen(command(workplace, output, "--workers", 2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    killed = 0
    for parts in (2, 15, 30):
        wait_for_parts(output, parts, process)
        for worker in workers_of(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
    assert process.wait(120) == 1  # one image cannot be read
    assert killed == 3
    assert rows_of(output) == true


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_killed_driver_loses_nothing(workplace: Path, true: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    output = tmp_path / "out"
    for parts in (3, 20):
        process = subprocess.Popen(command(workplace, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_parts(output, parts, process)
        below = processes_under(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        end = time.monotonic() + 20
        while any(
            Path(f"/proc/{process_id}/cmdline").exists() and Path(f"/proc/{process_id}/cmdline").read_bytes()
            for process_id in below
        ):
            assert time.monotonic() < end, "a worker lives on without its driver"
            time.sleep(0.05)
    (output / ".ovxai-deadbeef-00000000" / "half").mkdir(parents=True)  # as a process leaves it that is killed while it writes
    times = {path: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    assert len(times) >= 20
    assert subprocess.run(command(workplace, output), capture_output=True).returncode == 1
    for path, time_of in times.items():
        assert path.stat().st_mtime_ns == time_of  # what was done is not done again
    assert rows_of(output) == true


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'ovxai[ray]'")
def test_ray_makes_the_same_files(workplace: Path, true: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    output = tmp_path / "out"
    line = command(workplace, output, "--engine", "ray")
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        listening: set[str] = set()
        while process.poll() is None:
            listening |= listening_under(process.pid)
            time.sleep(0.05)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 1 and "0500broken.png" in said
    assert "Ray listens on 127.0.0.1, for this machine alone" in said
    assert rows_of(output) == true
    if sys.platform == "linux":
        assert listening and listening <= LOOPBACK


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}  # as Linux tells addresses


def listening_under(parent: int) -> set[str]:
    """The addresses that a process, and those that it has started, listen on."""
    sockets = set()
    for process in (parent, *processes_under(parent)):
        with suppress(OSError):
            for entry in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    sockets.add(entry.readlink().name)
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {line[1].split(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


def test_ray_that_is_not_there(workplace: Path, tmp_path: Path) -> None:
    line = command(workplace, tmp_path / "out", "--engine", "ray")
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "RAY_ADDRESS": "nonsense"})
    assert done.returncode == 2 and "Ray does not start at RAY_ADDRESS=nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def nothing() -> Any:
    return object()


def dies(network: Any, items: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_die_again_and_again(tmp_path: Path) -> None:
    job = Job(tmp_path / "out", {"a": 1, "b": 2}, 1, lambda: nothing, dies, {})
    with pytest.raises(ModelError, match="workers die again and again, at the images from a on"):
        run_job(job, "local", 1, lambda done, total: None)


def test_another_job_in_the_folder(workplace: Path, tmp_path: Path) -> None:
    photos = {str(path): path for path in sorted((workplace / "photos").iterdir())[:4]}

    def load() -> Any:
        return partial(xai.load, workplace / "model_xai.onnx")

    calls: list[tuple[int, int]] = []
    job = Job(tmp_path, photos, 2, load, explaining("top:1"), {"targets": "top:1"})
    assert run_job(job, "local", 1, lambda done, total: calls.append((done, total)))["rows"] == 4
    assert sorted(calls) == [(2, 4), (4, 4)]
    others = {
        "it differs in targets": Job(tmp_path, photos, 2, load, explaining("all"), {"targets": "all"}),
        "it differs in the size of shards": Job(tmp_path, photos, 3, load, explaining("top:1"), {"targets": "top:1"}),
        "it differs in images": Job(
            tmp_path, dict(list(photos.items())[:3]), 2, load, explaining("top:1"), {"targets": "top:1"}
        ),
    }
    for message, other in others.items():
        with pytest.raises(InputError, match=f"holds another job: {message}"):
            run_job(other, "local", 1, lambda done, total: None)
    with pytest.raises(InputError, match="engine 'dask' is not known: one of local, ray is expected"):
        run_job(job, "dask", 1, lambda done, total: None)  # type: ignore[arg-type]


def test_evaluate_as_a_job(workplace: Path, tmp_path: Path) -> None:
    arguments = [
        "evaluate",
        "-m",
        workplace / "model.onnx",
        "--layer",
        "f",
        "-i",
        workplace / "photos",
        "--limit",
        30,
        "--metric",
        "adcc",
    ]
    said = []
    for more in ([], ["--engine", "local", "--shard-size", 7]):
        output = tmp_path / f"out{len(more)}"
        line = [sys.executable, "-m", "openvino_xai.cli", *map(str, [*arguments, "-o", output, "--json", *more])]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        said.append(json.loads(done.stdout))
    assert said[0]["metrics"] == pytest.approx(said[1]["metrics"], abs=1e-6)
    assert len(list((tmp_path / "out4" / "parts").glob("part-*.parquet"))) == 5
