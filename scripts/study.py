"""Every method on every network, photo by photo: what its maps keep, cover and cost, and which of them really differ.

    python scripts/study.py [maps|times|pairs|published|protocols] --work FOLDER [--data DATA] [--photos PHOTOS]
        [--model FILE ...] [--shard 1/4 | --processes 4] [--limit N] [--causal N] [--others N] [--few N] [--masks N]
        [--only "ViT;VGG"] [--methods A,B] [--table] [--write]

Without more, the sample networks and photos are compared. DATA is an optional folder with models/ and images/; PHOTOS, a
folder or a list as `ovxai evaluate` takes it, stands in for its photos. `--model` compares a network of your own, which tells
its preprocessing. A row is a photo by a method on a network. It is on the disk as soon as it is measured, in FOLDER/rows. It is
not measured again unless the code, the model, the photo or what is asked changed: a run that is stopped (Ctrl-C) goes on.
A figure in docs/measured stays where the new one is of fewer photos, or not there. A table that has no place there gets one at
the end.

`maps` is the study itself. Its metrics of a masked image are measured on `--limit` photos, insertion and deletion on `--causal`
of these, and comprehensiveness, sufficiency, sensitivity, infidelity, ROAD, SIC and AIC on `--others`. Methods that ask a
network often have `--few` photos. Several processes, on one machine or many that share FOLDER, each take a shard. `times` is
what an explanation takes beside the plain network and beside Recipro-CAM. `pairs` holds the maps of INT8 networks to those of
the float ones, on `--limit` photos. `published` measures nothing: it sets the tables of papers, in DATA/published, beside ours.
`protocols` measures the methods of papers as these do (FD-CAM's steps, Abs-CAM's mask), and sets their tables beside that.

`--table` measures nothing more: it makes FOLDER/PART.md of what is there. `--write` puts the tables into docs/measured, too.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from studies import pairs, published, timing
from studies.merging import merged
from studies.networks import studies
from studies.pages import ROOT, marked, versions, write
from studies.rows import CAUSAL, METHODS, Measured, Plan
from studies.tables import headings, sections

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.files.writing import writing

PAGES = ROOT / "docs" / "measured"
STOPPED = 130  # the exit status of a program that Ctrl-C ends


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 2 for what cannot be compared, or 130 where somebody stopped it."""
    options = parsed(arguments)
    try:
        return run(options, sys.argv[1:] if arguments is None else arguments)
    except xai.OvxaiError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return STOPPED


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure, and write tables of all that is measured. Raises an OvxaiError."""
    plan = plan_of(options)
    with writing(options.work):
        options.work.mkdir(parents=True, exist_ok=True)
    compared = [
        Measured(study, plan)
        for study in studies(options.work, options.data, options.model, options.photos)
        if not options.only or any(part in study.title for part in options.only.split(";"))
    ]
    names = [measured.name for measured in compared]
    if not compared:
        raise InputError(f"no network is called {options.only}")
    if len(set(names)) < len(names):
        raise InputError(f"two networks have one name among folders, of {', '.join(names)}: rename a file")
    for measured in compared:
        measured.check()
    part = PARTS[options.part]
    if options.processes > 1:
        in_processes(options.processes, arguments)
    elif not options.table:
        part.measure(compared)
    if plan.shard[1] > 1:
        return 0  # tables are of all shards
    tables, page = part.tables(compared, options), options.work / f"{options.part}.md"
    page.write_text(marked(tables), encoding="utf-8")
    if options.write:
        titles = {name: title for measured in compared for name, title in headings(measured).items()}
        write(tables, [PAGES / part.page], titles, merged)
    print(f"tables: {page}")
    return 0


def plan_of(options: argparse.Namespace) -> Plan:
    names = ("methods", "limit", "causal", "others", "few", "masks", "seed", "shard")
    reads_only = options.table or options.part == "published"
    return Plan(options.work, **{name: getattr(options, name) for name in names}, reads_only=reads_only)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options. Ends with exit status 2 where they make no sense."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, default="maps", help="what is measured: maps by default")
    parser.add_argument("--work", type=Path, required=True, help="where rows, hooked files and tables are kept")
    parser.add_argument("--data", type=folder, help="an optional folder with models/ and images/")
    parser.add_argument("--photos", type=there, help="photos of your own: a folder, a .csv or a .json")
    parser.add_argument("--model", type=there, action="append", default=[], help="a network of your own; repeatable")
    parser.add_argument("--shard", type=shard, default=(1, 1), help="I/N: each N-th photo from the I-th on")
    parser.add_argument("--processes", type=positive, default=1, help="local processes, each with a shard")
    parser.add_argument("--limit", type=count, default=40, help="photos at most, of metrics of a masked image")
    parser.add_argument("--causal", type=count, default=10, help="photos at most, of insertion and deletion")
    parser.add_argument("--others", type=count, default=0, help="photos at most, of all other metrics")
    parser.add_argument(
        "--few", type=positive, help="photos at most, of methods that ask hundreds of times: 4, or 1 or 2 of large networks"
    )
    parser.add_argument("--masks", type=positive, default=500, help="of RISE, LIME, KernelSHAP and TIS")
    parser.add_argument("--seed", type=count, default=0, help="of the photos' order, and of what is random")
    parser.add_argument("--only", help="networks, by parts of their titles, with semicolons between")
    parser.add_argument("--methods", type=methods, default=METHODS, help="with commas between; all by default")
    parser.add_argument("--table", action="store_true", help="measure nothing more: tables of what is there")
    parser.add_argument("--write", action="store_true", help="merge the tables into those in docs/measured")
    options = parser.parse_args(arguments)
    if options.processes > 1 and options.shard != (1, 1):
        parser.error("--processes makes shards itself: leave --shard out")
    if options.part in ("times", "published") and (options.processes > 1 or options.shard != (1, 1)):
        parser.error(f"{options.part} is of one process: leave --processes and --shard out")
    return options


class Part(NamedTuple):
    """A part of the study: what it measures, the tables of what is measured by their names, and the page of these."""

    measure: Callable[[Sequence[Measured]], None]
    tables: Callable[[Sequence[Measured], argparse.Namespace], dict[str, str]]
    page: str


def measure_maps(compared: Sequence[Measured]) -> None:
    """Measure networks with each method; what ends in an error is told, and the next method has its turn."""
    for measured in compared:
        for method in measured.plan.methods:
            place = measured.place(method)
            print(f"{measured.study.title}: {method}, {place.kind}{place.reason and f': {place.reason}'}", flush=True)
            try:
                measured.measure(method)
            except xai.OvxaiError as error:
                print(f"{measured.study.title}: {method} is not measured: {error}", file=sys.stderr, flush=True)


def tables_of_maps(compared: Sequence[Measured], _: argparse.Namespace) -> dict[str, str]:
    tables = {"conditions": conditions(compared[0].plan)}
    for measured in compared:
        tables |= sections(measured)
    return tables


def measure_times(compared: Sequence[Measured]) -> None:
    timing.on_one_core()
    for measured in timing.distinct(compared):
        print(f"{measured.study.title}: times", flush=True)
        timing.measure(measured)


def tables_of_times(compared: Sequence[Measured], options: argparse.Namespace) -> dict[str, str]:
    paper = published.times(papers(options)) if options.data and (options.data / "published").is_dir() else {}
    networks = timing.distinct(compared)
    return {"times_plain": timing.table(networks, timing.PLAIN), "times_reference": timing.table(networks, "reference", paper)}


def measure_pairs(compared: Sequence[Measured]) -> None:
    for first, second in pairs.pairs_of(compared):
        print(f"{first.study.title} and {second.study.title}", flush=True)
        pairs.measure(first, second)


def tables_of_pairs(compared: Sequence[Measured], _: argparse.Namespace) -> dict[str, str]:
    return {"int8_conditions": conditions(compared[0].plan), "int8": pairs.table(pairs.pairs_of(compared))}


def measure_protocols(compared: Sequence[Measured]) -> None:
    """Measure the methods of papers as these do, insertion and deletion on `--causal` photos, and drop on `--limit`."""
    for measured in compared:
        for protocol, names in published.protocols().items():
            photos = measured.plan.causal if set(names) & set(CAUSAL) else measured.plan.limit
            for method in (name for name in published.NAMES.values() if name in measured.plan.methods and photos):
                print(f"{measured.study.title}: {method} as {protocol}", flush=True)
                try:
                    measured.measure_as(protocol, method, names, photos)
                except xai.OvxaiError as error:
                    print(f"{measured.study.title}: {method} is not measured: {error}", file=sys.stderr, flush=True)


def tables_of_papers(compared: Sequence[Measured], options: argparse.Namespace) -> dict[str, str]:
    return {"published_conditions": conditions(compared[0].plan), **published.sections(papers(options), compared)}


def tables_of_protocols(compared: Sequence[Measured], options: argparse.Namespace) -> dict[str, str]:
    return published.as_published(papers(options), compared)


def papers(options: argparse.Namespace) -> Path:
    """The folder with the tables of papers. Raises InputError where there is none."""
    path = (options.data or Path()) / "published"
    if options.data is None or not path.is_dir():
        raise InputError("the tables of papers are in DATA/published: say where with --data")
    return path


PARTS = {
    "maps": Part(measure_maps, tables_of_maps, "methods.md"),
    "times": Part(measure_times, tables_of_times, "methods.md"),
    "pairs": Part(measure_pairs, tables_of_pairs, "int8.md"),
    "published": Part(lambda compared: None, tables_of_papers, "published.md"),
    "protocols": Part(measure_protocols, tables_of_protocols, "published.md"),
}


def in_processes(number: int, arguments: Sequence[str]) -> None:
    """Measure all shards at a time. Raises SystemExit where one of them fails, KeyboardInterrupt when all have ended."""
    rest = [argument for argument in arguments if argument != "--write"]
    at = next(index for index, argument in enumerate(rest) if argument.startswith("--processes"))
    del rest[at : at + (1 if "=" in rest[at] else 2)]
    running = [
        subprocess.Popen([sys.executable, __file__, *rest, "--shard", f"{index}/{number}"]) for index in range(1, number + 1)
    ]
    try:
        statuses = [process.wait() for process in running]
    except KeyboardInterrupt:
        for process in running:
            process.wait()
        raise
    if any(statuses):
        sys.exit(f"shards ended with {statuses}")


def conditions(plan: Plan) -> str:
    """What the figures were measured with."""
    return (
        f"All in percent. Photos are in an order that seed {plan.seed} draws. RISE, LIME, KernelSHAP and TIS have\n"
        f"{plan.masks} masks (4000 by default, and TIS 1024). {versions()}; {os.cpu_count()} cores, {platform.system()}."
    )


def there(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no file or folder {text!r}")
    return path


def folder(text: str) -> Path:
    path = there(text)
    if not (path / "models").is_dir() or not (path / "images").is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} has no models/ and images/")
    return path


def count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0 or more")
    return int(text)


def positive(text: str) -> int:
    if not count(text):
        raise argparse.ArgumentTypeError("1 or more is expected")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    index, _, number = text.partition("/")
    parts = positive(index), positive(number or "0")
    if parts[0] > parts[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is no shard: 1/4 to 4/4 are expected of 4")
    return parts


def methods(text: str) -> tuple[str, ...]:
    names = text.split(",")
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no method {unknown[0]!r}: of {', '.join(METHODS)}")
    return tuple(name for name in METHODS if name in names)


if __name__ == "__main__":
    sys.exit(main())
