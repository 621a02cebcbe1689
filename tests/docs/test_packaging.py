"""What stands beside the code says what the code says: CITATION.cff, the workflow, the hooks of git."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from openvino_xai.version import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PREFIX = "Programming Language :: Python :: "


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def commands() -> list[str]:
    """What the workflow and git's hooks start."""
    steps = [step for job in read(".github/workflows/test.yml")["jobs"].values() for step in job["steps"]]
    hooks = [hook for repository in read(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    return [step["run"] for step in steps if "run" in step] + [hook["entry"] for hook in hooks]


def test_the_citation_is_of_this_version() -> None:
    citation = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert (citation["title"], citation["version"]) == (PROJECT["name"], __version__)
    assert citation["license"] == PROJECT["license"]
    assert set(citation["keywords"]) == set(PROJECT["keywords"])


@pytest.mark.parametrize("command", commands())
def test_what_is_started_is_there(command: str) -> None:
    path = ROOT / next(word for word in command.split() if "/" in word)
    assert path.is_file()
    assert command.startswith("python ") or os.access(path, os.X_OK)


def test_extras_are_told() -> None:
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(PROJECT["optional-dependencies"])


def test_versions_of_python_are_those_that_are_tried() -> None:
    claimed = [line.removeprefix(PREFIX) for line in PROJECT["classifiers"] if re.fullmatch(PREFIX + r"3\.\d+", line)]
    jobs = read(".github/workflows/test.yml")["jobs"]
    assert jobs["newest"]["strategy"]["matrix"]["python"] == claimed
    assert PROJECT["requires-python"] == f">={claimed[0]}"
    assert jobs["lowest"]["steps"][1]["with"]["python-version"] == claimed[0]
