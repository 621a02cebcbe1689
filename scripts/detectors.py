"""Every detector of a folder, explained or honestly refused: `python scripts/detectors.py --work FOLDER --files FOLDER`.

For each .onnx, .xml and .tflite file: which rows, sets of layers and boxes are found, and what becomes of hooks with `asked:2`
and `boxes:4` at both sets. Where a truth.json tells of a file (`logits` and `objectness` are names of values with the scores
before they are squashed, one a level; `C` and `P` the sets; `rows`, `classes`), what is found is held to it by running. Each
file has a process and a time of its own. FOLDER/detectors.json holds what became of each; what is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from side_by_side import last_line

SECONDS = 600  # for one file
HOOKS = ("asked:2 backbone", "boxes:4 backbone", "asked:2 heads", "boxes:4 heads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for results")
    parser.add_argument("--files", type=Path, required=True, help="the folder with the detectors")
    parser.add_argument("--truth", type=Path, help="a truth.json about them")
    parser.add_argument("--only", help="beginnings of names, with commas between")
    parser.add_argument("--no-hooks", action="store_true", help="look for rows, layers and boxes alone")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    arguments = parser.parse_args()
    (arguments.work / "detectors").mkdir(parents=True, exist_ok=True)
    truth = json.loads(arguments.truth.read_text(encoding="utf-8")) if arguments.truth else {}
    only = tuple(arguments.only.split(",")) if arguments.only else ("",)
    files = [file for file in sorted(arguments.files.iterdir()) if file.suffix in (".onnx", ".xml", ".tflite")]
    files = [file for file in files if file.name.startswith(only)]
    rows: list[dict[str, Any]] = []
    with Progress(console=Console(stderr=True)) as bar, ThreadPoolExecutor(arguments.jobs) as pool:
        task = bar.add_task("looking", total=len(files))

        def looked(file: Path) -> dict[str, Any]:
            return outcome(arguments.work, file, truth.get(file.name, {}), hooks=not arguments.no_hooks)

        for result in pool.map(looked, files):
            rows.append(result)
            bar.advance(task)
    (arguments.work / "detectors.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table(rows))
    console.print(counted(rows))


def outcome(work: Path, file: Path, truth: dict[str, Any], *, hooks: bool) -> dict[str, Any]:
    """What became of one file, in a process of its own."""
    cache = work / "detectors" / f"{file.name}{'' if hooks else '.rows'}.json"
    if cache.exists():
        outcome: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8"))
        return outcome
    command = [sys.executable, str(Path(__file__).with_name("detectors_one.py")), str(file), json.dumps(truth)]
    try:
        done = subprocess.run(
            [*command, *([] if hooks else ["--no-hooks"])], capture_output=True, text=True, check=False, timeout=SECONDS
        )
        result = last_line(done.stdout)
        if done.returncode or not result:
            result = {"rows": "crashed", "why": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:300]}
    except subprocess.TimeoutExpired:
        result = {"rows": "too slow", "why": f"not done after {SECONDS} s"}
    result = {"file": file.name, **result}
    cache.write_text(json.dumps(result), encoding="utf-8")
    return result


def table(rows: list[dict[str, Any]]) -> Table:
    """A line a file."""
    lines = Table("file", "rows", "A", "C", "squash", "backbone", "heads", "boxes", *HOOKS, "why", show_lines=False)
    for row in rows:
        sets, hooks = row.get("sets", {}), row.get("hooks", {})
        reasons = [row.get("why", ""), *(hook.get("why", "") for hook in hooks.values())]
        lines.add_row(
            row["file"],
            row["rows"],
            str(row.get("count", "")),
            str(row.get("classes", "")),
            "*".join(row.get("squash", ())),
            *(sets.get(name, sets.get("all", "")).split(":")[0] for name in ("backbone", "heads")),
            row.get("boxes", "").split(":")[0],
            *(hooks.get(name, {}).get("became", "") for name in HOOKS),
            next((reason for reason in reasons if reason), "")[:80],
        )
    return lines


def counted(rows: list[dict[str, Any]]) -> str:
    """How often each word stands."""
    outcomes = Counter(row["rows"].split(":")[0] for row in rows)
    sets = Counter(word.split(":")[0] for row in rows for word in row.get("sets", {}).values())
    hooks = Counter(hook["became"] for row in rows for hook in row.get("hooks", {}).values())
    parts = (("rows", outcomes), ("sets", sets), ("hooks", hooks))
    return "\n".join(f"{title}: " + ", ".join(f"{word} {count}" for word, count in counts.items()) for title, counts in parts)


if __name__ == "__main__":
    main()
