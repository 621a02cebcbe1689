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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from openvino_xai.cli.app import main
from openvino_xai.cli.options.command import HELP_ALL
from openvino_xai.cli.process.limits import Limits
from openvino_xai.cli.process.page import PageOpener
from openvino_xai.cli.text import warn
from openvino_xai.errors import InputError
from openvino_xai.files.scratch import PREFIX, RANDOM, left_folders, locked_folder, sweep
from openvino_xai.files.watch import WATCH, last_beat, noted_folders
from openvino_xai.predecessor.installed import mixture
from openvino_xai.serve.lifetime import end_with_parent

ROOT = str(Path(__file__).parents[2])
CHILD = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are read there is nothing to clear up
sys.argv[0] = "ovxai"
sys.path.append({ROOT!r})
from openvino_xai.cli.app import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
WATCHES = "ovxai-watch-"  # folders, in that for temporary files, of processes that watch
SIGNALS = [number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGHUP")]
GRACE = 3.0  # seconds from the first signal to the last
TICK = 0.1  # seconds between two looks at the child
TRIES = 20

_CAUSES = {
    "SIGKILL": "the system ends what takes too much memory so, or somebody did it; the memory may not suffice",
    "SIGABRT": "the file may be broken, or the memory or --limit-memory not suffice",
    "SIGSEGV": "the file may be broken, or the memory or --limit-memory not suffice",
    "SIGBUS": "the file may be broken or have become shorter, or the disk be full",
    "SIGTERM": "somebody ended it",
    "SIGXCPU": "the system's limit of time is reached (ulimit -t)",
}


def guarded() -> None:
    """Run the command line in a child process, under the limits that it is given."""
    _open_standard_streams()
    if (text := mixture()) is not None:
        warn(text)
    try:
        limits, arguments = Limits.parse(sys.argv[1:])
        if not arguments or {"-h", "--help", HELP_ALL, "--version"} & set(arguments):
            main()
        else:
            sys.exit(_status_of_child(limits, arguments))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except InputError as error:
        warn(error)
        sys.exit(2)
    except OSError as error:  # no temporary folder, no process
        warn(f"cannot start: {error.strerror or error}")
        sys.exit(2)


def _status_of_child(limits: Limits, arguments: list[str]) -> int:
    """Run the child and return its exit status. What it left unfinished is removed, and what killed runs before it left."""
    temporary = Path(tempfile.gettempdir())
    for watch in left_folders(temporary, WATCHES + RANDOM):
        clean(watch)
        shutil.rmtree(watch, ignore_errors=True)
    with _caught_signals() as signals, locked_folder(temporary, WATCHES) as watch:
        child = _start(arguments, limits, watch)
        try:
            outcome = _Watch(child, limits, watch, signals).outcome()
        finally:
            _end(child, signal.SIGTERM if os.name != "posix" else signal.SIGKILL)
            child.wait()
            clean(watch)
    if outcome.text:
        warn(outcome.text)
    return outcome.status


def clean(watch: Path) -> None:
    """Remove the unfinished folders of a run that has ended: those with its name that no process has locked."""
    run = watch.name[-8:]
    for _ in range(TRIES):  # its workers hold theirs until they have ended, too
        folders = noted_folders(watch)
        for folder in folders:
            sweep(folder, run)
        if not any(any(folder.glob(f"{PREFIX}{run}-*")) for folder in folders):
            return
        time.sleep(TICK)


@contextmanager
def _caught_signals() -> Iterator[list[int]]:
    """A list to which each signal is added while the block runs. A signal that is ignored, as by nohup, stays ignored."""
    signals: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, lambda number, frame: signals.append(number))
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(arguments: list[str], limits: Limits, watch: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, *arguments],  # -P: no module is taken from the folder that one is in
        env={**os.environ, WATCH: str(watch)},
        preexec_fn=_child_setup(limits.memory) if os.name == "posix" else None,
        start_new_session=True,
    )


@dataclass(frozen=True)
class _Outcome:
    """The exit status of the child, and the line that is printed about it, if any."""

    status: int
    text: str = ""


@dataclass
class _Watch:
    """A child process under limits, and when it gave its last sign of life."""

    child: subprocess.Popen[bytes]
    limits: Limits
    folder: Path
    signals: list[int]
    _since: float = field(default_factory=time.monotonic)
    _beat: int = 0

    def outcome(self) -> _Outcome:
        """Wait for the end. One signal is passed on; a second, or the end of the grace, ends the child and all it started."""
        sent, page = False, PageOpener(self.folder)
        while True:
            try:
                status = self.child.wait(TICK)
            except subprocess.TimeoutExpired:
                status = None
            page.look()
            if self.signals and not sent:
                sent, self._since = True, time.monotonic()
                _end(self.child, signal.Signals(self.signals[0]))
            if status is not None or (sent and (len(self.signals) > 1 or self._quiet() > GRACE)):
                break
            if not sent and self.limits.seconds is not None and self._quiet() > self.limits.seconds:
                return _Outcome(2, self.limits.exceeded())
        if sent:
            return _Outcome(128 + self.signals[0])
        assert status is not None
        return _Outcome(status) if status >= 0 or os.name != "posix" else _Outcome(2, self._crash_note(-status))

    def _quiet(self) -> float:
        """Seconds since the start, or since the last sign of life where these count."""
        beat = last_beat(self.folder) if self.limits.renewed and not self.signals else self._beat
        if beat != self._beat:
            self._beat, self._since = beat, time.monotonic()
        return time.monotonic() - self._since

    def _crash_note(self, number: int) -> str:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        cause = _CAUSES.get(name, "the file may be broken")
        return f"the runtime was ended by {name} at work on this model or image: {cause}; {self.limits.remains}"


def _end(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the child and what it started; where there are no groups of processes, end the child."""
    if child.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(child.pid, number)
    else:
        child.kill()


def _child_setup(memory: int | None) -> Callable[[], None]:
    """A function for the child to call before it starts: it limits its memory, and lets it end when its parent ends."""
    import resource

    parent = os.getpid()

    def prepare() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        end_with_parent()
        if os.getppid() != parent:  # it ended before that
            os._exit(2)

    return prepare


def _open_standard_streams() -> None:
    """Where a standard stream is closed, let the null device be it: else the next file to be opened would be."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
