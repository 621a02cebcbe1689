"""Every model of a zoo, explained or honestly refused: `python scripts/zoo.py --work FOLDER [--family NAME]`.

`timm`, the first family, exports timm and torchvision architectures with seeded weights by every exporter (TorchScript and
dynamo to ONNX, OpenVINO's own to IR), with a batch of 1 and with an open one. The others are in `peers/families`, smaller
where the architecture lets them be: `hf` (Hugging Face transformers), `keras` (ONNX, TFLite and SavedModel), `ultralytics-cls`,
`paddle`, and `odd`, networks of a few nodes of which each has one thing that few classifiers have.

Each is hooked, ONNX also as OpenVINO reads it. Verification is on: outputs bit-identical, maps held to the definition, computed
by the original tail. Beside that three images in a batch must give what each gives alone, and a change in one corner of the
image must be seen in that corner of the layer. FOLDER/zoo.md tells what became of each: explained, refused (why, and whether
that names a node and a way out), wrong, or what the exporter or the runtime cannot do. What is there is not done again.
Files of what was not explained stay in FOLDER, and `--again` asks these once more.

With `--predecessor`, openvino_xai 1.1.0 hooks what TorchScript wrote, too, read by the OpenVINO that it needs, and its maps
are held to the same definition, at the layer that it took: they are the same or other ones, that layer is so early that a map
costs more than ten runs of the model, there is no layer or the call fails, or it cannot be told and stays unchecked.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress
from side_by_side import PEERS, environment, last_line

SECONDS = 300  # for one model
EXPORT_SECONDS = 600  # for all exports of one network
UNASKED = ("cannot be exported", "runtime cannot")
TOGETHER = 4  # networks that one process exports
FINAL = ("explained", *UNASKED)
FAMILIES = {  # name: the environment that exports, and which of peers/families is run there
    "timm": ("torch", "timm_torchvision"),
    "hf": ("hugging_face", "hugging_face"),
    "keras": ("keras", "keras_applications"),
    "ultralytics-cls": ("ultralytics", "ultralytics_classifiers"),
    "paddle": ("paddle", "paddle_classification"),
    "odd": ("torch", "odd"),
}
PLAIN = str.maketrans(" /", "__")  # names as parts of files' names
BATCHES = ("static", "dynamic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for the environment, networks and results")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="timm where none is named; may be repeated")
    parser.add_argument("--data", type=Path, help="a folder with more models, in models/, which are taken as they are")
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--exporter", action="append", help="these exporters alone; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="models at a time")
    parser.add_argument("--again", action="store_true", help="ask those once more that were exported and not explained")
    parser.add_argument("--predecessor", action="store_true", help="hook what TorchScript wrote by openvino_xai 1.1.0, too")
    arguments = parser.parse_args()
    peer = environment(arguments.work, "predecessor") if arguments.predecessor else None
    rows: list[dict[str, Any]] = []
    for family in arguments.family or ["timm"]:
        rows += family_rows(arguments, family, peer)
    for file in sorted((arguments.data / "models").iterdir()) if arguments.data else []:
        if file.suffix in (".onnx", ".xml", ".tflite"):
            case = {"family": "as they are", "name": file.stem, "exporter": "as it is", "batch": "its own"}
            rows += [
                {**case, "dialect": d, **outcome(file, d)} for d in (("onnx", "ir") if file.suffix == ".onnx" else ("ir",))
            ]
    text = table(rows)
    (arguments.work / "zoo.md").write_text(text, encoding="utf-8")
    print(text)


def family_rows(arguments: argparse.Namespace, family: str, peer: Path | None) -> list[dict[str, Any]]:
    """What became of every export of a family."""
    kind, module = FAMILIES[family]
    python = environment(arguments.work, kind)
    folder = arguments.work / family
    folder.mkdir(parents=True, exist_ok=True)
    both = json.loads(printed(python, module)[-1])
    names, exporters = both["names"], [name for name in both["exporters"] if name in (arguments.exporter or both["exporters"])]
    names = [name for name in names if not arguments.only or name in arguments.only.split(",")]
    groups = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
    jobs = [partial(group_rows, folder, python, module, group, exporters, peer=peer, again=arguments.again) for group in groups]
    rows: list[dict[str, Any]] = []
    with Progress() as bar, ThreadPoolExecutor(arguments.jobs) as pool:
        task = bar.add_task(family, total=len(jobs))
        for results in pool.map(lambda job: job(), jobs):
            rows.extend({"family": family, **row} for row in results)
            bar.advance(task)
    return rows


def group_rows(
    folder: Path,
    python: Path,
    module: str,
    names: list[str],
    exporters: list[str],
    *,
    peer: Path | None,
    again: bool,
) -> list[dict[str, Any]]:
    """What became of some networks of a family in `peers/families`, by some exporters, in every dialect.

    What was not explained is asked once more with `again`.
    """
    cases = [(name, exporter) for name in names for exporter in exporters]
    caches = {case: folder / (f"{case[0]}@{case[1]}.json".translate(PLAIN)) for case in cases}
    missing = [case for case in cases if not caches[case].exists()]
    exports = exported_together(folder, python, module, missing) if missing else {}
    tables = {
        (name, exporter): json.loads(cache.read_text()) if cache.exists() else export_rows(name, exporter, exports.get(name))
        for (name, exporter), cache in caches.items()
    }
    rows = [row for table in tables.values() for row in table]
    for _ in results_of(folder, [row for row in rows if "became" not in row or (again and row["became"] not in FINAL)]):
        write(caches, tables)
    for row in rows:
        file = folder / row["file"]
        if peer is not None and file.exists() and lacks_predecessor([row], {"predecessor": peer}) and row["dialect"] == "ir":
            row["predecessor"] = predecessor(peer, file)
    write(caches, tables)
    needed = {row["file"] for row in rows if row["became"] not in FINAL}
    for file in {row["file"] for row in rows} - needed:
        remove(folder / file)
    return rows


def results_of(folder: Path, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row whose file is there, with what became of it."""
    rows = [row for row in rows if (folder / row["file"]).exists()]
    for row, result in zip(rows, outcomes([(folder / row["file"], row["dialect"]) for row in rows]), strict=True):
        for key in ("why", "clear"):
            row.pop(key, None)
        row.update(result)
        yield row


