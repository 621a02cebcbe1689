"""The comparison of the literature on deployed models: every method, every metric, and what each takes.

    python scripts/methods.py --work FOLDER --data DATA [--limit N] [--masks N] [--only "ViT;VGG"]

DATA holds models/ and images/; without it the sample network and photos are compared alone. Everything is kept in FOLDER, one
folder for a network, a data set and a method: what is measured is not measured again, so a run that was stopped goes on where
it was. At the end FOLDER/methods.md holds the tables, the versions and the machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.progress import Progress

import openvino_xai as xai
from openvino_xai.hooks import METHODS as HOOKS
from openvino_xai.probes import PROBES, Settings
from openvino_xai.render.photo import read_photo

SAMPLES = Path(__file__).parents[1] / "samples"
TIMED = 3  # explanations by each method; the median counts
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
ONE = {"mean_values": "127.5", "scale_values": "127.5", "reverse_input_channels": "yes"}
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
    costly: dict[str, str] = field(default_factory=dict)  # the layers of methods that are refused unless theirs is named


def studies(data: Path | None, work: Path) -> list[Study]:
    """The sample network on the sample photos, and what `data` has."""
    found = [Study("EfficientNet-Lite0, free photos", SAMPLES / "models" / "efficientnet_lite0.xml", SAMPLES / "images")]
    if data is None:
        return found
    models, images = data / "models", data / "images"
    names = {"labels": str(SAMPLES / "models" / "imagenet_labels.txt")}
    lite, squeeze = models / "efficientnet_lite0.xml", models / "squeezenet1.1.onnx"
    vit = models / "vit_s14_imagenette.xml"
    norm = {"fd_cam": "/backbone/encoder/layer.11/norm1/Add_1"}
    return [
        *found,
        Study("EfficientNet-Lite0, 100 photos", lite, images / "imagenet100", ONE | CROP | names),
        Study("EfficientNet-Lite0, 134 with boxes", lite, images / "boxes" / "boxes.json", ONE | SQUASH | names),
        Study("SqueezeNet 1.1, 100 photos", squeeze, images / "imagenet100", CAFFE | CROP | names),
        Study("SqueezeNet 1.1, 134 with boxes", squeeze, images / "boxes" / "boxes.json", CAFFE | SQUASH | names),
        Study("ViT-S/14, photos with boxes", vit, ten_classes(data, work), IMAGENET | SQUASH, 20, "vit_reciprocam", norm),
        Study("VGG-16, brain slices", models / "vgg16_brain_tumor.xml", slices(data, work), {"scale_values": "255"} | RGB, 4),
    ]


RGB = {"reverse_input_channels": "yes", "resize_type": "standard"}


def ten_classes(data: Path, work: Path) -> Path:
    """The boxes with the ids of a network that has ten of ImageNet's classes."""
    lines = (data / "models" / "vit_s14_imagenette_labels.txt").read_text().split("\n")
    own = {int(line.split()[1]): index for index, line in enumerate(lines) if line.strip()}
    folder = (data / "images" / "boxes").resolve()
    told = json.loads((folder / "boxes.json").read_text())
    path = work / "ten_classes.json"
    path.write_text(json.dumps({str(folder / name): {**item, "label": own[item["label"]]} for name, item in told.items()}))
    return path


def slices(data: Path, work: Path) -> Path:
    """The slices with their classes, which their names tell."""
    names = ("gl", "me", "no", "pi")
    photos = sorted((data / "images" / "brain_mri").resolve().iterdir())
    path = work / "slices.csv"
    path.write_text("".join(f"{photo},{names.index(photo.name[3:5])}\n" for photo in photos))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="the folder with models/ and images/")
    parser.add_argument("--limit", type=int, default=100, help="photos of a data set at most")
    parser.add_argument("--masks", type=int, default=1000, help="RISE's random masks")
    parser.add_argument("--only", help="studies, by parts of their titles, with semicolons between")
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between; all by default")
    told = parser.parse_args()
    told.work.mkdir(parents=True, exist_ok=True)
    found = [
        study
        for study in studies(told.data, told.work)
        if not told.only or any(part in study.title for part in told.only.split(";"))
    ]
    parts, asked = [], tuple(name for name in METHODS if name in told.methods.split(","))
    with Progress() as bar:
        task = bar.add_task("measuring", total=len(found) * len(asked))
        for study in found:
            rows = {}
            for name in asked:
                method = study.recipro if name == "reciprocam" else name
                bar.update(task, description=f"{study.title}: {method}")
                rows[method] = measured(study, method, told)
                bar.advance(task)
            parts.append(section(study, rows, times(study, told.work, told.masks, asked)))
    (told.work / "methods.md").write_text("\n\n".join([*parts, machine(told)]) + "\n")


