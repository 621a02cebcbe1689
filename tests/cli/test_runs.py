"""Runs into folders: what is done is not done again, what has changed is, and no run takes another's files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from command import ovxai
from tiny import CASES

from openvino_xai.runtime.folders.reserve import reserved

pytestmark = pytest.mark.slow

PHOTOS = 4


def model(path: Path, seed: int = 0, external: bool = False) -> Path:
    """A tiny model, whose weights other seeds change."""
    proto = CASES["pool and linear"].build("B", 17)
    rng = np.random.default_rng(seed)
    for item in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(item)
        if array.dtype == np.float32:
            item.CopyFrom(onnx.numpy_helper.from_array(rng.normal(0, 1, array.shape).astype(np.float32), item.name))
    if external:
        path.with_suffix(".data").unlink(missing_ok=True)
        onnx.save(proto, path, save_as_external_data=True, location=path.with_suffix(".data").name, size_threshold=0)
    else:
        onnx.save(proto, path)
    return path


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix if path.suffix in (".png", ".bmp") else ".png", picture)[1].tobytes())
    return path


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder with a model, labels and some photos."""
    model(tmp_path / "model.onnx")
    (tmp_path / "labels.txt").write_text("\n".join("abcde"))
    for number in range(PHOTOS):
        photo(tmp_path / "photos" / f"{number}.bmp", number)
    return tmp_path


def explained(there: Path, *more: object, status: int = 0) -> dict[str, Any]:
    """The lines of what is explained now, by the name of the photo."""
    command = ["explain", "-m", there / "model.onnx", "-i", there / "photos", "-o", there / "out", "--layer", "f", "--json"]
    done = ovxai(*command, *more, status=status)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(line["image"]).name: line for line in lines if "image" in line}


def test_what_has_changed_is_explained_again_and_nothing_else(there: Path) -> None:
    labels = ("--labels", there / "labels.txt")
    first = explained(there, *labels)
    assert len(first) == PHOTOS
    assert explained(there, *labels) == {}
    model(there / "model.onnx", seed=1)
    second = explained(there, *labels)
    assert {name: line["predictions"] for name, line in second.items()} != {n: line["predictions"] for n, line in first.items()}
    assert len(second) == PHOTOS
    (there / "labels.txt").write_text("\n".join("vwxyz"))
    third = explained(there, *labels)
    assert len(third) == PHOTOS and {line["predictions"][0]["label"] for line in third.values()} <= set("vwxyz")
    before = (there / "photos" / "2.bmp").stat()
    photo(there / "photos" / "2.bmp", seed=99)  # of the same size, and as old
    os.utime(there / "photos" / "2.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert list(explained(there, *labels)) == ["2.bmp"]
    assert explained(there, *labels) == {}


def test_weights_beside_the_model(there: Path) -> None:
    model(there / "model.onnx", external=True)
    file = (there / "model.onnx").read_bytes()
    assert len(explained(there)) == PHOTOS
    model(there / "model.onnx", seed=1, external=True)
    assert (there / "model.onnx").read_bytes() == file  # only what lies beside it has changed
    assert len(explained(there)) == PHOTOS


def test_evaluate_measures_what_is_there_now(there: Path) -> None:
    photos = there / "photos"

    def measured(*more: object) -> dict[str, Any]:
        command = ["evaluate", "-m", there / "model.onnx", "--layer", "f", "-o", there / "out", "--metric", "energy", "--json"]
        return json.loads(ovxai(*command, "-i", there / "boxes.json", *more).stdout)

    def boxes(edge: int) -> None:
        of_photo = {"label": 1, "boxes": [[0, 0, edge, 12]]}
        (there / "boxes.json").write_text(json.dumps({f"photos/{path.name}": of_photo for path in photos.iterdir()}))

    for more in ([], ["--engine", "local", "--shard-size", "3"]):
        boxes(4)
        model(there / "model.onnx")
        first = measured(*more)
        assert measured(*more)["metrics"] == first["metrics"]
        boxes(16)
        assert measured(*more)["metrics"]["energy"] == pytest.approx(1) != first["metrics"]["energy"]
        if not more:
            boxes(4)
            model(there / "model.onnx", seed=1)
            assert measured(*more)["metrics"] != first["metrics"]


def test_the_result_of_another_model_is_not_overwritten(there: Path) -> None:
    line = (
        "evaluate",
        there / "model.onnx",
        there / "photos",
        "-o",
        there / "scores",
        "--layer",
        "f",
        "--metric",
        "complexity",
    )
    ovxai(*line)
    before = (there / "scores" / "metrics.json").read_bytes()
    refused = ovxai(*line, "--method", "activation_map", status=2)
    assert "is the result of the method reciprocam, and this one is activation_map: choose another folder" in refused.stderr
    assert (there / "scores" / "metrics.json").read_bytes() == before
    ovxai(*line, "--method", "activation_map", "--again")
    assert json.loads((there / "scores" / "metrics.json").read_text())["method"] == "activation_map"


def test_a_second_run_into_the_folder_is_refused(there: Path) -> None:
    with reserved(there / "out"):
        for command in ("explain", "evaluate"):
            line = (
                command,
                "-m",
                there / "model.onnx",
                "-i",
                there / "photos",
                "-o",
                there / "out",
                "--layer",
                "f",
                "--preprocess",
                "raw",
            )
            for more in ([], ["--engine", "local"]):
                said = ovxai(*line, *more, status=2).stderr
                assert f"out is in use by process {os.getpid()} on" in said and len(said.splitlines()) == 1


def files_of(line: dict[str, Any]) -> list[str]:
    return [Path(target[kind]).name for target in line["targets"] for kind in ("overlay", "map")]


def test_no_file_is_taken_from_another(there: Path) -> None:
    names = [
        "a.png",
        "A.bmp",
        "a.bmp",
        "a-2.png",
        "a_1.png",
        "a/a.png",
        "line\nend.png",
        "x" * 240 + ".png",
        "é" * 120 + ".png",
    ]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"\xff\xfe.png"))
    for seed, name in enumerate(names):
        photo(there / "photos" / name, seed)
    out = there / "out"
    out.mkdir()
    (there / "precious").write_text("precious")
    for taken in ("0_0.npy", "1_0.png", "2_3.png"):
        (out / taken).write_text("precious")
    for link in ("3_0.png", "a_0.npy"):
        (out / link).symlink_to(there / "precious")
    lines = explained(there, "--targets", "all")
    files = [file for line in lines.values() for file in files_of(line)]
    assert len(files) == len({file.casefold() for file in files}) == 2 * 5 * len(lines)
    assert len((out / "explanations.jsonl").read_text(encoding="ascii").splitlines()) == PHOTOS + len(names)
    for path in (there / "precious", *(out / taken for taken in ("0_0.npy", "1_0.png", "2_3.png"))):
        assert path.read_text() == "precious"
    network_maps = {name: np.load(line["targets"][0]["map"]) for name, line in lines.items()}
    again = explained(there, "--targets", "all", "--again")
    for name, line in again.items():
        assert files_of(line) == files_of(lines[name])
        np.testing.assert_array_equal(np.load(line["targets"][0]["map"]), network_maps[name])


