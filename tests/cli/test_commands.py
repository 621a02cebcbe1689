"""The command line, end to end on the samples, and what it says when something is wrong."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import openvino as ov
import pytest
from tiny import CASES

from openvino_xai.cli.app import main

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "samples"
MODELS = {
    "openvino": SAMPLES / "models" / "efficientnet_lite0.xml",
    "onnx": SAMPLES / "models" / "efficientnet_lite0_int8.onnx",
}


class Said:
    """What one run of the command line answered."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object, status: int = 0) -> str:
        """Standard output, or standard error where the exit status is not 0."""
        self._monkeypatch.setattr(sys, "argv", ["ovxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = self._capsys.readouterr()
        assert (end.value.code or 0) == status, err
        return err if status else out


@pytest.fixture
def ovxai(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("COLUMNS", "200")
    return Said(capsys, monkeypatch)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    onnx.save(CASES["residual, layer second"].build("B", 17), path)
    return path


def test_a_file_of_an_older_opset_is_said_to_be_converted(ovxai: Said, tmp_path: Path, tiny_model: Path) -> None:
    old = tmp_path / "old.onnx"
    onnx.save(CASES["pool and linear"].build("B", 11), old)
    assert "f " in ovxai("layers", "-m", old)
    assert "; converted from opset 11 to 13; verified in onnxruntime" in ovxai("insert", "-m", old)
    assert json.loads(ovxai("insert", "-m", old, "--force", "--json"))["converted"] == {"from": 11, "to": 13}
    assert "converted" not in ovxai("insert", "-m", tiny_model)
    assert json.loads(ovxai("insert", "-m", tiny_model, "--force", "--json"))["converted"] is None


@pytest.mark.parametrize("dialect", MODELS)
def test_layers_insert_explain(dialect: str, ovxai: Said, tmp_path: Path) -> None:
    model = MODELS[dialect]
    listed = ovxai("layers", "--model", model)
    assert "head_relu6" in listed.splitlines()[1]
    assert "7 x 7" in listed
    best = json.loads(ovxai("layers", "--model", model, "--json"))[0]
    assert best["cells"] == [7, 7]

    hooked = tmp_path / f"hooked{model.suffix}"
    result = json.loads(ovxai("insert", "-m", model, "-o", hooked, "--json"))
    assert result["layer"] == best["name"]
    assert result["output"] == str(hooked)
    assert result["verified"] is True
    assert result["shape"][1:] == [1280, 7, 7]
    assert (result["method"], result["score"], result["targets"], result["scale"]) == ("reciprocam", "softmax", "all", "unit")

    out = tmp_path / "out"
    said = ovxai("explain", "-m", hooked, "-i", SAMPLES / "images" / "cat.png", "-o", out, "--json", "--targets", "285,967")
    line = json.loads(said)
    assert json.loads((out / "explanations.jsonl").read_text()) == line
    assert "Egyptian cat" in [prediction["label"] for prediction in line["predictions"][:2]]
    assert [target["label"] for target in line["targets"]] == ["Egyptian cat", "espresso"]
    picture = cv2.imread(line["targets"][0]["overlay"])
    photo = cv2.imread(str(SAMPLES / "images" / "cat.png"))
    assert picture.shape == photo.shape
    assert not np.array_equal(picture, photo)
    saliency = np.load(line["targets"][0]["map"])
    assert saliency.shape == (7, 7)
    assert (saliency.min(), saliency.max()) == (0, 1)
    # the cat's face fills the middle of the photo, and is what makes it a cat
    assert saliency[1:6, 1:6].mean() > 2 * (saliency.sum() - saliency[1:6, 1:6].sum()) / 24
    assert line["hook"]["precision"] in ("f32", "int8")


def test_ir_says_the_same_as_onnx_about_one_line_and_default_output(ovxai: Said, tiny_model: Path) -> None:
    said = ovxai("insert", "--model", tiny_model)
    expected = tiny_model.with_name("tiny_xai.onnx")
    assert said.startswith(
        f"{expected}: reciprocam at chosen layer 'r' (6 x 8 cells), score softmax, targets all, scale unit, "
    )
    assert "; verified in onnxruntime: 6 maps of drawings and noise, whose cells lie up to " in said
    assert len(said.splitlines()) == 1
    assert expected.is_file()
    exists = f"{expected} exists; choose another with --output or overwrite it with --force"
    assert exists in ovxai("insert", "--model", tiny_model, status=2)
    assert "not verified" in ovxai("insert", "--model", tiny_model, "--force", "--no-verify", "--layer", "f")
    ovxai("layers", "--model", expected, status=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layer", "rr"), "has no layer 'rr'; the nearest names are 'r'"),
        (("--layer", "d"), "'f' bypasses it"),
        (("--targets", "9"), "class 9 is not there"),
        (("--method", "ablation_cam", "--channels", "3"), "channels is 3, which is for abs_cam alone: ablation_cam does not"),
        (("--channels", "3"), "ask for it with method abs_cam"),
        (
            ("--max-memory", "100B"),
            "more than the limit of 100 B: no layer fits; a higher limit of memory allows it (--max-memory)",
        ),
        (("--max-memory", "much"), "'much' is no amount of memory"),
        (("--output", "tiny.xml"), "does not end in .onnx"),
    ],
)
def test_errors_are_one_line_and_write_nothing(arguments: tuple[str, ...], message: str, ovxai: Said, tiny_model: Path) -> None:
    before = sorted(tiny_model.parent.iterdir())
    said = ovxai("insert", "--model", tiny_model, *arguments, status=2)
    assert message in said
    assert len(said.splitlines()) == 1
    assert sorted(tiny_model.parent.iterdir()) == before


def test_missing_model(ovxai: Said, tmp_path: Path) -> None:
    assert ovxai("layers", "-m", tmp_path / "none.xml", status=2) == f"ovxai: there is no file {tmp_path / 'none.xml'}\n"


def test_unreadable_images_are_skipped_and_told(ovxai: Said, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    shutil.copy(SAMPLES / "images" / "coffee.png", folder / "a.png")
    shutil.copy(SAMPLES / "images" / "rocket.jpg", folder / "more" / "a.jpg")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not an image either")
    out = tmp_path / "out"
    said = ovxai("explain", "-m", MODELS["openvino"], "-i", folder, "-i", tmp_path / "gone.png", "-o", out, status=1)
    assert f"skipped: cannot read {folder / 'broken.png'}" in said
    assert f"skipped: cannot read {tmp_path / 'gone.png'}" in said
    lines = [json.loads(line) for line in (out / "explanations.jsonl").read_text().splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["a.png", "a.jpg"]
    pictures = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert pictures == ["a_967_espresso.png", "more/a_657_missile.png"]


def test_patterns_labels_and_preprocessing_flags(ovxai: Said, tmp_path: Path) -> None:
    bare = tmp_path / "bare.xml"
    model = ov.Core().read_model(MODELS["openvino"])
    for key in ("labels", "mean_values", "scale_values", "reverse_input_channels", "resize_type"):
        model.set_rt_info("", ["model_info", key])
    ov.save_model(model, bare, compress_to_fp16=False)
    out = tmp_path / "out"
    flags = ("--mean_values", "127.5,127.5,127.5", "--scale-values", "127.5", "--reverse_input_channels", "yes")
    labels = SAMPLES / "models" / "imagenet_labels.txt"
    said = ovxai("explain", "-m", bare, "-i", SAMPLES / "images" / "c*.png", "-o", out, *flags, "--labels", labels, "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["cat.png", "coffee.png"]
    assert lines[0]["predictions"][0]["label"] in ("Egyptian cat", "tabby, tabby cat", "tiger cat")
    assert lines[0]["box"] == [0, 0, 451, 300]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mean_values", "1,2"), "mean_values is '1,2' in the options; 1 or 3 numbers"),
        (("--scale_values", "0"), "no scale of 0"),
        (("--resize_type", "stretch"), "one of standard, crop, fit_to_window, fit_to_window_letterbox"[:10]),
        (("--device", "TPU"), "does not compile for device TPU"),
        (("--targets", "1000"), "class 1000 is not there"),
        (("--labels", "nowhere.txt"), "cannot read labels from nowhere.txt"),
    ],
)
def test_explain_refuses_options_that_make_no_sense(
    arguments: tuple[str, ...], message: str, ovxai: Said, tmp_path: Path
) -> None:
    photo = SAMPLES / "images" / "cat.png"
    said = ovxai("explain", "-m", MODELS["openvino"], "-i", photo, "-o", tmp_path / "out", *arguments, status=2)
    assert message in said
    assert not (tmp_path / "out").exists()


def test_what_is_explained_is_not_explained_again(ovxai: Said, tmp_path: Path) -> None:
    """Not after a kill in the middle of a line, and not with more images; another question is another explanation."""
    out, first = tmp_path / "out", tmp_path / "a"
    for folder in (first, tmp_path / "b"):
        folder.mkdir()
        shutil.copy(SAMPLES / "images" / "cat.png", folder / "cat.png")

    def explained(*more: object) -> list[str]:
        said = ovxai("explain", "-m", MODELS["openvino"], "-o", out, "--json", *more)
        return [json.loads(line)["image"] for line in said.splitlines()]

    assert explained("-i", first) == [str(first / "cat.png")]
    manifest = out / "explanations.jsonl"
    manifest.write_text(manifest.read_text() + '{"image": "torn')
    (picture,) = out.glob("cat_285*.png")
    before = picture.stat().st_mtime_ns
    assert explained("-i", tmp_path / "*" / "cat.png") == [str(tmp_path / "b" / "cat.png")]
    assert picture.stat().st_mtime_ns == before  # not overwritten by the other image of that name
    assert len(list(out.glob("cat-2_285*.png"))) == 1
    assert explained("-i", tmp_path / "*" / "cat.png") == []
    assert len(explained("-i", first, "--targets", "281")) == 1
    picture.unlink()
    assert explained("-i", first) == [str(first / "cat.png")]
    assert explained("-i", first, "--again") == [str(first / "cat.png")]


def test_no_images(ovxai: Said, tmp_path: Path) -> None:
    said = ovxai("explain", "-m", MODELS["openvino"], "-i", tmp_path / "*.png", "-o", tmp_path / "out", status=2)
    assert "no image was found in" in said


@pytest.mark.parametrize("hooked", [False, True])
def test_benchmark(hooked: bool, ovxai: Said, tiny_model: Path) -> None:
    model = tiny_model
    if hooked:
        ovxai("insert", "-m", tiny_model)
        model = tiny_model.with_name("tiny_xai.onnx")
    result = json.loads(ovxai("benchmark", "-m", model, "--iterations", 2, "--json", "--plan", "lazy", "--batch", 2))
    assert [row["name"] for row in result["rows"]] == ["plain", "hooked" if hooked else "lazy"]
    assert result["hook"]["layer"] == "r"
    assert result["batch"] == 2
    table = ovxai("benchmark", "-m", model, "--iterations", 2)
    assert "latency p50" in table and "plain" in table


def test_gradients_explain_what_is_asked_for(ovxai: Said, tmp_path: Path) -> None:
    photo, model = SAMPLES / "images" / "cat.png", MODELS["openvino"]
    for method in ("grad_cam", "fd_cam", "saliency"):
        said = ovxai(
            "explain", "-m", model, "-i", photo, "-o", tmp_path / method, "--method", method, "--targets", "281", "--json"
        )
        line = json.loads(said)
        assert [target["id"] for target in line["targets"]] == [281]
        assert line["hook"]["method"] == method


def test_benchmark_refuses_what_does_not_fit(ovxai: Said, tmp_path: Path) -> None:
    onnx.save(CASES["batch norm"].build(1, 17), tmp_path / "one.onnx")
    assert "fixed batch of 1; --batch 2 does not fit" in ovxai("benchmark", "-m", tmp_path / "one.onnx", "--batch", 2, status=2)
    assert "--hint 'FAST' is not known" in ovxai("benchmark", "-m", tmp_path / "one.onnx", "--hint", "FAST", status=2)


def test_an_expensive_layer_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnx.save(CASES["3x3 convolution after the layer"].build("B", 17), tmp_path / "m.onnx")
    monkeypatch.setattr(sys, "argv", ["ovxai", "insert", "-m", str(tmp_path / "m.onnx"), "-l", "f"])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert not end.value.code and "m_xai.onnx" in out
    other_ways = r"at this layer `--method layer_cam --targets top:1` takes \d+\.\d, `--grid 3x4` takes \d+\.\d; a later layer"
    assert re.search(f"times the operations of the plain one; {other_ways}", err)


def test_a_layer_that_was_chosen_far_ahead_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = Path(__file__).parents[1] / "zoo" / "vit.onnx"  # of two blocks, the last is a third of the network
    for layer in ([], ["-l", "/blocks/blocks.1/norm1/LayerNormalization"]):
        arguments = ["ovxai", "insert", "-m", str(model), "-o", str(tmp_path / "m.onnx"), "--force", *layer]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        assert ("lies at 0.72 of the network's operations" in capsys.readouterr().err) == (not layer)


def test_compare(ovxai: Said, tmp_path: Path) -> None:
    """The float and the INT8 network look at the same things; a photo that cannot be read is told."""
    models = ("-m", MODELS["openvino"], "-m", MODELS["onnx"])
    picture = tmp_path / "worst.png"
    result = json.loads(ovxai("compare", *models, "-i", SAMPLES / "images", "-o", picture, "--json"))
    assert result["images"] == len(result["rows"]) == 3
    assert 0.9 < result["mean"]["pearson"] <= 1
    assert [row["pearson"] for row in result["rows"]] == sorted(row["pearson"] for row in result["rows"])
    assert cv2.imread(str(picture)).shape[1] == 3 * 220
    table = ovxai("compare", *models, "-i", SAMPLES / "images", "--worst", 1)
    assert table.splitlines()[1].split() == ["pearson", "spearman", "ssim", "top", "cell", "same", "class"]
    assert len(table.splitlines()) == 4
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert "skipped: cannot read" in ovxai(
        "compare", *models, "-i", tmp_path / "broken.png", "-i", SAMPLES / "images", status=1
    )


def test_compare_refuses_what_cannot_be_compared(ovxai: Said, tiny_model: Path, tmp_path: Path) -> None:
    photos = ("-i", SAMPLES / "images" / "cat.png")
    assert "1 models are given; two are compared" in ovxai("compare", "-m", tiny_model, *photos, status=2)
    models = ("-m", MODELS["openvino"], "-m", tiny_model)
    assert "the second network cannot explain what the first predicts" in ovxai("compare", *models, *photos, status=2)
    assert "does not end in .png" in ovxai("compare", *models, *photos, "-o", tmp_path / "x.jpg", status=2)


def test_probes_from_the_command_line(ovxai: Said, tmp_path: Path) -> None:
    photo, model = SAMPLES / "images" / "cat.png", MODELS["openvino"]
    said = ovxai("explain", "-m", model, "-i", photo, "-o", tmp_path, "--method", "rise", "--masks", 40, "--json")
    line = json.loads(said)
    assert (line["hook"]["method"], line["cells"]) == ("rise", [224, 224])
    wrong = ovxai("insert", "-m", model, "-o", tmp_path / "x.xml", "--method", "rise", status=2)
    assert "rise asks a model without a hook: `ovxai explain`, `compare` and `evaluate` take it" in wrong


def test_evaluate(ovxai: Said, tmp_path: Path) -> None:
    photos, model = SAMPLES / "images", MODELS["openvino"]
    labels = tmp_path / "photos.csv"
    labels.write_text(f"path,label\n{photos}/cat.png,285\n{photos}/coffee.png,504\n{tmp_path}/none.png,0\n")
    command = [
        "evaluate",
        "-m",
        model,
        "-i",
        labels,
        "-o",
        tmp_path / "out",
        "--metric",
        "adcc",
        "--metric",
        "deletion",
        "--compared",
        "pixels",
        "--json",
    ]
    monkey = ovxai(*command, status=1)
    assert "skipped: cannot read" in monkey
    rows = [json.loads(row) for row in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert [row["target"] for row in rows] == [285, 504]
    ovxai(*command, status=1)  # what is measured is not measured again
    assert len((tmp_path / "out" / "rows.jsonl").read_text().splitlines()) == 2
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (result["images"], result["method"], result["target"], result["covered"]) == (2, "reciprocam", "label", "zero")
    assert result["compared"] == "pixels"
    assert set(result["metrics"]) == {"average_drop", "coherency", "complexity", "adcc", "deletion"}
    assert all(0 <= value <= 1 for value in result["metrics"].values())
    labels.write_text(f"{photos}/cat.png,285\n")
    table = ovxai(
        "evaluate", "-m", model, "-i", labels, "-o", tmp_path / "out", "--parquet", "--metric", "complexity", "--sanity"
    )
    assert "complexity" in table and "images a second" in table
    assert table.count("cascading") == table.count("independent") == 8
    import pyarrow.parquet

    (row,) = pyarrow.parquet.read_table(tmp_path / "out" / "rows.parquet").to_pylist()
    assert row["target"] == 285 and 0 < row["complexity"] < 1
    assert "--output" in ovxai("evaluate", "-m", model, "-i", labels, "--parquet", status=2)


def test_a_report_with_the_known_classes(ovxai: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    photos = tmp_path / "photos"
    for name in ("n02124075_Egyptian_cat.png", "espresso/cat.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLES / "images" / "cat.png", photos / name)
    command = ["explain", "-m", MODELS["openvino"], "-i", photos, "-o", tmp_path / "out", "--report", tmp_path / "report.html"]
    command.insert(1, "--json")
    lines = {Path(line["image"]).name: line for line in map(json.loads, ovxai(*command).splitlines())}
    right, wrong = lines["n02124075_Egyptian_cat.png"], lines["cat.png"]
    assert [target["id"] for target in right["targets"]] == [285]
    assert right["label"] == {"id": 285, "label": "Egyptian cat"}
    assert [target["id"] for target in wrong["targets"]] == [285, 967]  # what it is taken for, and what it is called
    first = (tmp_path / "report.html").read_bytes()
    (tmp_path / "report.html").unlink()
    ovxai(*command)  # all is explained already: the page is made of what is there
    assert (tmp_path / "report.html").read_bytes() == first
    assert b'"1970-01-02 00:00:00 UTC"' in first and f'"command": "ovxai explain --json -m {command[3]} '.encode() in first
    assert "does not end in .html" in ovxai(*command[:-1], tmp_path / "report.pdf", status=2)
    assert "leave out --report or --engine" in ovxai(*command, "--engine", "local", status=2)


def test_export(ovxai: Said, tiny_model: Path, tmp_path: Path) -> None:
    hooked = tmp_path / "cells_xai.onnx"
    ovxai("insert", "-m", tiny_model, "-o", hooked, "--runtime", "both")
    result = json.loads(ovxai("export", "-m", hooked, "--server", "triton", "-o", tmp_path / "repo", "--json"))
    assert (result["name"], [output["name"] for output in result["outputs"]]) == ("cells", ["logits", "saliency_map"])
    assert (result["runtime"], result["verified"]) == ("onnxruntime", ["onnxruntime", "openvino"])
    assert result["grows_by"] == 5 * 6 * 8 * 4
    assert "a response grows by" in ovxai("export", "-m", hooked, "--server", "ovms", "-o", tmp_path / "other")
    assert "carries no hook" in ovxai("export", "-m", tiny_model, "--server", "ovms", "-o", tmp_path / "none", status=2)
    ovxai("insert", "-m", tiny_model, "-o", hooked, "--force")
    refused = ovxai("export", "-m", hooked, "--server", "ovms", "-o", tmp_path / "none", status=2)
    assert "OpenVINO runs the model, whose hook was verified in ONNX Runtime" in refused and refused.rstrip().endswith(
        "(--runtime)"
    )
