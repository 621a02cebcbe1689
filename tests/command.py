"""The command line, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def ovxai(*arguments: object, status: int = 0, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """What `ovxai` said; it must end with a status, and without a traceback."""
    command = [sys.executable, "-m", "openvino_xai.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done
