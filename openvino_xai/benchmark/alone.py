"""One model in a process of its own: how long it compiles and how much memory it takes.

Run as `python -m openvino_xai.benchmark.alone FILE DEVICE PRECISION HINT BATCH`; one JSON object on standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import ModelError
from openvino_xai.files.paths import exists


@dataclass(frozen=True)
class Alone:
    """Seconds to compile, and the largest resident memory in bytes, of a process that ran a model three times."""

    compile_seconds: float
    peak_bytes: int


def measure_alone(path: Path, device: str, precision: str, hint: str, batch: int) -> Alone:
    """Measure a file in a fresh process. Raises ModelError where that fails."""
    command = [sys.executable, "-m", __name__, str(path), device, precision, hint, str(batch)]
    # the modules that this process would take, and none from the folder that one is in
    paths = os.pathsep.join([*filter(None, sys.path), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        raise ModelError(f"{path.name} does not run in a process of its own: {result.stderr.strip().splitlines()[-1:]}")
    return Alone(**json.loads(result.stdout))


def _main(path: str, device: str, precision: str, hint: str, batch: str) -> None:
    model = open_model(path)
    inputs = random_inputs(model, int(batch))
    start = time.perf_counter()
    running = model.compile(device, precision, hint)
    seconds = time.perf_counter() - start
    for _ in range(3):
        running.once(inputs)
    print(json.dumps({"compile_seconds": seconds, "peak_bytes": _peak_bytes()}))


def _peak_bytes() -> int:
    """The largest resident memory of this process; getrusage would tell that of the one it was started by, if larger."""
    status = Path("/proc/self/status")
    if exists(status):
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    _main(*sys.argv[1:])
