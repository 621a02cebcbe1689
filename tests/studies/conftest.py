"""`scripts/study.py` and what it is made of."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


@pytest.fixture
def study(scripts: None) -> ModuleType:
    return importlib.import_module("study")


@pytest.fixture
def tables(scripts: None) -> ModuleType:
    return importlib.import_module("studies.tables")
