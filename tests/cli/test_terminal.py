"""What names from models, photos and paths do to a terminal: nothing."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import nodes
from tiny import CASES

import openvino_xai
from openvino_xai.cli import app, text
from openvino_xai.cli.app import main
from openvino_xai.errors import OutputError

pytestmark = pytest.mark.slow

PACKAGE = Path(openvino_xai.__file__).parent
HOSTILE = "\x1b[31m[red]\x1b]0;owned\x07[i]:smile:\u202e\r\u2028x"
NODE = HOSTILE + "[/nothing]"
COMMANDING = ("\x1b", "\x07", "\r", "\x9b", "\u202e", "\u2028")


def ovxai(*arguments: object, status: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from openvino_xai.cli.app import main; main()", *map(str, arguments)]
    done = subprocess.run(command, text=True, errors="surrogateescape", timeout=120, **{"capture_output": True, **more})
    assert done.returncode == status, done.stderr
    assert ("Traceback" not in (done.stderr or "") or "--debug" in arguments) and "Exception ignored" not in (done.stderr or "")
    return done


@pytest.fixture
def hostile_model(tmp_path: Path) -> Path:
    """A model whose every name, and whose own, commands the terminal."""
    model = CASES["residual, layer second"].build("B", 17)
    names = {name: NODE + name for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        node.name = NODE + node.output[0]
    for value in (*model.graph.output, *model.graph.value_info):
        value.name = names.get(value.name, value.name)
    path = tmp_path / f"m{HOSTILE}.onnx"
    onnx.save(model, path)
    return path


def test_only_one_file_prints() -> None:
    """Nothing else in the package writes to a stream, but for what runs elsewhere or answers a process of ours."""
    # what lists requirements runs before they are installed
    elsewhere = {"cli/text.py", "benchmark/alone.py", "cli/installation/requirements.py"}
    prints = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes(path):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("print", "typer.echo", "typer.secho", "echo", "Console", "Table") or called.endswith(
                ("stdout.write", "stderr.write", "print_exc", "print_exception")
            ):
                prints.append((path.relative_to(PACKAGE).as_posix(), node.lineno, called))
    assert [place for place in prints if place[0] not in elsewhere and "/programs/" not in place[0]] == []
    assert {place[0] for place in prints} >= {"cli/text.py"}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_tables_and_lines_show_what_is_in_them(name: str) -> None:
    """Whatever a cell says stays in it, as it is or as escapes, and takes one line."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        text.say_table(["name", name], [[name, 1], ["x", name]], texts=("name",), title=f"[bold]{name}")
        text.say(name)
    lines = out.getvalue().split("\n")
    assert lines[-1] == "" and lines[-2] == text.plain(name)
    assert len(lines) == 6
    assert lines[0].startswith(f"[bold]{text.plain(name)}".rstrip())
    assert lines[2].startswith(text.plain(name).rstrip())
    assert not [character for character in out.getvalue() if character in COMMANDING]


def test_names_of_models(hostile_model: Path) -> None:
    listed = ovxai("layers", "-m", hostile_model, "--all")
    assert r"\x1b[31m[red]\x1b]0;owned\x07[i]:" in listed.stdout  # the rest of it is folded
    assert r"\u202e\r\u2028x[/nothing]r" in listed.stdout
    wrong = ovxai("insert", "-m", hostile_model, "-l", HOSTILE, status=2)
    inserted = ovxai("insert", "-m", hostile_model)
    again = ovxai("insert", "-m", hostile_model, status=2)
    measured = ovxai("benchmark", "-m", hostile_model, "--iterations", 2)
    missing = ovxai("layers", "-m", f"{hostile_model}x", status=2)
    for said in (listed, wrong, inserted, again, measured, missing):
        assert not [character for character in said.stdout + said.stderr if character in COMMANDING]
        assert "[red]" in said.stdout + said.stderr
    assert len(wrong.stderr.splitlines()) == len(again.stderr.splitlines()) == len(missing.stderr.splitlines()) == 1


