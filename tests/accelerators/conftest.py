"""`scripts/gpu.py` and what it is made of."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = ("gpu", "accelerators", "studies")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program, as a program in `scripts/` sees its own parts."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    yield importlib.import_module("gpu")
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]


@pytest.fixture
def places(gpu: ModuleType) -> ModuleType:
    return importlib.import_module("accelerators.places")


@pytest.fixture
def rows(gpu: ModuleType) -> ModuleType:
    return importlib.import_module("accelerators.rows")


@pytest.fixture
def resnet(gpu: ModuleType) -> ModuleType:
    return importlib.import_module("accelerators.resnet")
