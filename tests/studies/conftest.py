"""`scripts/study.py` and what it is made of."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`scripts/` as a program there sees it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    yield
    for name in [name for name in sys.modules if name == "study" or name.split(".")[0] == "studies"]:
        del sys.modules[name]


@pytest.fixture
def study(scripts: None) -> ModuleType:
    return importlib.import_module("study")


@pytest.fixture
def tables(scripts: None) -> ModuleType:
    return importlib.import_module("studies.tables")
