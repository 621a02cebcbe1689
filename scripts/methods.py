"""The comparison of the literature on deployed models: every method, every metric, and what each takes.

    python scripts/methods.py --work FOLDER --data DATA [--write] [--limit N] [--few N] [--masks N] [--only "ViT;VGG"]

DATA holds models/ and images/; without it the sample network and photos are compared alone. A table that is measured is
kept in FOLDER/tables as JSON, and is not measured again unless the code, its data or the options changed; a run that was
stopped in the middle of a table goes on at the photo where it was. `--write` replaces each table that this run has in
docs/measured/methods.md, between `<!-- table: NAME -->` and `<!-- end -->`. Methods that ask the network once a
channel are measured on `--few` photos, which the column `photos` says.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import Progress, TaskID

import openvino_xai as xai
from openvino_xai.errors import LayerError
from openvino_xai.files.writing import written_whole
from openvino_xai.hooks import METHODS as HOOKS
from openvino_xai.probes import PROBES, Settings
from openvino_xai.render.photo import read_photo

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
PAGES = (ROOT / "docs" / "measured" / "methods.md",)
MEASURED = (
    "dialects",
    "evaluate",
    "graph",
    "hooks",
    "locate",
    "operations",
    "plan",
    "probes",
    "render",
    "runtime",
    "surgery",
    "tail",
)  # the code that a table depends on
TIMED = 3  # explanations by each method; the median counts
SLOW = 2.0  # seconds: a method that takes longer is timed once
MEMORY = 2**40  # of hooks whose operations are counted and that never run
ONE_A_CHANNEL = ("score_cam", "abs_cam")  # probes that ask the network some thousand times for every map
GRADIENTS = tuple(name for name, hook in HOOKS.items() if hook.gradients)
METHODS = ("reciprocam", "cam", "activation_map", *(name for name in GRADIENTS if name not in PROBES), *PROBES)
COLUMNS = {
    "average_drop": "drop",
    "average_increase": "increase",
    "deletion": "deletion",
    "insertion": "insertion",
    "coherency": "coherency",
    "complexity": "complexity",
    "adcc": "ADCC",
    "pointing_game": "pointing",
}
IMAGENET = {"mean_values": "123.675,116.28,103.53", "scale_values": "58.395,57.12,57.375", "reverse_input_channels": "yes"}
SYMMETRIC = {"mean_values": "127.5", "scale_values": "127.5", "reverse_input_channels": "yes"}
CAFFE = {"mean_values": "103.939,116.779,123.68"}
CROP, SQUASH = {"resize_type": "crop"}, {"resize_type": "standard"}


@dataclass(frozen=True)
class Study:
    """A network on a data set; `few` photos of it where one question takes long."""

    title: str
    model: Path
    photos: Path
    options: dict[str, str] = field(default_factory=dict)
    few: int | None = None
    recipro: str = "reciprocam"
    pixels_elsewhere: bool = False
    costly: dict[str, str] = field(default_factory=dict)  # the layers of methods that are refused unless theirs is named


def studies(data: Path | None, work: Path) -> list[Study]:
    """The sample network on the sample photos, and what `data` has."""
    samples = [Study("EfficientNet-Lite0, free photos", SAMPLES / "models" / "efficientnet_lite0.xml", SAMPLES / "images")]
    if data is None:
        return samples
    models, images = data / "models", data / "images"
    names = {"labels": str(SAMPLES / "models" / "imagenet_labels.txt")}
    lite, squeeze = models / "efficientnet_lite0.xml", models / "squeezenet1.1.onnx"
    vit = models / "vit_s14_imagenette.xml"
    norm = {"fd_cam": "/backbone/encoder/layer.11/norm1/Add_1"}
    return [
        *samples,
        Study("EfficientNet-Lite0, 100 photos", lite, images / "imagenet100", SYMMETRIC | CROP | names),
        Study(
            "EfficientNet-Lite0, 134 with boxes",
            lite,
            images / "boxes" / "boxes.json",
            SYMMETRIC | SQUASH | names,
            pixels_elsewhere=True,
        ),
        Study("SqueezeNet 1.1, 100 photos", squeeze, images / "imagenet100", CAFFE | CROP | names),
        Study(
            "SqueezeNet 1.1, 134 with boxes",
            squeeze,
            images / "boxes" / "boxes.json",
            CAFFE | SQUASH | names,
            pixels_elsewhere=True,
        ),
        Study("ViT-S/14, photos with boxes", vit, ten_classes(data, work), IMAGENET | SQUASH, 3, "vit_reciprocam", costly=norm),
        Study("VGG-16, brain slices", models / "vgg16_brain_tumor.xml", slices(data, work), {"scale_values": "255"} | RGB, 1),
    ]


RGB = {"reverse_input_channels": "yes", "resize_type": "standard"}


def ten_classes(data: Path, work: Path) -> Path:
    """The boxes with the ids of a network that has ten of ImageNet's classes."""
    lines = (data / "models" / "vit_s14_imagenette_labels.txt").read_text().split("\n")
    ids = {int(line.split()[1]): index for index, line in enumerate(lines) if line.strip()}
    folder = (data / "images" / "boxes").resolve()
    boxes = json.loads((folder / "boxes.json").read_text())
    path = work / "ten_classes.json"
    path.write_text(json.dumps({str(folder / name): {**item, "label": ids[item["label"]]} for name, item in boxes.items()}))
    return path


