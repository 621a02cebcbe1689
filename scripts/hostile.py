"""Files from strangers: thousands of broken, odd and malicious ones, and what becomes of each.

    python scripts/hostile.py --work FOLDER [--cases 20000] [--seed 0] [--resume] [--kinds TEXT] [--only INDEX]

Every case is made from its number and the seed alone, in a folder of its own, by a worker that lives under limits of memory
and time. A worker lists the layers of a model, inserts a hook, verified, of one or another method, and writes it. The file is
refused with an error of ours, or accepted: then the plain model and the hooked one run in sessions of the runtime, which know
nothing of this package, and their outputs must be the same bits. Photos, and the records, shards, labels and lists that
commands read, go through the command line, and so do hooked models with odd names that are exported for servers: what is
written is read back. What must not happen: another exception (which would be a traceback); the death of
the process or a hang that the command line, which runs models in a process of their own, does not end at its limits; other
bits or maps; and, by a look at all files around before and after, anything left over, touched or copied that is somebody
else's.

FOLDER/results.jsonl has a line a case, with which --resume goes on, and FOLDER/hostile.json the figures and all that went
wrong. The table is printed in Markdown. The exit status is 1 where something happened that must not.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hostile_files.models import write_seeds
from hostile_files.records import write_template
from hostile_files.trial import BAD, KINDS, WRITTEN, Outcome, run_case
from hostile_files.watch import Watch
from rich.progress import Progress

MEMORY, SECONDS, WORKERS, CASES_A_WORKER = 6 * 2**30, 20, 2, 400
STOPPED, SLOW = "stopped by the command line", "accepted, slowly"
EXAMPLES = 2  # folders of cases that went wrong in the same way


def work_off(pipe: Connection, work: Path, number: int, seed: int, kinds: list[str]) -> None:
    """One worker: the number of a case in, its kind and what became of it out."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    home = work / f"worker{number}"
    os.setsid()  # so that what it starts can be ended with it
    shutil.rmtree(home, ignore_errors=True)
    (home / "tmp").mkdir(parents=True)
    tempfile.tempdir = None
    secret = home / "somebody" / "secret.bin"
    secret.parent.mkdir()
    os.environ["HOSTILE_SECRET"] = str(secret)
    os.environ |= {"TMPDIR": str(home / "tmp"), "HOSTILE_OUTPUT": str(home / "output"), "COLUMNS": "200"}
    output = os.open(home / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    while True:
        index = pipe.recv()
        try:
            pipe.send(run_case(index, seed, work, kinds, pipe.send))
        except Exception:  # a fault of this script's own: the case counts as gone wrong, and the next one is tried
            trace = traceback.format_exc()
            pipe.send(Outcome("campaign fails", trace.splitlines()[-1], trace=trace).row(index, kinds[index % len(kinds)]))


class Worker:
    """A process that is started again when it dies, hangs or has done its share."""

    def __init__(self, number: int, *settings: Any) -> None:
        self.number, self.settings = number, settings
        self.job: int | None = None
        self.start()

    def start(self) -> None:
        work, *others = self.settings
        self.pipe, other = multiprocessing.Pipe()
        arguments = (other, work, self.number, *others)
        self.process = multiprocessing.get_context("spawn").Process(target=work_off, args=arguments)
        self.process.start()
        other.close()
        self.count = 0

    def give(self, index: int) -> None:
        if self.count >= CASES_A_WORKER:
            self.stop()
            self.start()
        self.job, self.kind, self.since = index, "", time.monotonic()
        self.count += 1
        self.pipe.send(index)

    def stop(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended, or has no group yet
            self.process.kill()
        self.process.join()

    def result(self) -> dict[str, Any] | None:
        """What became of the job, None where it is still at it."""
        seconds = time.monotonic() - self.since
        ended = {"index": self.job, "kind": self.kind, "bad": True, "where": "", "also": [], "trace": "", "seconds": seconds}
        if self.pipe.poll(0.01):
            try:
                message = self.pipe.recv()
            except EOFError:
                self.process.join()
                return ended | {"name": "died", "what": f"status {self.process.exitcode}"}
            if isinstance(message, dict):
                return message | {"seconds": round(seconds, 3)}
            self.kind, self.since = message, time.monotonic() if not self.kind else self.since
        elif not self.process.is_alive():
            return ended | {"name": "died", "what": f"status {self.process.exitcode}"}
        elif seconds > SECONDS + (30 if not self.kind else 0):  # a new worker imports first
            return ended | {"name": "hang", "what": f"{SECONDS} s"}
        return None


def prepare(work: Path) -> None:
    """What all cases start from: small models, and the records of runs that went well."""
    write_seeds(work / "seeds")
    template = work / "template"
    shutil.rmtree(template, ignore_errors=True)
    commands = write_template(template)
    hook = ["insert", "--model", str(work / "seeds" / "one.onnx"), "--output", "hooked.onnx", "--runtime", "both"]
    first = ["insert", "--model", str(work / "seeds" / "one.onnx"), "--output", "model.onnx"]
    for command in [hook, first, *([*command, "--model", "model.onnx"] for command in commands)]:
        subprocess.run(
            [sys.executable, "-m", "openvino_xai.cli", *command], cwd=template, check=True, stdout=subprocess.DEVNULL
        )


def by_command(case: Path) -> dict[str, Any]:
    """What the command line makes of a model that a worker died or hung of: it has a process of its own for it."""
    path = next((path for path in (case / "in").glob("model.*") if path.suffix in (".onnx", ".xml")), None)
    if path is None or (case / "in" / "photos").exists():
        return {}
    watch, target = Watch.of(case), path.with_name(f"hooked{path.suffix}")
    guarded = [sys.executable, "-c", "from openvino_xai.cli.process.guard import guarded; guarded()"]
    limits = ["--limit-memory", "6GiB", "--timeout", str(SECONDS)]
    command = [*guarded, *limits, "insert", "--model", str(path), "--output", str(target), "--force"]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=3 * SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"what": "the command line hangs, too"}
    if ended.returncode == 2 and b"Traceback" not in ended.stderr and not watch.differences(lambda name: False):
        return {"name": STOPPED, "bad": False, "what": ended.stderr.decode(errors="replace")[-200:]}
    written = ended.returncode == 0 and not watch.differences(lambda name: name in WRITTEN)
    return {"name": SLOW, "bad": False} if written else {"what": f"the command line: status {ended.returncode}"}


def run(work: Path, indices: list[int], seed: int, kinds: list[str], results: dict[int, dict[str, Any]]) -> None:
    """Work off cases; a line for each is added to the file of results."""
    workers = [Worker(number, work, seed, kinds) for number in range(WORKERS)]
    todo = list(reversed(indices))
    alike: collections.Counter[tuple[str, ...]] = collections.Counter()
    with Progress() as bar, (work / "results.jsonl").open("a") as lines:
        task = bar.add_task("cases", total=len(indices))
        while True:
            for worker in workers:
                if worker.job is None and todo:
                    worker.give(todo.pop())
                if worker.job is None or (result := worker.result()) is None:
                    continue
                if result["name"] in ("died", "hang"):
                    worker.stop()
                    worker.start()
                    result |= by_command(work / "case" / str(worker.job))
                results[worker.job] = result
                lines.write(json.dumps(result) + "\n")
                lines.flush()
                likeness = (result["name"], result["where"], result["what"][:40], *result["also"])
                alike[likeness] += 1
                if not result["bad"] or alike[likeness] > EXAMPLES:
                    shutil.rmtree(work / "case" / str(worker.job), ignore_errors=True)
                worker.job = None
                bar.advance(task)
            if not todo and all(worker.job is None for worker in workers):
                break
    for worker in workers:
        worker.stop()


def summary(results: list[dict[str, Any]]) -> str:
    """The figures as a table in Markdown."""
    names = ["refused", "accepted", "accepted, plain file fails", SLOW, STOPPED, *BAD]
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for result in results:
        row = result["kind"].partition(":")[0]
        names_of = {result["name"], *(item.partition(":")[0] for item in result["also"])}
        for group in (row, "all"):
            counts[group]["cases"] += 1
            counts[group].update(names_of)
    shown = [name for name in names if counts["all"][name] or name in BAD[1:]]
    rows = [["files", "cases", *shown], ["---"] * (len(shown) + 2)]
    groups = sorted(counts, key=lambda name: (name == "all", name))
    rows += [[group, *(f"{counts[group][name]:,}" for name in ("cases", *shown))] for group in groups]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    parser.add_argument("--kinds", default="", help="only kinds with this text in their name")
    parser.add_argument("--only", type=int, help="only the case of this number, whose folder stays")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not options.resume:
        shutil.rmtree(work / "case", ignore_errors=True)
        (work / "results.jsonl").unlink(missing_ok=True)
    prepare(work)
    kinds = [name for name in KINDS if options.kinds in name]
    results: dict[int, dict[str, Any]] = {}
    if options.resume and (work / "results.jsonl").exists():
        for line in (work / "results.jsonl").read_text().splitlines():
            results[json.loads(line)["index"]] = json.loads(line)
    indices = [options.only] if options.only is not None else [i for i in range(options.cases) if i not in results]
    start = time.monotonic()
    run(work, indices, options.seed, kinds, results)
    seconds = time.monotonic() - start
    wrong = [result for result in results.values() if result["bad"]]
    by_kind: dict[str, dict[str, Any]] = {}
    for result in results.values():
        row = by_kind.setdefault(result["kind"], collections.Counter())
        row[result["name"]] += 1
        row["seconds"] += result["seconds"]
    figures = {"cases": len(results), "seed": options.seed, "seconds": round(seconds), "by kind": by_kind, "wrong": wrong}
    (work / "hostile.json").write_text(json.dumps(figures, indent=2))
    print(summary(list(results.values())))
    if wrong:
        print(f"\n{len(wrong)} cases went wrong: see {work / 'hostile.json'}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
