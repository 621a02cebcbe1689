"""The versions that pyproject.toml claims, tried: each dependency at its lowest with the others newest, all lowest, all newest.

    python scripts/bounds.py --work FOLDER [--only NAME ...] [--tests PATH ...]

Each environment is a fresh venv in FOLDER. What is installed there, and what the fast tests say, is printed as a table in
Markdown and kept in FOLDER/bounds.json, with which a run that was stopped goes on. The exit status is 1 where tests fail.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOOLS = ("mypy", "ruff")  # look at the source alone
TESTS = ["-m", "not slow"]


def requirements() -> dict[str, str]:
    """The lowest version of every package that pyproject.toml names, by name with extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    parsed = (re.fullmatch(r"([\w.-]+(?:\[\w+\])?)>=([\w.]+)", line) for line in lines if not line.startswith("ovxai"))
    return {match[1]: match[2] for match in parsed if match is not None and match[1] not in TOOLS}


def environments(lowest: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """The name of each environment, and what is installed there."""
    yield "all newest", list(lowest)
    for name, version in lowest.items():
        yield f"{name} {version}", [f"{name}=={version}", *(other for other in lowest if other != name)]
    yield "all lowest", [f"{name}=={version}" for name, version in lowest.items()]


def tried(folder: Path, packages: list[str], tests: list[str]) -> dict[str, Any]:
    """What the tests say in a fresh venv with some packages."""
    venv.create(folder, clear=True, with_pip=True)
    python = str(folder / "bin" / "python")
    install = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True, check=False)
    if install.returncode:
        errors = [line for line in install.stderr.splitlines() if line.startswith("ERROR")]
        return {"outcome": "does not install", "summary": " ".join(errors)[:200], "output": install.stderr[-3000:]}
    frozen = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout.split()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *tests]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    lines = run.stdout.strip().splitlines() or ["nothing printed"]
    failed = [line.partition(" - ")[0] for line in lines if line.startswith(("FAILED", "ERROR"))]
    outcome = "passes" if run.returncode == 0 else "fails"
    return {
        "outcome": outcome,
        "summary": lines[-1],
        "failed": failed,
        "packages": frozen,
        "output": run.stdout[-20_000:] + run.stderr[-3000:],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """The outcomes in Markdown."""
    rows = ["| environment | outcome | tests |", "| --- | --- | --- |"]
    return "\n".join(
        rows + [f"| {name} | {it['outcome']} | {it.get('summary', '').strip('= ')} |" for name, it in results.items()]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="only environments with one of these texts in their name")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="by default all that are not slow")
    options = parser.parse_args()
    os.nice(19)
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    record = work / "bounds.json"
    results: dict[str, dict[str, Any]] = json.loads(record.read_text()) if record.exists() else {}
    for name, packages in environments(requirements()):
        if name in results or (options.only and not any(text in name for text in options.only)):
            continue
        folder = work / re.sub(r"\W+", "-", name)
        results[name] = tried(folder, packages, options.tests)
        record.write_text(json.dumps(results, indent=2))
        print(f"{name}: {results[name]['outcome']}", file=sys.stderr)
    print(table(results))
    sys.exit(any(result["outcome"] != "passes" for result in results.values()))


if __name__ == "__main__":
    main()
