"""In a family's environment: the names of its networks and exporters as JSON, or what these make of some, a line each.

`export_family.py FAMILY` or `export_family.py FAMILY FOLDER EXPORTERS NAME [NAME ...]`, exporters with commas between. A line
has a network's name and its exports: the exporter, the batch, the file in FOLDER, and why there is none (null where there is
one).
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(family: str, folder: str = ".", exporters: str = "", *names: str) -> None:
    module = importlib.import_module(f"families.{family}")
    if not names:
        print(json.dumps({"names": list(module.NAMES), "exporters": list(module.EXPORTERS)}))
    for name in names:
        keys = ("exporter", "batch", "file", "why")
        results = module.exports(name, Path(folder), exporters.split(","))
        exports = [dict(zip(keys, map(text, export), strict=True)) for export in results]
        print(json.dumps({"name": name, "exports": exports}), flush=True)


def text(cell: object) -> str | None:
    return None if cell is None else str(cell)


if __name__ == "__main__":
    main(*sys.argv[1:])
