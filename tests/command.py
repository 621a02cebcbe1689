"""The command line: in this process, which is quick, and in one of its own, under the guard, as users run it."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from openvino_xai.cli.app import main


def ovxai(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    """What `ovxai` said, run in this process; it must end with a status, and without a traceback."""
    words = ["ovxai", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with mock.patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return _checked(subprocess.CompletedProcess(words, int(code or 0), *texts), status)


def guarded(*arguments: object, status: int = 0, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """As `ovxai`, in a process of its own, whose guard runs the command in another."""
    command = [sys.executable, "-m", "openvino_xai.cli", *map(str, arguments)]
    return _checked(subprocess.run(command, capture_output=True, text=True, timeout=seconds), status)


def _checked(done: subprocess.CompletedProcess[str], status: int) -> subprocess.CompletedProcess[str]:
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done