def write(caches: dict[tuple[str, str], Path], tables: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """Keep what is known, so that a run that is stopped goes on there."""
    for case, table in tables.items():
        caches[case].write_text(json.dumps(table))


def export_rows(name: str, exporter: str, exports: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """A row for each dialect that reads an export of a network; those that failed are settled."""
    if exports is None:
        exports = [{"exporter": exporter, "batch": "?", "file": name, "why": "the exporter crashed, or is too slow"}]
    rows = []
    for export in (export for export in exports if export["exporter"] == exporter):
        file, why = Path(export["file"]).name, export["why"]
        cannot = {} if why is None else {"became": "cannot be exported", "why": why}
        case = {"name": name, "exporter": exporter, "batch": export["batch"], "file": file}
        rows += [{**case, "dialect": d, **cannot} for d in (("onnx", "ir") if file.endswith(".onnx") else ("ir",))]
    return rows


def exported_together(folder: Path, python: Path, module: str, due: list[tuple[str, str]]) -> dict[str, list[dict[str, Any]]]:
    """The exports of each network, in one process; those that it did not come to are tried alone."""
    names, exporters = (list(dict.fromkeys(column)) for column in zip(*due, strict=True))
    lines = [json.loads(line) for line in printed(python, module, str(folder), ",".join(exporters), *names)]
    exports = {line["name"]: line["exports"] for line in lines}
    if len(names) > 1:
        for name in names:
            if name not in exports:
                exports |= exported_together(folder, python, module, [case for case in due if case[0] == name])
    return exports


def printed(python: Path, *arguments: str) -> list[str]:
    """The lines of JSON that a family's script prints, up to where it stopped."""
    command = [str(python), str(PEERS / "export_family.py"), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=EXPORT_SECONDS * len(arguments))
        text = done.stdout
    except subprocess.TimeoutExpired as stopped:
        text = (stopped.stdout or b"").decode()
    return [line for line in text.splitlines() if line.startswith("{")]


def remove(file: Path) -> None:
    """An export, and what lies beside it under its name."""
    for path in file.parent.glob(f"{file.stem}.*" if file.suffix else file.name):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lacks_predecessor(results: list[dict[str, Any]], pythons: dict[str, Path]) -> bool:
    """Whether it is wanted what the predecessor makes of an export, and not known: it is told beside the IR, which it reads."""
    row = results[-1]
    settled = "predecessor" in row or row["became"] == "cannot be exported"
    return "predecessor" in pythons and row["exporter"] == "torchscript" and not settled


def outcome(model: Path, dialect: str) -> dict[str, Any]:
    """What became of one model, in a process of its own."""
    return next(outcomes([(model, dialect)]))


def outcomes(cases: list[tuple[Path, str]]) -> Iterator[dict[str, Any]]:
    """What became of some models, each in a process of its own that one, which has all libraries loaded, branches off."""
    if not cases:
        return
    command = [sys.executable, str(Path(__file__).parent / "alone" / "zoo.py"), str(SECONDS)]
    command += [str(part) for case in cases for part in case]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)


def predecessor(python: Path, model: Path) -> dict[str, Any]:
    """What the predecessor made of one ONNX file, and what that is worth."""
    answers = model.with_suffix(".npz")
    record = record_of(python, "-I", PEERS / "predecessor_zoo.py", model, answers)  # its package has the name of ours
    if "became" in record:
        return {"verdict": f"fails: {record['became']}", **record}
    record = record_of(sys.executable, PEERS / "zoo_peer.py", model, answers)
    return {"verdict": f"unchecked: {record['became']}", **record} if "became" in record else record


def record_of(*command: str | Path) -> dict[str, Any]:
    """What a process prints, or `became`: that it was too slow or crashed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"became": "too slow", "why": f"not done after {SECONDS} s"}
    if done.returncode:
        return {"became": "crashed", "why": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]}
    return last_line(done.stdout)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: counts a family, counts an exporter, then a line a model."""
    lines = summary(rows)
    titles = ("explained", "refused", "wrong", "runtime cannot", "cannot be exported")
    heads = ("family", "exporter", "batch", "dialect", *titles, "other")
    lines += ["", "| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for kind in dict.fromkeys(tuple(row[key] for key in heads[:4]) for row in rows):
        became = Counter(row["became"] for row in rows if tuple(row[key] for key in heads[:4]) == kind)
        counts = [became[title] for title in titles]
        lines.append("| " + " | ".join(map(str, (*kind, *counts, sum(became.values()) - sum(counts)))) + " |")
    lines += verdicts(rows)
    columns = (
        "family",
        "name",
        "exporter",
        "batch",
        "dialect",
        "became",
        "method",
        "layer",
        "depth",
        "cost",
        "difference",
        "insert seconds",
        "processor",
        "seconds",
        "predecessor",
        "why",
    )
    lines += ["", "| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    for row in rows:
        row = {**row, "predecessor": row.get("predecessor", {}).get("verdict", "")}
        lines.append("| " + " | ".join(str(row.get(key, "")).replace("|", "/") for key in columns) + " |")
    return "\n".join([*lines, ""])


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: what became of each family's exports, as counts, and the slowest insert."""
    titles = ("explained", "refused", "of these, no node or no way out", "wrong", "crashed", "too slow")
    heads = ("family", "networks", "exports", *titles, "slowest insert, of processor time")
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    families = list(dict.fromkeys(row["family"] for row in rows))
    for family in [*families, *(["all"] if len(families) > 1 else [])]:
        exported = [row for row in rows if row["family"] in (family, *(families if family == "all" else ()))]
        exported = [row for row in exported if row["became"] not in UNASKED]
        became = Counter(row["became"] for row in exported)
        bare = sum(row["became"] == "refused" and not row.get("clear", True) for row in exported)
        counts = (became["explained"], became["refused"], bare, became["wrong"], became["crashed"], became["too slow"])
        slowest = max((row.get("processor", row.get("insert seconds", 0)) for row in exported), default=0)
        networks = len({(row["family"], row["name"]) for row in exported})
        lines.append("| " + " | ".join(map(str, (family, networks, len(exported), *counts, f"{slowest} s"))) + " |")
    return lines


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: what the predecessor's hooks are worth, as counts."""
    titles = ("same", "other map", "other scores", "early layer", "no layer", "fails", "unchecked")
    lines = []
    for batch in BATCHES:
        judgements = [row["predecessor"]["verdict"] for row in rows if "predecessor" in row and row["batch"] == batch]
        if judgements:
            counts = [sum(verdict.startswith(title) for verdict in judgements) for title in titles]
            together = [verdict for verdict in judgements if verdict.endswith("fails at batch 3")]
            lines.append("| " + " | ".join(map(str, (batch, len(judgements), *counts, len(together)))) + " |")
    if not lines:
        return []
    heads = ("predecessor: batch", "exports", *titles, "of these, fails at batch 3")
    return ["", "| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|", *lines]


if __name__ == "__main__":
    main()
