"""Whoever calls openvino_xai 1.1.0 by its names learns what to call here."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import openvino_xai as xai
from openvino_xai import predecessor
from openvino_xai.predecessor.successors import GONE, MODULES, PAGE, SUCCESSORS

ROOT = Path(__file__).parents[2]
LINES = [line.split() for line in (Path(__file__).parent / "names_1_1_0.txt").read_text("utf-8").splitlines()]
PUBLIC = [(module.strip("."), name) for module, *names in LINES for name in names]
WORKING = ("insert_xai", "has_xai", "Task", "Method")


def test_the_list_is_long() -> None:
    assert len(PUBLIC) > 100
    assert {("", "Explainer"), ("methods", "RISE"), ("common.utils", "has_xai")} <= set(PUBLIC)


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_a_name_leads_on(module: str, name: str) -> None:
    place = f"openvino_xai.{module}" if module else "openvino_xai"
    line = f"from {place} import {name}"
    if name in WORKING:
        exec(line)
        return
    with pytest.raises(ImportError, match=PAGE) as error:
        exec(line)
    assert "cannot import name" not in str(error.value)
    assert name in str(error.value) or module.partition(".")[0] in GONE
    assert not hasattr(xai, name) or name in xai.__all__


@pytest.mark.parametrize("module", [module for module, *_ in LINES if module not in (".", "metrics")])
def test_a_module_leads_on(module: str) -> None:
    if module.partition(".")[0] in GONE:
        with pytest.raises(ImportError, match=PAGE):
            importlib.import_module(f"openvino_xai.{module}")
    else:
        assert importlib.import_module(f"openvino_xai.{module}").__name__ == f"openvino_xai.{module}"


def test_a_module_of_ours_stays_ours() -> None:
    assert importlib.import_module("openvino_xai.metrics") is xai.metrics
    assert callable(xai.metrics.adcc)
    assert callable(xai.methods)


def test_names_before_1_1_lead_on() -> None:
    with pytest.raises(ImportError, match="'top:3'"):
        exec("from openvino_xai.explainer.parameters import TargetExplainGroup")
    with pytest.raises(AttributeError, match=PAGE):
        _ = xai.Explainer


@pytest.mark.parametrize("line", ["import openvino_xai.nothing", "import openvino_xai.evaluate.ADCC"])
def test_other_modules_are_unknown_as_ever(line: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        exec(line)


def test_other_names_are_unknown_as_ever() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from openvino_xai.explainer import nothing")
    with pytest.raises(AttributeError, match="module 'openvino_xai.explainer' has no attribute 'nothing'"):
        _ = importlib.import_module("openvino_xai.explainer").nothing


def test_no_module_hides_a_name_of_ours() -> None:
    roots = {module.split(".")[0] for module in MODULES}
    assert not roots & {*xai.__all__, *(path.stem for path in Path(xai.__file__).parent.iterdir())}


def test_phrases_name_what_is_there() -> None:
    names = [name for phrase in (*SUCCESSORS.values(), *GONE.values()) for name in re.findall(r"xai\.(\w+)", phrase)]
    assert {"explain", "insert", "layers", "methods", "Explanation"} <= set(names) <= set(xai.__all__)


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, openvino_xai; print(*[name for name in sys.modules if 'predecessor' in name])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["openvino_xai.predecessor"]


def test_python_asks_once() -> None:
    predecessor.answer_for_modules()
    assert len([finder for finder in sys.meta_path if finder is predecessor.Modules]) == 1
