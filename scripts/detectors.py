"""Every detector of a folder, explained or honestly refused: `python scripts/detectors.py --work FOLDER --files FOLDER`.

For each .onnx, .xml and .tflite file: which rows, sets of layers and boxes are found, and what becomes of a map of each class,
of boxes by masks and of boxes by gradients, verified as every hook is. Where a truth.json tells of a file (`logits` and
`objectness` are names of values with the scores before they are squashed, one a level; `C` and `P` the sets; `rows`, `classes`;
`source`), what is found is held to it by running. Each file has a process and a time of its own.

WORK/detectors/ holds what became of each file; what is there is not done again, but for files that `--again` names.
`--write` puts the table into docs/measured/detector_files.md, between `<!-- table: detector_files -->` and `<!-- end -->`.
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
from studies.pages import versions, write

SECONDS = 600  # for one file
HOOKS = ("class map", "masks", "gradients")
PAGE = Path(__file__).parents[1] / "docs" / "measured" / "detector_files.md"
WHY = {  # of what an error says, the few words of the page
    "queries without cells": "queries have no cells",
    "are queries, which": "queries have no cells",
    "are regions that": "two stages: the model proposes its rows itself",
    "nothing has 4 numbers or more": "no boxes beside the scores",
    "can be of several formats": "the boxes can be of several formats",
    "of the outputs are boxes": "the format of the boxes is not known",
    "image's height and width, which are open": "open height and width",
    "leads to it by what moves": "what lies between scores and rows is not followed",
    "that nothing squashes": "which numbers are scores is not told",
    "not laid out as rows": "scores are not laid out as rows",
    "it mixes cells": "a node behind the layers mixes all cells",
    "OutputsChanged": "a bit of the outputs would change",
    "of its own, and the hook": "has an output saliency_map",
    "not done after": f"not done after {SECONDS} s",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for results")
    parser.add_argument("--files", type=Path, required=True, help="the folder with the detectors")
    parser.add_argument("--truth", type=Path, help="a truth.json about them")
    parser.add_argument("--only", help="beginnings of names, with commas between")
    parser.add_argument("--again", help="beginnings of names that are looked at anew, with commas between")
    parser.add_argument("--table", action="store_true", help="look at no file: the table of what is there")
    parser.add_argument("--write", action="store_true", help="replace the table in docs/measured/detector_files.md")
    parser.add_argument("--no-hooks", action="store_true", help="look for rows, layers and boxes alone")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    arguments = parser.parse_args()
    (arguments.work / "detectors").mkdir(parents=True, exist_ok=True)
    truth = json.loads(arguments.truth.read_text(encoding="utf-8")) if arguments.truth else {}
    files = [file for file in sorted(arguments.files.iterdir()) if file.suffix in (".onnx", ".xml", ".tflite")]
    files = [file for file in files if file.name.startswith(beginnings(arguments.only))]
    caches = {file: arguments.work / "detectors" / f"{file.name}{'.rows' if arguments.no_hooks else ''}.json" for file in files}
    for file, cache in caches.items():
        if arguments.again and file.name.startswith(beginnings(arguments.again)):
            cache.unlink(missing_ok=True)
    if arguments.table:
        files = [file for file in files if caches[file].exists()]
    rows: list[dict[str, Any]] = []
    with Progress(console=Console(stderr=True)) as bar, ThreadPoolExecutor(arguments.jobs) as pool:
        task = bar.add_task("looking", total=len(files))

        def looked(file: Path) -> dict[str, Any]:
            return outcome(caches[file], file, truth.get(file.name, {}), hooks=not arguments.no_hooks)

        for result in pool.map(looked, files):
            rows.append(result)
            bar.advance(task)
    (arguments.work / "detectors.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table(rows))
    console.print(counted(rows))
    if arguments.write:
        write({"detector_files": page(rows, truth)}, [PAGE])


def beginnings(names: str | None) -> tuple[str, ...]:
    """What names begin with that are meant: all, where nothing is said."""
    return tuple(names.split(",")) if names else ("",)


def outcome(cache: Path, file: Path, truth: dict[str, Any], *, hooks: bool) -> dict[str, Any]:
    """What became of one file, in a process of its own."""
    if cache.exists():
        outcome: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8"))
        return outcome
    command = [sys.executable, str(Path(__file__).parent / "alone" / "detector.py"), str(file), json.dumps(truth)]
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


def page(rows: list[dict[str, Any]], truth: dict[str, Any]) -> str:
    """Markdown: what became of files of both dialects, those of one origin with the same outcome on one line."""
    files: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        stem, dialect = row["file"].rsplit(".", 1)
        files.setdefault((origin(truth.get(row["file"], {})), stem.partition("_")[2].replace("_", " ")), {})[dialect] = row
    lines: dict[tuple[str, ...], list[str]] = {}
    for (maker, name), by_dialect in files.items():
        some = [by_dialect.get(dialect) for dialect in ("onnx", "xml")]
        reasons = dict.fromkeys(reason for row in some if row is not None for reason in reasons_of(row))
        lines.setdefault((maker, *(cell for row in some for cell in cells(row)), "; ".join(reasons)), []).append(name)
    heads = ["from", "models", *(f"{dialect}: {hook}" for dialect in ("ONNX", "IR") for hook in HOOKS), "why not"]
    table = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    table += [" | ".join([maker, ", ".join(names), *rest]) for (maker, *rest), names in sorted(lines.items())]
    outcomes = Counter(cell.split(",")[0] for row in rows for cell in cells(row))
    counts = ", ".join(f"{word} {count}" for word, count in sorted(outcomes.items()))
    return "\n".join([f"{len(rows)} files, three hooks each: {counts}. {versions()}.", "", *(f"| {line} |" for line in table)])


def origin(facts: dict[str, Any]) -> str:
    """Who made a file: an exporter with its version, or nobody whom others know."""
    source = facts.get("source", "REAL")
    if "by hand" in source:
        return "by hand"
    return "published" if source.startswith("REAL") else " ".join(source.replace(",", "").split()[:2])


def cells(row: dict[str, Any] | None) -> tuple[str, ...]:
    """What became of a map of each class, of boxes by masks and of boxes by gradients, a word or two each."""
    if row is None:
        return ("",) * len(HOOKS)
    if row["rows"].startswith(("wrong", "crashed")) or any(value.startswith("wrong") for value in row.get("sets", {}).values()):
        return ("**wrong**",) * len(HOOKS)
    words = []
    for name in HOOKS:
        hook = row.get("hooks", {}).get(name, {"became": "refused"})
        if hook["became"] == "explained":
            what = {"all": "yes", "boxes:4": "boxes"}.get(hook["targets"], "rows")
            words.append(f"{what}, heads" if name == "gradients" and hook["cut"] == "heads" else what)
        else:
            words.append("**wrong**" if hook["became"] == "wrong" else "refused")
    return tuple(words)


def reasons_of(row: dict[str, Any]) -> list[str]:
    """The few words for why a file, its boxes or a hook is refused."""
    texts = [row.get("why", ""), row.get("boxes", ""), *(hook.get("why", "") for hook in row.get("hooks", {}).values())]
    return list(dict.fromkeys(short(text) for text in texts if " " in text))


def short(text: str) -> str:
    """A reason in few words, or its own first ones."""
    return next((words for part, words in WHY.items() if part in text), text.replace("|", "/")[:80])


def counted(rows: list[dict[str, Any]]) -> str:
    """How often each word stands."""
    outcomes = Counter(row["rows"].split(":")[0] for row in rows)
    sets = Counter(word.split(":")[0] for row in rows for word in row.get("sets", {}).values())
    hooks = Counter(hook["became"] for row in rows for hook in row.get("hooks", {}).values())
    parts = (("rows", outcomes), ("sets", sets), ("hooks", hooks))
    return "\n".join(f"{title}: " + ", ".join(f"{word} {count}" for word, count in counts.items()) for title, counts in parts)


if __name__ == "__main__":
    main()