def test_names_of_photos_and_labels(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, photos = tmp_path / "m.onnx", tmp_path / "photos"
    onnx.save(CASES["residual, layer second"].build("B", 17), model)
    photos.mkdir()
    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((16, 16, 3), np.uint8))
    shutil.copy(tmp_path / "p.png", photos / f"{HOSTILE}.png")
    (photos / f"broken{HOSTILE}.png").write_bytes(b"no photo")
    (tmp_path / "labels.txt").write_text((HOSTILE.replace("\r", "") + "\n") * 5, encoding="utf-8")
    common = ("-i", str(photos), "--labels", str(tmp_path / "labels.txt"))
    for arguments in (
        ("explain", "-m", str(model), "-o", str(tmp_path / f"out{HOSTILE}"), *common),
        ("compare", "-m", str(model), "-m", str(model), *common),
    ):
        monkeypatch.setattr(sys, "argv", ["ovxai", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert end.value.code == 1, err
        assert "[red]" in out and "skipped: cannot read" in err
        assert not [character for character in out + err if character in COMMANDING]


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("layers", f"--{HOSTILE}"),
        ("layers", HOSTILE),
        ("benchmark", "-m", "x", "--batch", HOSTILE),
        ("benchmark", "-m", "x", "--hint", HOSTILE),
        ("insert",  "-m", HOSTILE),
        ("insert",  "-m", "x.onnx", "--max-memory", HOSTILE),
        ("explain", "-m", "x", "-o", "out"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ovxai", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == ""
    assert err.startswith("ovxai: ") and len(err.splitlines()) == 1
    assert not [character for character in err[:-1] if character in (*COMMANDING, "\n")]


def test_the_guard_escapes_too() -> None:
    command = [sys.executable, "-m", "openvino_xai.cli", "layers", "--timeout", HOSTILE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and not [character for character in done.stderr if character in COMMANDING]


def test_streams_that_know_ascii_only(hostile_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "猫.onnx"
    shutil.copy(hostile_model, model)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert r"\u732b_xai.onnx" in ovxai("insert", "-m", model, env=environment).stdout
    assert r"\u732b.onnx" in ovxai("benchmark", "-m", model, "--iterations", 2, env=environment).stdout
    assert r"\u732b" in ovxai("layers", "-m", "猫.xml", status=2, env=environment).stderr
    assert "Usage" in ovxai("layers", "--help", env=environment).stdout


def test_what_nobody_foresaw_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(error: BaseException, *arguments: str) -> tuple[object, str]:
        def fails(*args: object, **more: object) -> None:
            raise error

        monkeypatch.setattr(app, "_run", fails)
        monkeypatch.setattr(sys, "argv", ["ovxai", "layers", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert out == ""
        return end.value.code, err

    line = r"ovxai: internal error: ZeroDivisionError: a\nb\x1b[31m; --debug shows the traceback" + "\n"
    assert run(ZeroDivisionError("a\nb\x1b[31m")) == (2, line)
    status, said = run(ZeroDivisionError("a\nb\x1b[31m"), "--debug")
    assert status == 2 and said.endswith(line) and "Traceback" in said and "\x1b" not in said
    assert run(RecursionError("too deep"))[1].startswith("ovxai: internal error: RecursionError: too deep")
    for error in (MemoryError(), RuntimeError("std::bad_alloc")):
        assert run(error)[1].startswith("ovxai: the memory does not suffice")
    assert run(OSError(36, "File name too long", "x" * 300))[1].startswith("ovxai: cannot use xxx")
    assert run(OutputError("cannot write x"), "--debug")[1].endswith("ovxai: cannot write x\n")
    assert run(KeyboardInterrupt()) == (130, "")


def test_debug_is_an_option_of_every_command(tmp_path: Path) -> None:
    for arguments in (("--debug", "layers"), ("layers", "--debug")):
        said = ovxai(*arguments, "-m", tmp_path / "none.onnx", status=2)
        assert said.stderr.splitlines()[-1] == f"ovxai: there is no file {tmp_path / 'none.onnx'}"
        assert len(said.stderr.splitlines()) > 5


@pytest.mark.parametrize("arguments", [("layers", "--json"), ("layers",), ("--version",), ("layers", "--help")])
def test_standard_output_that_is_full_or_closed(arguments: tuple[str, ...], tmp_path: Path) -> None:
    onnx.save(CASES["residual, layer second"].build("B", 17), tmp_path / "m.onnx")
    model = ("-m", tmp_path / "m.onnx") if len(arguments) < 2 or arguments[1] == "--json" else ()
    if arguments == ("--version",):
        model = ()
    with Path("/dev/full").open("w") as full:
        said = ovxai(*arguments, *model, status=2, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert said.stderr == "ovxai: cannot write to standard output: No space left on device\n"
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "openvino_xai.cli", *arguments, *map(str, model)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == "" and done.returncode in (1, 141)
    done = subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *command])
    assert done.returncode == 0


def test_json_stays_json(hostile_model: Path) -> None:
    layers = json.loads(ovxai("layers", "-m", hostile_model, "--json").stdout)
    assert any(layer["name"].startswith(HOSTILE) for layer in layers)


@pytest.mark.parametrize("command", ["layers", "insert", "explain", "compare", "evaluate", "benchmark", "export"])
def test_help_says_what_is_expected(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ovxai", command, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().out
    assert not end.value.code and f"ovxai {command}" in said
    assert "ForwardRef" not in said and "<str" in said