def test_files_of_another_question_stay(there: Path) -> None:
    first = explained(there, "--colormap", "jet")
    pictures = {name: Path(line["targets"][0]["overlay"]).read_bytes() for name, line in first.items()}
    second = explained(there, "--colormap", "viridis")
    assert second.keys() == first.keys()
    for name, line in first.items():
        assert Path(line["targets"][0]["overlay"]).read_bytes() == pictures[name]
        assert files_of(line) != files_of(second[name])
    assert explained(there, "--colormap", "jet") == {}  # it is still there
    said = ovxai("explain", there / "model.onnx", there / "photos", "-o", there / "out", "--layer", "f", "--opacity", "0.1")
    assert "holds answers to other questions, of another model or other options: their files stay" in said.stderr


def test_folders_are_mirrored_and_nothing_is_passed_over_unsaid(there: Path) -> None:
    for number, name in enumerate(("a/1.png", "b/1.png", "b/c/1.png")):
        photo(there / "photos" / name, number)
    (there / "photos" / "notes.txt").touch()
    said = ovxai("explain", there / "model.onnx", there / "photos", "-o", there / "out", "--layer", "f", "--json")
    assert "passed over, as no photos that can be read; .txt: 1" in said.stderr
    *lines, last = map(json.loads, said.stdout.splitlines())
    assert last == {"passed_over": {".txt": 1}}
    names = {line["image"].removeprefix(f"{there}/photos/"): line["name"] for line in lines}
    assert {name: names[name] for name in ("a/1.png", "b/1.png", "b/c/1.png")} == {
        "a/1.png": "a/1",
        "b/1.png": "b/1",
        "b/c/1.png": "b/c/1",
    }
    assert all(Path(line["targets"][0]["overlay"]).is_file() for line in lines)
    again = ovxai("explain", there / "model.onnx", there / "photos", there / "out", "-o", there / "out", "--layer", "f")
    assert f"{len(lines)} images are left out, as they are output" in again.stderr
    assert f"{len(lines)} of {len(lines)} images are explained already" in again.stderr


def test_output_inside_the_input_is_not_explained(there: Path) -> None:
    line = ("explain", "-m", there / "model.onnx", "-i", there / "photos", "--layer", "f")
    for output in (there / "photos" / "out", there / "photos"):
        ovxai(*line, "-o", output)
        said = ovxai(*line, "-o", output)
        assert "images are left out, as they are output" in said.stderr
        assert "4 of 4 images are explained already" in said.stderr
    picture = there / "photos" / "worst.png"
    compared = ("compare", "-m", there / "model.onnx", "-m", there / "model.onnx", "-i", there / "photos", "--layer", "f")
    for _ in range(2):
        assert json.loads(ovxai(*compared, "-o", picture, "--json").stdout)["images"] == PHOTOS


@pytest.mark.parametrize(
    "content", [b"my notes\n", b"null\n", b"[]\n", b"{}\n", b"\xff\xfe\x00", b'{"image": 3, "asked": {}}\n']
)
def test_somebody_elses_lines_are_left_as_they_are(content: bytes, there: Path) -> None:
    for command, name in (("explain", "explanations.jsonl"), ("evaluate", "rows.jsonl"), ("evaluate", "metrics.json")):
        path = there / command / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        line = (command, "-m", there / "model.onnx", "-i", there / "photos", "-o", path.parent, "--layer", "f")
        assert "choose another folder, or move" in ovxai(*line, status=2).stderr
        assert path.read_bytes() == content
        path.unlink()


def test_an_image_that_is_broken_ends_no_run(there: Path) -> None:
    os.mkfifo(there / "photos" / "pipe.png")
    (there / "photos" / "folder.png").mkdir()
    (there / "photos" / "broken.png").write_bytes(b"no image")
    assert len(explained(there, "--report", there / "report.html", status=1)) == PHOTOS
    (there / "photos" / "1.bmp").write_bytes(b"no image now")
    lines = explained(there, "--report", there / "report.html", status=1)
    assert lines == {} and '"images"' in (there / "report.html").read_text()
