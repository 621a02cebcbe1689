"""Methods for boxes compared on a detector: every metric, beside maps that explain nothing.

    python scripts/detector_study.py --work FOLDER --data DATA [--limit N] [--false N] [--few N] [--masks N] [--best] [--write]
        [--overlap] [--sheet]

DATA holds models/yolox_nano.onnx and images/coco/ with boxes.json. Boxes are chosen at random, as many true positives as
`--limit` and as many others as `--false`, and measured one after the other with every method, so that a run that was stopped
goes on where it was, and one that is not at its end has a table all the same. `--write` replaces the tables in
docs/measured/detectors.md, between `<!-- table: NAME -->` and `<!-- end -->`; `--sheet` draws twenty boxes as each method
explains them.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from studies.pages import code, versions, write

import openvino_xai as xai
from openvino_xai.detection import DetectionExplanation
from openvino_xai.evaluate.boxes.annotations import Annotated, read_annotations
from openvino_xai.evaluate.boxes.baselines import BASELINES
from openvino_xai.evaluate.boxes.case import BoxCase, Scene
from openvino_xai.evaluate.boxes.metrics import BOX_METRICS, measured, overall
from openvino_xai.evaluate.boxes.pointing import energy, object_discrimination
from openvino_xai.evaluate.boxes.run import cases_of, scene_of
from openvino_xai.evaluate.classes.case import Choices
from openvino_xai.files.writing import written_whole
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.probes import Settings
from openvino_xai.render.boxes import Mark, marked
from openvino_xai.render.overlay import OVERLAY, Box, drawn
from openvino_xai.render.photo import read_photo, write_picture
from openvino_xai.render.sheet import sheet
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.proposer import Proposer

PAGE = Path(__file__).parents[1] / "docs" / "measured" / "detectors.md"
YOLOX = {"preset": "raw", "resize_type": "fit_to_window", "pad_value": "114"}
SEED = 0
DRAWN = 20  # boxes of a sheet
CERTAIN = 0.7  # the score of a box that the detector is sure of
LARGE = 96 * 96  # pixels of a photo, from which COCO calls an object large
METHODS_DRAWN = ("layer_cam", "hires_cam", "reciprocam", "class_map")
BEST = "boxes:16"  # what hooks explain
SOURCES = (  # methods with the layers that they explain at
    ("layer_cam", "backbone"),
    ("layer_cam", "heads"),
    ("hires_cam", "backbone"),
    ("hires_cam", "heads"),
    ("class_map", "heads"),
    ("class_probability", "heads"),
    ("reciprocam", "backbone"),
)
PROBE = "d_rise"
DROP = "reciprocam drop"  # what a row loses without a cell
SOURCES_OF_BEST = (*(source for source in SOURCES if source[0] not in ("class_map", "class_probability")), (DROP, "heads"))
METRICS_OF_BEST = ("pointing_game", "energy", "object_discrimination", "box_deletion")
ON_FEW = ("class_probability, heads", PROBE, "random")  # maps that are measured on a few boxes
COLUMNS = {
    "pointing_game": "pointing",
    "energy": "energy",
    "object_discrimination": "ODI",
    "box_deletion": "box deletion",
    "box_insertion": "box insertion",
    "deletion": "deletion",
    "insertion": "insertion",
}
TITLES = {
    "all": "All boxes",
    "true_positive": "True positives",
    "large": "True positives of 96 x 96 pixels of the photo or more",
    "mislocalised": "Mislocalised boxes",
    "false_positive": "False positives",
    "few": "True positives on which all maps were measured",
}


@dataclass(frozen=True)
class Chosen:
    """A box that is measured: its photo, the row and class of the detector, what it is, and its area in the photo."""

    photo: str
    index: int
    label: int
    group: str
    others: int
    area: float

    @property
    def name(self) -> str:
        """What lines of results call it."""
        return f"{self.photo} {self.index} {self.label}"


class Study:
    """A detector, its photos, and what is measured of them in a folder of this version of the code."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.model = options.data / "models" / "yolox_nano.onnx"
        self.folder = options.work / code()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._networks: dict[tuple[str, str], Any] = {}
        self.lines = self.folder / f"lines_{options.masks}.jsonl"

    @cached_property
    def photos(self) -> dict[str, Annotated]:
        """The photos by name, with their objects."""
        network = self.network(*SOURCES[0])
        listed = read_annotations(self.options.data / "images" / "coco" / "boxes.json", network.labels, network.classes)
        return {photo.path.name: photo for photo in listed}

    @cached_property
    def propose(self) -> Proposer:
        """The detector without a hook."""
        return Proposer.of(self.model)

    def network(self, method: str, cut: str) -> Detector:
        """The detector with a hook, which is made once, or with the probe."""
        if (method, cut) in self._networks:
            return self._networks[method, cut]
        if method == PROBE:
            network: Any = xai.probe(self.model, PROBE, settings=Settings(masks=self.options.masks, seed=SEED))
        else:
            path = self.folder / f"{method}_{cut}.onnx".replace(" ", "_")
            if not path.exists():
                name, _, mask = method.partition(" ")
                xai.insert(self.model, method=name, mask=mask or None, cut=cut, targets=_targets(method)).save(path)
            network = xai.load(path)
        network.configure(preprocessing=YOLOX)
        return self._networks.setdefault((method, cut), network)

    def boxes(self) -> list[Chosen]:
        """The boxes that are measured, in the order of their turn."""
        path = self.folder / "boxes.json"
        if not path.exists():
            network = self.network(*SOURCES[0])
            rows = []
            for name, photo in self.photos.items():
                explanation = network.explain(photo.path)
                scene = scene_of(network, self.propose, explanation, Choices())
                rows += [
                    [name, target.index, target.id, match.group, len(match.others), round(_area(target.box))]
                    for target, match, _ in cases_of(explanation, scene, photo)
                ]
            with written_whole(path) as temporary:
                temporary.write_text(json.dumps(rows))
        boxes = [Chosen(*row) for row in json.loads(path.read_text())]
        order = np.random.default_rng(SEED).permutation(len(boxes))
        shuffled = [boxes[place] for place in order]
        right = [box for box in shuffled if box.group == "true_positive"][: self.options.limit]
        wrong = [box for box in shuffled if box.group != "true_positive"][: self.options.false]
        chosen = {*right, *wrong}
        return [box for box in shuffled if box in chosen]

    def results(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """What is measured so far, by box and map."""
        if not self.lines.exists():
            return {}
        rows = [json.loads(line) for line in self.lines.read_text().splitlines() if line.endswith("}")]
        return {(row["box"], row["map"]): row["metrics"] for row in rows}

    def case(self, box: Chosen, method: str, cut: str, scene: Scene | None = None) -> BoxCase:
        """A box as a method explains it."""
        photo = self.photos[box.photo]
        network = self.network(method, cut)
        explanation = _explanation(network, str(photo.path))
        scene = scene or scene_of(network, self.propose, explanation, Choices())
        for target, _, case in cases_of(explanation, scene, photo):
            if (target.index, target.id) == (box.index, box.label):
                return case
        raise SystemExit(f"{method} at {cut} does not explain {box.name}")

    def alone(self, box: Chosen, method: str, cut: str) -> np.ndarray:
        """The map of a box's class, or of its row, by a method that does not explain the best boxes."""
        targets: Any = [box.label] if _targets(method) == "all" else f"{box.index}:{box.label}"
        return np.asarray(self.network(method, cut).explain(self.photos[box.photo].path, targets=targets).maps[0])

    def measure(self) -> None:
        """Measure every box with every map, and append a line for each."""
        boxes, done = self.boxes(), self.results()
        few = [box for box in boxes if box.group == "true_positive"][: self.options.few]
        names = [f"{method}, {cut}" for method, cut in SOURCES if f"{method}, {cut}" not in ON_FEW]
        names += [name for name in BASELINES if name not in ON_FEW]
        turns = [(box, [*names, *ON_FEW]) for box in few] + [(box, names) for box in boxes if box not in few]
        with self.lines.open("a") as file, Progress() as bar:
            for box, wanted in bar.track(turns, description="measuring boxes"):
                left = [name for name in wanted if (box.name, name) not in done]
                for name, case in self.cases(box, left):
                    row = {"box": box.name, "map": name, "metrics": measured(case, list(BOX_METRICS))}
                    file.write(json.dumps(row) + "\n")
                    file.flush()

    def cases(self, box: Chosen, names: Sequence[str]) -> Iterator[tuple[str, BoxCase]]:
        """The box with each of the maps that are named."""
        if not names:
            return
        first = self.case(box, *SOURCES[0])
        rng = np.random.default_rng([SEED, box.index, box.label])
        for name in names:
            method, _, cut = name.partition(", ")
            if name in BASELINES:
                yield name, replace(first, saliency=BASELINES[name](first, rng))
            elif method in ROW_METHODS and _targets(method) != BEST:
                yield name, replace(first, saliency=self.alone(box, method, cut))
            else:
                yield name, self.case(box, method, cut, first.scene)

    def best(self) -> list[dict[str, Any]]:
        """For the most probable box of each photo, what its maps and the Gaussian reach; measured once."""
        path = self.folder / "best.json"
        if not path.exists():
            rows = []
            with Progress() as bar:
                for photo in bar.track(list(self.photos.values()), description="measuring the best boxes"):
                    explanation = self.network(*SOURCES[0]).explain(photo.path)
                    if explanation.targets:
                        rows.append(self._measured_best(photo, explanation))
            with written_whole(path) as temporary:
                temporary.write_text(json.dumps(rows))
        results: list[dict[str, Any]] = json.loads(path.read_text())
        return results

    def _measured_best(self, photo: Annotated, explanation: DetectionExplanation) -> dict[str, Any]:
        scene = scene_of(self.network(*SOURCES[0]), self.propose, explanation, Choices())
        target, _, first = max(cases_of(explanation, scene, photo), key=lambda case: case[0].probability)
        box = Chosen(photo.path.name, target.index, target.id, "best", len(first.others), _area(target.box))
        cases = {f"{method}, {cut}": self.case(box, method, cut, scene) for method, cut in SOURCES_OF_BEST}
        cases["gaussian"] = replace(first, saliency=BASELINES["gaussian"](first, np.random.default_rng(SEED)))
        return {
            "score": target.probability,
            "metrics": {name: measured(case, list(METRICS_OF_BEST)) for name, case in cases.items()},
        }

    def overlap(self) -> dict[str, list[tuple[float, float]]]:
        """For the most probable box of each photo: how much of a map other objects have, and beside the box."""
        shares: dict[str, list[tuple[float, float]]] = {}
        network = self.network(*SOURCES[0])
        for photo in self.photos.values():
            explanation = network.explain(photo.path)
            if not explanation.targets:
                continue
            cases = cases_of(explanation, scene_of(network, self.propose, explanation, Choices()), photo)
            _, _, first = max(cases, key=lambda case: case[0].probability)
            blurred = replace(first, saliency=BASELINES["gaussian"](first, np.random.default_rng(SEED)))
            for name, case in ((", ".join(SOURCES[0]), first), ("gaussian", blurred)):
                of_all = object_discrimination(replace(case, others=(case.box, *case.others))) if case.others else None
                beside = 0.0 if of_all is None else of_all - energy(case)
                shares.setdefault(name, []).append((object_discrimination(case) or 0.0, beside))
        return shares

    def tables(self) -> dict[str, str]:
        """The tables by name: what they were measured with, and a table for each group of boxes and for all."""
        results = self.results()
        maps = [*(f"{method}, {cut}" for method, cut in SOURCES), PROBE, *BASELINES]
        on_all = [name for name in maps if name not in ON_FEW]

        def rows_of(boxes: list[Chosen], names: list[str], group: str | None = None) -> list[dict[str, Any]]:
            return [
                {
                    "group": group or box.group,
                    "others": box.others,
                    "metrics": {name: results[box.name, name] for name in names},
                }
                for box in boxes
                if all((box.name, name) in results for name in names)
            ]

        large = [box for box in self.boxes() if box.area >= LARGE and box.group == "true_positive"]
        parts = (rows_of(self.boxes(), on_all), rows_of(large, on_all, "large"), rows_of(self.boxes(), maps, "few"))
        groups = {group: means for part in parts for group, means in overall(part).items()}
        tables = [_table(title, groups[group]) for group, title in TITLES.items() if group in groups]
        tables += [_differences(results, [name for name in maps if name != "gaussian"])]
        return {"detector_conditions": self.conditions(), "detector_study": "\n\n".join(tables)}

    def conditions(self) -> str:
        """What the figures were measured with."""
        return (
            "YOLOX-nano (416 x 416) on photos of COCO, boxes with a score of 25 % or more, drawn at random;\n"
            f"`{PROBE}` with {self.options.masks} masks. {versions()}; {platform.system()}."
        )

    def draw(self) -> None:
        """A sheet of boxes: a row for each, a column for each map."""
        boxes = self.boxes()
        few = [box for box in boxes if box.group == "true_positive"][: DRAWN - DRAWN // 4]
        few += [box for box in boxes if box.group != "true_positive"][: DRAWN // 4]
        rows = []
        for box in few:
            pictures = []
            photo = read_photo(self.photos[box.photo].path)
            names = [*(f"{method}, {cut}" for method, cut in SOURCES if method in METHODS_DRAWN), "gaussian"]
            for name, case in self.cases(box, names):
                picture = drawn(photo, case.saliency, case.scene.view, OVERLAY)
                pictures.append((marked(picture, [Mark(case.box, box.group, (255, 255, 255))]), name))
            rows.append(pictures)
        write_picture(self.options.work / "sheet.png", sheet(rows))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _targets(method: str) -> str:
    """What a hook explains: the best boxes, every class, or one row that it is told, where each row has its price."""
    traits = ROW_METHODS[method.partition(" ")[0]]
    return "all" if traits.explains == "classes" else "asked:1" if traits.masks else BEST


@lru_cache(maxsize=32)
def _explanation(network: Detector, path: str) -> DetectionExplanation:
    return network.explain(path)


def _table(title: str, group: dict[str, Any]) -> str:
    """A table of one group: a line for each map."""
    head = ["map", *COLUMNS.values()]
    counted = f"**{title}**: {group['n']}; in ODI, the {group['n_others']} of them whose class has other objects in the photo"
    lines = [counted, "", "| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for name, metrics in group["metrics"].items():
        cells = ["" if (value := metrics[metric]) is None else f"{value:.3f}" for metric in COLUMNS]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _table_of_best(rows: list[dict[str, Any]]) -> str:
    """A table of the most probable box of each photo; in ODI a box whose class has no other object in the photo counts 0."""
    titles = [COLUMNS[name] for name in METRICS_OF_BEST]
    head = ["map", *titles, *(f"{title}, score of 70 % or more" for title in titles)]
    certain = [row for row in rows if row["score"] >= CERTAIN]
    lines = [
        f"**The most probable box of each photo**: {len(rows)}; {len(certain)} of them have a score of 70 % or more. ODI is",
        "the mean over all of them: a box whose class has no other object in the photo counts 0",
        "",
    ]
    lines += ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for name in rows[0]["metrics"]:
        means = [
            float(np.mean([row["metrics"][name][metric] or 0.0 for row in group]))
            for group in (rows, certain)
            for metric in METRICS_OF_BEST
        ]
        lines.append("| " + " | ".join([name, *(f"{mean:.3f}" for mean in means)]) + " |")
    return "\n".join(lines)


def _table_of_overlap(shares: dict[str, list[tuple[float, float]]]) -> str:
    """How much of the share in other objects is where their boxes lie in the explained one."""
    lines = ["| map | boxes | ODI | of that, beside the box |", "| --- | --- | --- | --- |"]
    for name, pairs in shares.items():
        total, beside = np.mean(pairs, axis=0)
        lines.append(f"| {name} | {len(pairs)} | {total:.3f} | {beside:.3f} |")
    return "\n".join(lines)


def _differences(results: dict[tuple[str, str], dict[str, float | None]], names: list[str]) -> str:
    """A table of how far each map is from the Gaussian, on the boxes that both have."""
    columns = {name: title for name, title in COLUMNS.items() if "deletion" in name or "insertion" in name}
    head = ["map", "boxes", *columns.values()]
    lines = ["**Differences from the Gaussian on the same boxes, of any group**: the mean and its standard error", ""]
    lines += ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for name in names:
        pairs = [
            (metrics, results[box, "gaussian"])
            for (box, other), metrics in results.items()
            if other == name and (box, "gaussian") in results
        ]
        cells = []
        for metric in columns:
            values = np.array([float(metrics[metric] or 0) - float(gaussian[metric] or 0) for metrics, gaussian in pairs])
            cells.append(f"{values.mean():+.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}")
        lines.append("| " + " | ".join([name, str(len(pairs)), *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder with models/ and images/")
    parser.add_argument("--limit", type=int, default=60, help="true positives at most")
    parser.add_argument("--false", type=int, default=50, help="boxes that are mislocalised or of no object, at most")
    parser.add_argument("--few", type=int, default=20, help="boxes, at most, that the probe and the random map are measured on")
    parser.add_argument("--masks", type=int, default=400, help="the probe's random masks")
    parser.add_argument("--best", action="store_true", help="measure the most probable box of each photo alone")
    parser.add_argument("--table", action="store_true", help="measure nothing more: the tables of what is there")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/measured/detectors.md")
    parser.add_argument("--overlap", action="store_true", help="how much of ODI lies in the box itself")
    parser.add_argument("--sheet", action="store_true", help="draw WORK/sheet.png")
    options = parser.parse_args()
    study = Study(options)
    if options.overlap:
        overlap = {"detector_overlap": _table_of_overlap(study.overlap())}
        print(overlap["detector_overlap"])
        if options.write:
            write(overlap, [PAGE])
        return
    tables = {"detector_best": _table_of_best(study.best())}
    if not options.best:
        if not options.table:
            study.measure()
        tables |= study.tables()
    text = "".join(f"<!-- table: {name} -->\n\n{lines}\n\n<!-- end -->\n\n" for name, lines in tables.items())
    (options.work / "detectors.md").write_text(text)
    if options.write:
        write(tables, [PAGE])
    if options.sheet:
        study.draw()


if __name__ == "__main__":
    main()