def slices(data: Path, work: Path) -> Path:
    """The slices with their classes, which their names tell."""
    names = ("gl", "me", "no", "pi")
    photos = sorted((data / "images" / "brain_mri").resolve().iterdir())
    path = work / "slices.csv"
    path.write_text("".join(f"{photo},{names.index(photo.name[3:5])}\n" for photo in photos))
    return path


@dataclass(frozen=True)
class Plan:
    """Where a run keeps what it measures, and on how many photos each method is measured."""

    work: Path
    limit: int
    few: int
    masks: int
    methods: tuple[str, ...]

    def names(self, study: Study) -> list[str]:
        """The methods that a study compares; those of single pixels are measured on one set of a network's photos."""
        return [
            study.recipro if name == "reciprocam" else name
            for name in self.methods
            if not (study.pixels_elsewhere and name in PROBES and PROBES[name].looks_at == "gradients")
        ]

    def photos(self, study: Study, method: str) -> int:
        """How many photos of a study a method is measured on, at most."""
        most = min(self.limit, study.few or self.limit)
        return min(most, self.few) if method in ONE_A_CHANNEL else most

    def key(self, study: Study) -> str:
        """A digest of what a table depends on: the code, this plan, the study, and the versions beneath."""
        texts = [f"{self.limit} {self.few} {self.masks} {self.methods}", repr(study), versions()]
        if study.photos.is_file():
            texts.append(study.photos.read_text())
        return digest(*texts, code())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="the folder with models/ and images/")
    parser.add_argument("--limit", type=int, default=10, help="photos of a data set at most")
    parser.add_argument("--few", type=int, default=4, help="photos at most for methods that ask once a channel")
    parser.add_argument("--masks", type=int, default=500, help="RISE's random masks")
    parser.add_argument("--only", help="studies, by parts of their titles, with semicolons between")
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between; all by default")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/measured/methods.md")
    options = parser.parse_args()
    (options.work / "tables").mkdir(parents=True, exist_ok=True)
    names = tuple(name for name in METHODS if name in options.methods.split(","))
    plan = Plan(options.work, options.limit, options.few, options.masks, names)
    chosen = [
        study
        for study in studies(options.data, options.work)
        if not options.only or any(part in study.title for part in options.only.split(";"))
    ]
    tables = {"conditions": conditions(plan)}
    with Progress() as bar:
        task = bar.add_task("measuring", total=sum(len(plan.names(study)) for study in chosen))
        for study in chosen:
            tables[slug(study.title)] = section(study, table(study, plan, bar, task))
    text = "".join(f"<!-- table: {name} -->\n\n{lines}\n\n<!-- end -->\n\n" for name, lines in tables.items())
    (options.work / "methods.md").write_text(text)
    if options.write:
        write(tables)


def write(tables: dict[str, str], places: Sequence[Path] = PAGES) -> None:
    """Put tables between their markers in the pages. Raises SystemExit where a table has no place in any of them."""
    pages = {page: page.read_text(encoding="utf-8") for page in places}
    for name, lines in tables.items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not any(pattern.search(text) for text in pages.values()):
            sys.exit(f"no page has a place for the table {name}: <!-- table: {name} --> and <!-- end --> are expected")
        for page, text in pages.items():
            pages[page] = pattern.sub(lambda match, lines=lines: f"{match[1]}\n{lines}\n\n{match[2]}", text)
    for page, text in pages.items():
        with written_whole(page) as temporary:
            temporary.write_text(text, encoding="utf-8")


def table(study: Study, plan: Plan, bar: Progress, task: TaskID) -> dict[str, Any]:
    """What is measured of a study: `rows` by method, `seconds` by method, and `costs` of hooks that are probes, too."""
    path, key = plan.work / "tables" / f"{slug(study.title)}.json", plan.key(study)
    if path.exists() and (saved := json.loads(path.read_text()))["key"] == key:
        bar.advance(task, len(plan.names(study)))
        return saved
    rows = {}
    for method in plan.names(study):
        bar.update(task, description=f"{study.title}: {method}")
        rows[method] = measured(study, method, plan)
        bar.advance(task)
    bar.update(task, description=f"{study.title}: seconds")
    result = {"key": key, "rows": rows, "seconds": times(study, plan), "costs": costs(study, plan)}
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1))
    return result


def measured(study: Study, method: str, plan: Plan) -> dict[str, Any] | str:
    """What `ovxai evaluate` says, or why it refuses."""
    folder = plan.work / code() / slug(study.title) / method
    command = [
        sys.executable,
        "-m",
        "openvino_xai.cli",
        "evaluate",
        "--model",
        study.model,
        "--input",
        study.photos,
        "--json",
        "--no-baselines",
    ]
    command += ["--output", folder, "--limit", plan.photos(study, method), "--masks", plan.masks, "--method", method]
    for name in COLUMNS:
        if name != "pointing_game" or study.photos.suffix == ".json":
            command += ["--metric", name]
    if method in study.costly:
        command += ["--layer", study.costly[method]]
    for name, value in study.options.items():
        command += [f"--{name}", value]
    done = subprocess.run([str(item) for item in command], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 2):
        sys.exit(f"evaluate ended with {done.returncode} on {study.title}, {method}:\n{done.stderr}")
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def times(study: Study, plan: Plan) -> dict[str, float]:
    """Seconds of one explanation by each method, and of the plain network (`plain`), in turn in one process."""
    photo = read_photo(first_photo(study.photos))
    preprocessing = {name: value for name, value in study.options.items() if name != "labels"}
    networks: dict[str, Any] = {"plain": xai.load(study.model)}
    for method in plan.names(study):
        try:
            if method in PROBES:
                networks[method] = xai.probe(study.model, method, settings=Settings(masks=plan.masks))
            else:
                networks[method] = xai.load(xai.insert(study.model, method=method, layer=study.costly.get(method)))
        except xai.OvxaiError:
            continue
    for network in networks.values():
        network.configure(preprocessing=preprocessing)
    image = networks["plain"].prepare(photo)
    k = int(networks["plain"].predict(image)[0].argmax())
    spent: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(TIMED + 1):
        for name, network in networks.items():
            if spent[name] and spent[name][0] > SLOW:
                continue
            start = time.perf_counter()
            network.predict(image) if name == "plain" else network.maps(image, [k])
            spent[name].append(time.perf_counter() - start)
    # the first turn warms up
    return {name: median(seconds[1:] or seconds) for name, seconds in spent.items()}


def costs(study: Study, plan: Plan) -> dict[str, float | None]:
    """The operations of methods that are probes and hooks, as hooks for one class: times the plain network's; None of none."""
    both = [name for name in plan.names(study) if name in PROBES and name in HOOKS]
    return {method: cost(study.model, method, study.costly.get(method)) for method in both}


def cost(model: Path, method: str, layer: str | None) -> float | None:
    """A hook's operations; where it is refused at its layer for what it takes there, those it is refused for."""
    try:
        return xai.insert(model, method=method, layer=layer, targets="top:1", verify=False, max_memory=MEMORY).layer.cost
    except LayerError as error:
        return cost(model, method, error.node) if layer is None and error.node else None
    except xai.OvxaiError:
        return None


def first_photo(photos: Path) -> Path:
    if photos.suffix == ".json":
        return photos.parent / next(iter(json.loads(photos.read_text())))
    if photos.suffix == ".csv":
        return photos.parent / photos.read_text().split(",")[0]
    return sorted(photos.iterdir())[0]


def section(study: Study, result: dict[str, Any]) -> str:
    """A table of a study: one line a method, and below it what was refused and what hooks cost."""
    rows, seconds = result["rows"], result["seconds"]
    located = study.photos.suffix == ".json"
    names = [name for name in COLUMNS if located or name != "pointing_game"]
    head = ["method", "photos", *(COLUMNS[name] for name in names), "seconds", "times the plain network"]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    below = []
    for method, row in rows.items():
        if isinstance(row, str):
            below.append(f"- `{method}`: {row}")
            continue
        values = [f"{row['metrics'][name] * 100:.1f}" for name in names]
        took = [brief(seconds[method]), brief(seconds[method] / seconds["plain"])] if method in seconds else ["", ""]
        lines.append("| " + " | ".join([method, str(row["images"]), *values, *took]) + " |")
    for method, cost in result["costs"].items():
        said = "refused" if cost is None else f"{brief(cost)} times the plain network's operations, by counting"
        below.append(f"- `{method}` as a hook: {said}")
    return "\n".join([*lines, *(["", *below] if below else [])])


def brief(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def slug(title: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in title.lower())


def conditions(plan: Plan) -> str:
    """What the figures were measured with."""
    return (
        f"All in percent, of at most {plan.limit} photos, and {plan.few} for {' and '.join(ONE_A_CHANNEL)}, which ask the\n"
        f"network once a channel; RISE with {plan.masks} masks (its paper takes 4000 and more). Seconds are of one\n"
        f"explanation of one class, the median of {TIMED}, all methods in turn in one process; what takes more than {SLOW:g}\n"
        "seconds is timed once. "
        f"{versions()}; {os.cpu_count()} cores, {platform.system()}."
    )


def versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ovxai", "openvino", "onnxruntime", "numpy"))


@cache
def code() -> str:
    """A digest of the code that is measured."""
    package = ROOT / "openvino_xai"
    paths = sorted(path for name in MEASURED for path in (package / name).rglob("*.py"))
    return digest(*(f"{path.relative_to(package)}\n{path.read_text(encoding='utf-8')}" for path in paths))


def digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
