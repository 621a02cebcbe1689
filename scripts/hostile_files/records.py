"""Kinds of files that the command line reads beside models and photos: its own records of runs before, labels and lists."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_files import models
from hostile_files.photos import good_photo
from hostile_files.traps import BIG, NAMES, NO_FILES, SECRET, TEXTS, bytes_changed

# changes what stands in a folder (`photos`, `out`), and says which command comes next
Make = Callable[[random.Random, Path], list[str]]
KINDS: dict[str, Make] = {}
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    float("nan"),
    "",
    "text",
    [],
    [[]],
    {},
    {"a": 1},
    [1, 2],
    [None],
    {"id": None},
    *NAMES[:6],
]


def kind(name: str) -> Callable[[Make], Make]:
    """Register what changes a folder, under a name."""

    def register(make: Make) -> Make:
        KINDS[f"record: {name}"] = make
        return make

    return register


def _changed(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """JSON with something in it that is something else."""
    if depth and rng.random() < 0.25:
        return rng.choice([*ODD, *BIG, *TEXTS[-20:]])
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _changed(rng, value[key], depth + 1)}
    if isinstance(value, list) and value:
        place = rng.randrange(len(value))
        return [*value[:place], _changed(rng, value[place], depth + 1), *value[place + 1 :]]
    return rng.choice([*ODD, *BIG])


def _broken(rng: random.Random, path: Path) -> None:
    """A text file of records, broken in one of many ways."""
    choice = rng.randrange(10)
    data = path.read_bytes()
    lines = data.decode().splitlines()
    if choice < 4:
        place = rng.randrange(len(lines))
        try:
            lines[place] = json.dumps(_changed(rng, json.loads(lines[place])))
        except ValueError:  # the file is one value in many lines
            lines = [json.dumps(_changed(rng, json.loads(data)))]
        path.write_text("\n".join(lines) + "\n")
    elif choice == 4:
        path.write_bytes(bytes_changed(rng, data))
    elif choice == 5:
        odd = [
            "null",
            "[]",
            "3",
            '"text"',
            "[" * 100_000,
            '{"a":' * 5000,
            "NaN",
            "1e999",
            "9" * 5000,
            "\ufeff{}",
            "\x00" * 100,
            "{}",
        ]
        path.write_bytes(rng.choice([data, b""]) + rng.choice(odd).encode() + b"\n")
    elif choice == 6:
        path.write_bytes(data + b"\xff\xfe\x80\n")
    else:
        _no_file(rng, path)


def _no_file(rng: random.Random, path: Path) -> None:
    """A link, a pipe or a folder in the place of a file."""
    path.unlink()
    NO_FILES[rng.choice(["pipe", "folder", "link to itself", "link to zeros", "link to the secret"])](path)


@kind("explanations.jsonl")
def _explanations(rng: random.Random, folder: Path) -> list[str]:
    _broken(rng, folder / "out" / "explanations.jsonl")
    return ["explain", "--input", "photos", "--output", "out", *rng.choice([[], ["--report", "out/report.html"], ["--again"]])]


@kind("rows.jsonl")
def _rows(rng: random.Random, folder: Path) -> list[str]:
    _broken(rng, folder / "measured" / "rows.jsonl")
    return ["evaluate", "--input", "photos", "--output", "measured", "--metric", "complexity"]


@kind("files that are in the way")
def _in_the_way(rng: random.Random, folder: Path) -> list[str]:
    for path in rng.sample(sorted((folder / "out").iterdir()), 2):
        choice = rng.randrange(4)
        path.unlink()
        if choice == 0:
            path.mkdir()
        elif choice == 1:
            path.symlink_to(folder.parent / "canary" / "private")
        elif choice == 2:
            os.link(folder.parent / "canary" / "script", path)
        else:
            os.mkfifo(path)
    return ["explain", "--input", "photos", "--output", "out", *rng.choice([[], ["--again"]])]


@kind("job.json and manifest.json")
def _job(rng: random.Random, folder: Path) -> list[str]:
    _broken(rng, folder / "parts" / rng.choice(["job.json", "job.json", "manifest.json"]))
    return ["explain", "--input", "photos", "--output", "parts", "--engine", "local"]


@kind("shards")
def _shards(rng: random.Random, folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "parts" / "part-000000.parquet"
    choice = rng.randrange(4)
    if choice == 0:
        path.write_bytes(bytes_changed(rng, path.read_bytes()))
    elif choice == 1:
        columns: dict[str, Any] = {"image": ["photos/a.png"], "error": [None], "other": [1]}
        columns = {name: items for name, items in columns.items() if rng.random() < 0.7} or {"none": [1]}
        columns |= rng.choice([{}, {"error": [3]}, {"image": [None]}, {"error": [rng.choice(NAMES)]}])
        pq.write_table(pa.table(columns), path)
    elif choice == 2:
        pq.write_table(pa.table({"image": pa.array([], pa.string())}), path)
    else:
        _no_file(rng, path)
    return ["explain", "--input", "photos", "--output", "parts", "--engine", "local"]


@kind("labels")
def _labels(rng: random.Random, folder: Path) -> list[str]:
    path = folder / "labels.txt"
    path.write_text("\n".join(rng.choice(NAMES).replace("\n", " ")[:5000] for _ in range(rng.choice([5, 5, 1, 0, 100_000]))))
    choice = rng.randrange(5)
    if choice == 0:
        path.write_bytes(rng.randbytes(500))
    elif choice == 1:
        _no_file(rng, path)
    elif choice == 2:
        path.write_bytes(path.read_text().encode("utf-16"))
    return [
        "explain",
        "--input",
        "photos",
        "--output",
        "new",
        "--labels",
        "labels.txt",
        "--report",
        "new/report.html",
        "--targets",
        "top:3",
    ]


@kind("lists of photos")
def _csv(rng: random.Random, folder: Path) -> list[str]:
    paths = [
        *(
            "photos/a.png",
            "photos/b.png",
            "../canary/private",
            os.environ["HOSTILE_SECRET"],
            "/dev/zero",
            "pipe.jpg",
            "nowhere.png",
            ".",
        ),
        *("", "x" * 200_000, "photos/\x00.png", "~", "photos", *NAMES[:4]),
    ]
    labels = ["0", "1", "4", "5", "-1", "", "tench", "9" * 5000, "٣", "1.5", "nan", *NAMES[:4]]
    os.mkfifo(folder / "pipe.jpg")
    rows = [
        [rng.choice([*paths[:2] * 6, *paths]), rng.choice([*labels[:3] * 4, *labels])] for _ in range(rng.choice([1, 2, 5]))
    ]
    rows = [[cell, *row] if rng.random() < 0.05 else row for row in rows for cell in ("more",)]
    quoted = rng.choice(['"', "", ""])
    text = "\n".join(",".join(f"{quoted}{cell}{quoted}" for cell in row) for row in rows)
    (folder / "list.csv").write_bytes(rng.choice(["path,label\n", "", "\ufeff"]).encode() + text.encode("utf-8", "replace"))
    if rng.random() < 0.1:
        _no_file(rng, folder / "list.csv")
    return ["evaluate", "--input", "list.csv", "--metric", rng.choice(["complexity", "average_drop"])]


@kind("boxes")
def _boxes(rng: random.Random, folder: Path) -> list[str]:
    simple = {
        "photos/a.png": {"label": 1, "boxes": [[0, 0, 5, 5]], "size": [20, 20]},
        "photos/b.png": {"label": 0, "boxes": [[1, 1, 4, 9]]},
    }
    coco = {
        "images": [{"id": 1, "file_name": "photos/a.png", "width": 20, "height": 20}, {"id": 2, "file_name": "photos/b.png"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": [[1, 1, 6, 1, 6, 6]]},
            {"image_id": 2, "category_id": 0, "bbox": [0, 0, 5, 5], "segmentation": {"counts": [1, 2], "size": [3, 3]}},
        ],
        "categories": [{"id": 0, "name": "0"}, {"id": 1, "name": "1"}],
    }
    content: Any = rng.choice([simple, coco])
    for _ in range(rng.choice([1, 1, 3])):
        content = _changed(rng, content)
    (folder / "boxes.json").write_text(json.dumps(content))
    if rng.random() < 0.3:
        _broken(rng, folder / "boxes.json")
    return ["evaluate", "--input", "boxes.json", "--metric", rng.choice(["pointing_game", "energy", "localisation"])]


@kind("patterns, folders and outputs")
def _patterns(rng: random.Random, folder: Path) -> list[str]:
    pattern = rng.choice(
        ["photos/**", "**/*", "[", "photos/[a", "*" * 200, "photos/../photos", "/dev/zero", "", ".", "\x1b[31m", "~"]
    )
    output = rng.choice(
        ["out", "photos", "photos/a.png", "photos/a.png/x", "", "/proc/x", "/dev/null", "new/" * 300, "n" * 300, "\x1b[31m"]
    )
    return ["explain", "--input", pattern, "--output", output]


@kind("what a model tells of itself")
def _model(rng: random.Random, folder: Path) -> list[str]:
    endings = (
        "a forged record",
        "forged preprocessing",
        "names of ours",
        "names of values",
        "rt_info of layers and of the model",
    )
    name = rng.choice([name for name in models.KINDS if name.endswith(endings)])
    path = models.make_model(name, rng, folder / "models", folder.parents[2] / "seeds")
    if rng.random() < 0.4:
        return ["evaluate", "--input", "photos", "--metric", "complexity", "--model", f"models/{path.name}"]
    return ["explain", "--input", "photos", "--output", "new", "--report", "new/report.html", "--model", f"models/{path.name}"]


def make_records(name: str, rng: random.Random, folder: Path, template: Path) -> list[str]:
    """A folder with photos and the records of runs before, one of which is broken, and the command that comes next."""
    shutil.copytree(template, folder, symlinks=True)
    return KINDS[name](rng, folder)


def write_template(folder: Path) -> list[list[str]]:
    """Photos, and the commands whose records are broken later: to be run in that folder, with a model."""
    rng = random.Random(0)
    (folder / "photos").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / "photos" / name).write_bytes(good_photo(rng))
    return [
        ["explain", "--input", "photos", "--output", "out"],
        ["evaluate", "--input", "photos", "--output", "measured", "--metric", "complexity"],
        ["explain", "--input", "photos", "--output", "parts", "--engine", "local"],
    ]


__all__ = ["KINDS", "SECRET", "make_records", "write_template"]
