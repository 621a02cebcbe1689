"""Models and images from strangers are opened in a process of their own, under limits: whatever they do to it, this one lives.

A runtime that crashes, hangs or eats all memory becomes a line on stderr and exit status 2, and nothing half-written is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openvino_xai.cli.app import main
from openvino_xai.cli.limits import Limits
from openvino_xai.errors import InputError
from openvino_xai.graph.scratch import LOG
from openvino_xai.serve.lifetime import end_with_parent

CHILD = "import sys; sys.argv[0] = 'ovxai'; from openvino_xai.cli.app import main; main()"


def guarded() -> None:
    """Run the command line in a child process, under the limits that it is given."""
    try:
        limits, arguments = Limits.parse(sys.argv[1:])
    except InputError as error:
        print(f"ovxai: {error}", file=sys.stderr)
        sys.exit(2)
    if not arguments or {"-h", "--help", "--version"} & set(arguments):
        main()
        return
    with tempfile.TemporaryDirectory(prefix="ovxai-") as folder:
        log = Path(folder) / "scratch"
        outcome = _run(arguments, limits, log)
        if outcome.told is not None:
            for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
                shutil.rmtree(line, ignore_errors=True)
            print(f"ovxai: {outcome.told}", file=sys.stderr)
    sys.exit(outcome.status)


@dataclass(frozen=True)
class _Outcome:
    """How the child ended, and what is to be said of it."""

    status: int
    told: str | None = None


def _run(arguments: list[str], limits: Limits, log: Path) -> _Outcome:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        env={**os.environ, LOG: str(log)},
        preexec_fn=_prepared(limits.memory) if os.name == "posix" else None,
        start_new_session=True,
    )
    signal.signal(signal.SIGTERM, lambda number, frame: _end(child, "SIGTERM"))
    try:
        status = child.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        _end(child, "SIGKILL")
        child.wait()
        return _Outcome(2, f"stopped after {limits.seconds:g} seconds, and nothing was written; --timeout changes the limit")
    except KeyboardInterrupt:
        _end(child, "SIGINT")
        child.wait()
        return _Outcome(130)
    if status >= 0 or os.name != "posix":
        return _Outcome(status)
    name = signal.Signals(-status).name
    return _Outcome(
        2, f"the runtime was ended by {name} at work on this model or image, and nothing was written: is it broken?"
    )


def _end(child: subprocess.Popen[bytes], name: str) -> None:
    """Send a signal to the child and what it started; where there are no groups of processes, end the child."""
    if child.poll() is None and os.name == "posix":
        os.killpg(child.pid, signal.Signals[name])
    elif child.poll() is None:
        child.kill()


def _prepared(memory: int | None) -> Callable[[], None]:
    """What the child does to itself before it starts."""
    import resource

    def prepare() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        end_with_parent()

    return prepare
