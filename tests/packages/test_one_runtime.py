"""With one runtime installed models of its kind are explained, those of the other are refused by what to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnx
import openvino as ov
import pytest
from tiny import CASES, CLASSES, in_dialect

from openvino_xai.cli.installation.requirements import lines_of_extra, main, requirements_of
from openvino_xai.dialects.packages import PACKAGES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SUFFIXES = {"openvino": ".xml", "onnx": ".onnx"}
OTHERS = {"openvino": "onnx", "onnx": "openvino"}
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Without(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
import openvino_xai
from openvino_xai.cli.app import main
for line in {lines}:
    sys.argv = ["ovxai", *line]
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    print("status", status, flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind, and two photos."""
    place = tmp_path_factory.mktemp("one_runtime")
    model = CASES["pool and linear"].build("B", 17)
    onnx.save(model, place / "model.onnx")
    ov.save_model(in_dialect(model, "openvino"), place / "model.xml", compress_to_fp16=False)
    for name in ("a", "b"):
        cv2.imwrite(str(place / f"{name}.png"), np.random.default_rng(ord(name)).integers(0, 256, (6, 8, 3), np.uint8))
    (place / "labels.txt").write_text("\n".join(f"label {k}" for k in range(CLASSES)))
    return place


def run_without(package: str, lines: list[list[str]], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that cannot import the packages of a runtime."""
    program = WITHOUT.format(blocked=set(PACKAGES[package]), lines=lines)
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={"PYTHONPATH": str(ROOT)}, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", SUFFIXES)
def test_models_of_the_other_kind_name_what_to_install(runtime: str, folder: Path) -> None:
    other = OTHERS[runtime]
    model = f"model{SUFFIXES[other]}"
    lines = [
        ["layers", model],
        ["insert", model, "-o", f"no{SUFFIXES[other]}"],
        ["explain", model, "a.png", "-o", "no"],
        ["info", model],
    ]
    run = run_without(other, lines, folder)
    assert run.stdout.splitlines() == ["status 2"] * len(lines), run.stdout + run.stderr
    errors = run.stderr.splitlines()
    missing = next(iter(PACKAGES[other].values()))
    assert len(errors) == len(lines) and all(f"{model} needs the package {missing}" in line for line in errors), run.stderr
    assert all(line.endswith(f"pip install 'ovxai[{other}]'") for line in errors)
    assert not (folder / "no").exists()


@pytest.mark.slow
@pytest.mark.parametrize("runtime", SUFFIXES)
def test_models_of_its_own_kind_are_explained(runtime: str, folder: Path) -> None:
    model, hooked = f"model{SUFFIXES[runtime]}", f"{runtime}_hooked{SUFFIXES[runtime]}"
    lines = [
        ["layers", model],
        ["insert", model, "-o", hooked],
        ["info", hooked],
        ["explain", hooked, "a.png", "b.png", "-o", f"{runtime}_out"],
        ["explain", model, "a.png", "-o", f"{runtime}_rise", "--method", "rise", "--masks", "8"],
        ["evaluate", model, "a.png", "b.png", "-o", f"{runtime}_scores", "--metric", "deletion"],
        ["benchmark", model, "--iterations", "2"],
    ]
    run = run_without(OTHERS[runtime], lines, folder)
    statuses = [line for line in run.stdout.splitlines() if line.startswith("status")]
    assert statuses == ["status 0"] * len(lines), run.stdout + run.stderr
    assert (folder / f"{runtime}_out" / "explanations.jsonl").is_file()


@pytest.mark.slow
def test_onnx_files_are_not_verified_where_openvino_is_missing(folder: Path) -> None:
    run = run_without("openvino", [["insert", "model.onnx", "-o", "both.onnx", "--runtime", "both"]], folder)
    assert run.stdout == "status 2\n" and "runtime openvino needs the package openvino" in run.stderr
    assert not (folder / "both.onnx").exists()


def test_extras_hold_what_the_base_has_of_a_runtime() -> None:
    base, extras = PROJECT["dependencies"], PROJECT["optional-dependencies"]
    for runtime, packages in PACKAGES.items():
        assert set(extras[runtime]) <= set(base)
        assert [line.partition(">")[0] for line in extras[runtime]] == list(packages.values())


@pytest.mark.parametrize("runtime", SUFFIXES)
def test_the_requirements_of_one_runtime_leave_the_other_out(runtime: str, capsys: pytest.CaptureFixture[str]) -> None:
    base, extras = PROJECT["dependencies"], PROJECT["optional-dependencies"]
    metadata = [*base, *(f'{line}; extra == "{extra}"' for extra, lines in extras.items() for line in lines)]
    assert lines_of_extra(metadata, runtime) == extras[runtime]
    assert requirements_of(metadata, runtime) == [line for line in base if line not in extras[OTHERS[runtime]]]
    assert main(["both"]) == 2 and "openvino|onnx" in capsys.readouterr().err
