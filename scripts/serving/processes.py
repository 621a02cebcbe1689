"""Servers as processes, each in an environment of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
PATIENCE = 120  # seconds until a server is ready


def environment(work: Path, name: str, packages: Sequence[str]) -> Path:
    """The Python of a server's environment, made where it is not there yet."""
    python = work / name / "bin" / "python"
    if not (work / name / "ready").exists():
        shutil.rmtree(work / name, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(work / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (work / name / "ready").touch()
    return python


@contextmanager
def serving(
    command: Sequence[str | Path], ready: str, log: Path, folder: Path, variables: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own, which ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, cwd=folder, env=variables)
    try:
        wait_until_ready(ready, process, log)
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_client(python: Path, folder: Path, port: int, actual: int) -> str:
    """What the client in a README prints, asked at another port."""
    code = (folder / "README.md").read_text().partition("```python\n")[2].partition("\n```")[0]
    assert f":{port}" in code, code
    done = subprocess.run(
        [python, "-c", code.replace(f":{port}", f":{actual}")], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"the server is not ready:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident megabytes of a process group."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields: list[Any] = status.read_text().rpartition(")")[2].split()
            if int(fields[2]) == process.pid:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return round(total / 1e6, 1)


def run_page(word: str, folder: Path, changes: dict[str, str]) -> str:
    """What a request of the page about serving prints, in a folder: the line that begins with curl and has a word."""
    (line,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("curl ") and word in line)
    for old, new in changes.items():
        assert old in line, line
        line = line.replace(old, new)
    done = subprocess.run([*shlex.split(line), "--silent"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout
