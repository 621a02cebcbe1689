"""In the predecessor's environment: the blocks of docs/migration.md that are for it. `predecessor_page.py PAGE SAMPLES OUTPUT`.

Each is executed in a folder where `samples` are, and its `maps` are written to OUTPUT/NAME.npy.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(page: str, samples: str, output: str) -> None:
    text = Path(page).read_text(encoding="utf-8")
    folder = Path(output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(Path(samples).parent)
    for name, code in re.findall(r"<!-- 1\.1\.0: ([\w ]+) -->\n```text\n(.*?)```", text, re.DOTALL):
        names: dict[str, Any] = {}
        exec(code, names)
        np.save(folder / f"{name}.npy", names["maps"])


if __name__ == "__main__":
    main(*sys.argv[1:])