def measured(study: Study, method: str, told: argparse.Namespace) -> dict[str, Any] | str:
    """What `ovxai evaluate` says, or why it refuses."""
    folder = told.work / slug(study.title) / method
    limit = min(told.limit, study.few or told.limit)
    command = [sys.executable, "-m", "openvino_xai.cli", "evaluate", "--model", study.model, "--input", study.photos, "--json"]
    command += ["--output", folder, "--limit", limit, "--masks", told.masks, "--method", method]
    for name in COLUMNS:
        if name != "pointing_game" or study.photos.suffix == ".json":
            command += ["--metric", name]
    if method in study.costly:
        command += ["--layer", study.costly[method]]
    for name, value in study.options.items():
        command += [f"--{name}", value]
    done = subprocess.run([str(item) for item in command], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def times(study: Study, work: Path, masks: int, asked: tuple[str, ...]) -> dict[str, float]:
    """Seconds of one explanation by each method, and of the plain network (`plain`), in turn in one process."""
    path = work / slug(study.title) / "times.json"
    if path.exists():
        return json.loads(path.read_text())
    photo = read_photo(first_photo(study.photos))
    networks: dict[str, Any] = {}
    for name in asked:
        method = study.recipro if name == "reciprocam" else name
        try:
            if method in PROBES:
                network = xai.probe(study.model, method, settings=Settings(masks=masks))
            else:
                network = xai.load(xai.insert(study.model, method=method, layer=study.costly.get(method)))
        except xai.OvxaiError:
            continue
        network.configure(preprocessing={k: v for k, v in study.options.items() if k != "labels"})
        networks[method] = network
    plain = xai.load(study.model)
    plain.configure(preprocessing={k: v for k, v in study.options.items() if k != "labels"})
    image = plain.prepare(photo)
    k = int(plain.predict(image)[0].argmax())
    spent: dict[str, list[float]] = {"plain": []}
    for turn in range(TIMED + 1):
        for name, network in [("plain", plain), *networks.items()]:
            start = time.perf_counter()
            network.predict(image) if name == "plain" else network.maps(image, [k])
            if turn:
                spent.setdefault(name, []).append(time.perf_counter() - start)
    result = {name: median(seconds) for name, seconds in spent.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return result


def first_photo(photos: Path) -> Path:
    if photos.suffix == ".json":
        return photos.parent / next(iter(json.loads(photos.read_text())))
    if photos.suffix == ".csv":
        return photos.parent / photos.read_text().split(",")[0]
    return sorted(photos.iterdir())[0]


def section(study: Study, rows: dict[str, dict[str, Any] | str], spent: dict[str, float]) -> str:
    """A table of a study: one line a method."""
    located = study.photos.suffix == ".json"
    names = [name for name in COLUMNS if located or name != "pointing_game"]
    head = ["method", "photos", *(COLUMNS[name] for name in names), "seconds", "times the plain network"]
    lines = [f"### {study.title}", "", "| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    refused = []
    for method, row in rows.items():
        if isinstance(row, str):
            refused.append(f"{method}: {row}")
            continue
        values = [f"{row['metrics'][name] * 100:.1f}" for name in names]
        took = [brief(spent[method]), brief(spent[method] / spent["plain"])] if method in spent else ["", ""]
        lines.append("| " + " | ".join([method, str(row["images"]), *values, *took]) + " |")
    return "\n".join([*lines, *(["", *refused] if refused else [])])


def brief(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def slug(title: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in title.lower())


def machine(told: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ovxai", "openvino", "onnxruntime"))
    return (
        f"All in percent, of at most {told.limit} photos each; RISE with {told.masks} masks. Seconds are of one explanation of "
        f"one class, the median of {TIMED}, all methods in turn in one process.\n{versions}; {os.cpu_count()} cores, "
        f"{platform.system()}, numpy {np.__version__}."
    )


if __name__ == "__main__":
    main()
