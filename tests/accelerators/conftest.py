"""`scripts/gpu.py` and what it is made of."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


@pytest.fixture
def gpu(scripts: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, as a program in `scripts/` sees its own parts."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    return importlib.import_module("gpu")


@pytest.fixture
def places(gpu: ModuleType) -> ModuleType:
    return importlib.import_module("accelerators.places")


@pytest.fixture
def rows(gpu: ModuleType) -> ModuleType:
    return importlib.import_module("accelerators.rows")


@pytest.fixture
def resnet(gpu: ModuleType) -> ModuleType:
    return importlib.import_module("accelerators.resnet")
