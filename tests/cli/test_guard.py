"""Whatever models and images do to the process that opens them, the command line answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from command import guarded
from hostile_models import filled, loop
from tiny import CASES

from openvino_xai.cli.process import guard
from openvino_xai.cli.process.limits import USUAL, Limits
from openvino_xai.errors import InputError

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "samples"
GIB = 2**30


def test_a_model_that_never_ends(tmp_path: Path) -> None:
    onnx.save(loop(2**62), tmp_path / "endless.onnx")
    said = guarded("--timeout", 5, "insert", "-m", tmp_path / "endless.onnx", "-o", tmp_path / "out" / "hooked.onnx", status=2)
    assert said.stderr == "ovxai: stopped after 5 seconds, and nothing was written; --timeout changes the limit\n"
    assert not list((tmp_path / "out").rglob("*")) if (tmp_path / "out").exists() else True


def test_a_model_that_wants_all_memory(tmp_path: Path) -> None:
    onnx.save(filled(10**10), tmp_path / "huge.onnx")
    said = guarded("insert", "-m", tmp_path / "huge.onnx", "--limit-memory=6GiB", "--timeout", 60, status=2)
    assert said.stderr.startswith("ovxai: ") or "ovxai: " in said.stderr
    assert not list(tmp_path.glob("*_xai*"))


def test_a_runtime_that_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The child dies while it writes: its folder is removed, and the parent says how it ended."""
    dies = f"""
import os, signal
from pathlib import Path
from openvino_xai.files.scratch import scratch_folder
with scratch_folder(Path({str(tmp_path)!r})) as folder:
    (folder / "half").write_text("half of it")
    os.kill(os.getpid(), signal.SIGSEGV)
"""
    monkeypatch.setattr(guard, "CHILD", dies)
    monkeypatch.setattr(sys, "argv", ["ovxai", "insert", "-m", "model.xml"])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        guard.guarded()
    assert signal.getsignal(signal.SIGTERM) == before
    assert end.value.code == 2
    assert "ended by SIGSEGV" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C reaches the child, and leaves whole files only."""
    photo = (SAMPLES / "images" / "cat.png").read_bytes()
    for number in range(300):
        path = tmp_path / "in" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo)
    model = SAMPLES / "models" / "efficientnet_lite0.xml"
    command = [sys.executable, "-m", "openvino_xai.cli", "explain", "-m", model, "-i", tmp_path / "in", "-o", tmp_path / "out"]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    lines = tmp_path / "out" / "explanations.jsonl"
    while not (lines.exists() and lines.read_text().count("\n") > 3) and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == b""
    assert not [path for path in (tmp_path / "out").rglob("*") if ".ovxai-" in str(path)]
    assert all(path.stat().st_size for path in (tmp_path / "out").iterdir())


def test_exit_statuses_come_through(tmp_path: Path) -> None:
    onnx.save(CASES["pool and linear"].build("B", 17), tmp_path / "tiny.onnx")
    assert "f " in guarded("layers", "-m", tmp_path / "tiny.onnx").stdout
    assert "there is no file" in guarded("layers", "-m", tmp_path / "none.onnx", status=2).stderr
    assert (
        "--timeout is 'soon'; a number of seconds, or none, is expected"
        in guarded("layers", "--timeout", "soon", status=2).stderr
    )
    assert "'much' is no amount of memory" in guarded("--limit-memory", "much", "layers", status=2).stderr
    assert "--limit-memory" in guarded("--help").stdout


def test_limits() -> None:
    usual, rest = Limits.parse(["insert", "-m", "model.xml"])
    assert usual.seconds == 900 and usual.memory is not None and usual.memory >= USUAL
    assert rest == ["insert", "-m", "model.xml"]
    limits, rest = Limits.parse(["--timeout=2.5", "explain", "--limit-memory", "3GiB", "-m", "x"])
    assert (limits, rest) == (Limits(3 * GIB, 2.5, "explain"), ["explain", "-m", "x"])
    assert Limits.parse(["insert", "--timeout", "none", "--limit-memory=none"])[0] == Limits(None, None, "insert")
    for wrong in ("0", "-1", "inf", ""):
        with pytest.raises(InputError, match="a number of seconds, or none, is expected"):
            Limits.parse(["--timeout", wrong])
    for wrong in ("500MB", "0", "9999999999999GiB"):
        with pytest.raises(InputError, match="the runtimes need 1GiB to start"):
            Limits.parse(["--limit-memory", wrong])


def test_long_commands_are_limited_by_the_time_without_progress() -> None:
    for command in ("explain", "evaluate", "compare", "benchmark"):
        limits = Limits.parse(["--debug", command])[0]
        assert limits.seconds == 900 and limits.renewed
    for command in ("layers", "insert", "export"):
        limits = Limits.parse(["--debug", command])[0]
        assert limits.seconds == 900 and not limits.renewed
    for arguments in (["--engine", "ray"], ["--engine=ray"]):
        assert Limits.parse(["explain", *arguments])[0].seconds is None
