"""However a command ends, it ends at once, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest
from tiny import CASES

from openvino_xai.cli.process import guard
from openvino_xai.cli.start import start
from openvino_xai.files.watch import FOLDERS, WATCH

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")]

# a runtime that hangs in native code while it writes, as signals see it: they are blocked, and a worker of it runs, too
HANGS = """
import os, signal, subprocess, sys
from pathlib import Path
from openvino_xai.files.scratch import scratch_folder
out = Path(sys.argv[1])
with scratch_folder(out) as folder:
    (folder / "half").write_text("half of it")
    worker = subprocess.Popen(["sleep", "600"])
    if sys.argv[2] == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    (out / "pids").write_text(f"{os.getpid()} {worker.pid}")
    signal.pause() if sys.argv[2] != "busy" else [None for _ in iter(int, 1)]
"""
GUARD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from openvino_xai.cli.process import guard
guard.CHILD, guard.GRACE = sys.argv[1], float(sys.argv[2])
sys.argv[1:] = sys.argv[3:]
guard.guarded()
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(what: Any) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def hanging(tmp_path: Path, how: str = "deaf", grace: float = 0.3) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A guard with a child that hangs while it writes, and the child's and its worker's process numbers."""
    out, temporary = tmp_path / "out\u2028Documents\nx", tmp_path / "tmp"
    for folder in (out, temporary, tmp_path / "out"):
        folder.mkdir(exist_ok=True)
    (tmp_path / "out" / "precious").write_text("alive")
    process = subprocess.Popen(
        [sys.executable, "-c", GUARD, HANGS, str(grace), str(out), how],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
    )
    until(lambda: (out / "pids").exists() and (out / "pids").read_text().count(" ") == 1)
    try:
        yield process, [int(pid) for pid in (out / "pids").read_text().split()]
    finally:
        process.kill()
        process.wait()
        (out / "pids").unlink()


def nothing_left(tmp_path: Path, pids: list[int]) -> None:
    until(lambda: not any(map(alive, pids)))
    left = sorted(path.name for path in tmp_path.rglob("*") if path.name != "pids")
    assert left == sorted(["out\u2028Documents\nx", "tmp", "out", "precious"])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("how", ["deaf", "listens"])
def test_a_signal_ends_what_hangs(name: str, how: str, tmp_path: Path) -> None:
    number = signal.Signals[name]
    with hanging(tmp_path, how) as (process, pids):
        process.send_signal(number)
        process.wait(60)
        assert process.returncode == 128 + number
        nothing_left(tmp_path, pids)


def test_a_second_one_ends_it_at_once(tmp_path: Path) -> None:
    with hanging(tmp_path, grace=600) as (process, pids):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None and alive(pids[0])
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert process.returncode == 130
        nothing_left(tmp_path, pids)


def test_a_guard_that_is_killed_takes_its_child_along_and_the_next_run_clears_up(tmp_path: Path) -> None:
    with hanging(tmp_path, "listens") as (process, pids):
        process.kill()
        process.wait()
        until(lambda: not alive(pids[0]))
        os.kill(pids[1], signal.SIGKILL)  # a worker of ours ends with its parent; this one is anything
    assert list((tmp_path / "tmp").iterdir()) and list(tmp_path.rglob("half"))
    command = [sys.executable, "-m", "openvino_xai.cli", "layers", "-m", "none.xml"]
    said = subprocess.run(command, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}, capture_output=True, text=True)
    assert said.stderr == "ovxai: there is no file none.xml\n"
    nothing_left(tmp_path, pids)


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As nohup asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with guard._caught_signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def run_guard(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    monkeypatch.setattr(guard, "CHILD", code)
    monkeypatch.setattr(sys, "argv", ["ovxai", *arguments])
    with pytest.raises(SystemExit) as end:
        guard.guarded()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "command", "message"),
    [
        ("SIGKILL", "layers", "the system ends what takes too much memory so, or somebody did it"),
        ("SIGABRT", "insert", "the file may be broken, or the memory or --limit-memory not suffice; nothing was written"),
        ("SIGSEGV", "explain", "what was done before stays, and the same command goes on from there"),
    ],
)
def test_who_ended_it(
    name: str, command: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = f"import os, signal; os.kill(os.getpid(), signal.{name})"
    status, said = run_guard(code, monkeypatch, capsys, command)
    assert status == 2 and f"ended by {name}" in said and message in said


def test_a_sign_of_life_starts_the_time_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Explaining goes on for longer than the limit while inferences end, and layers does not."""
    lives = (
        "import time\nfrom pathlib import Path\nfrom openvino_xai.dialects.protocol import Running\n"
        "end = time.monotonic() + 4\nrun = Running(dict, dict, lambda *_: None, 'f32')\n"
        f"while time.monotonic() < end: run({{}}); time.sleep(0.05)\nPath({str(tmp_path / 'done')!r}).touch()"
    )
    assert run_guard(lives, monkeypatch, capsys, "explain", "--timeout", "2") == (0, "")
    assert (tmp_path / "done").exists()
    status, said = run_guard(lives, monkeypatch, capsys, "layers", "--timeout", "2")
    assert (status, said) == (2, "ovxai: stopped after 2 seconds, and nothing was written; --timeout changes the limit\n")
    status, said = run_guard("import time; time.sleep(600)", monkeypatch, capsys, "explain", "--timeout", "0.5")
    assert status == 2
    assert said == (
        "ovxai: stopped as no inference ended for 0.5 seconds, and what was done before stays, and the same command goes on "
        "from there; --timeout changes the limit\n"
    )


def test_folders_of_others_survive_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even a log that somebody else writes makes it remove what this run did not make."""
    precious = tmp_path / ".ovxai-deadbeef-00000000"
    precious.mkdir()
    (precious / "canary").write_text("alive")
    code = (
        f"import os, time\nfrom pathlib import Path\nwatch = Path(os.environ[{WATCH!r}])\n"
        f"log = os.fsencode({str(precious)!r}) + b'\\0' + os.fsencode({str(tmp_path)!r}) + b'\\0'\n"
        f"(watch / {FOLDERS!r}).write_bytes(log)\n"
        f"Path({str(tmp_path)!r}, '.ovxai-' + watch.name[-8:] + '-0000link').symlink_to({str(precious)!r})\ntime.sleep(600)"
    )
    run_guard(code, monkeypatch, capsys, "explain", "--timeout", "1")
    assert (precious / "canary").read_text() == "alive"


def test_modules_in_the_folder_that_one_is_in_are_not_run(tmp_path: Path) -> None:
    onnx.save(CASES["residual, layer second"].build("B", 17), tmp_path / "m.onnx")
    for name in ("typer", "rich", "numpy", "onnx", "openvino", "cv2", "json"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('owned').touch()")
    command = [sys.executable, "-P", "-c", "from openvino_xai.cli.process.guard import guarded; guarded()"]
    for arguments in (("layers", "-m", "m.onnx"), ("benchmark", "-m", "m.onnx", "--iterations", "2")):
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "owned").exists()


def test_interrupted_while_modules_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name == "openvino_xai.cli.process.guard":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "openvino_xai.cli.process.guard")
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        start()
    assert end.value.code == 130


def test_the_first_module_is_light() -> None:
    heavy = "{'typer', 'rich', 'numpy', 'openvino_xai.cli.app'} & set(sys.modules)"
    code = f"import sys, openvino_xai.cli.start; print(*{heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
