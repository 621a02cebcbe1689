"""The command: what it prints, how it ends, and the command lines that its page shows."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from command import ovxai
from small_server import encoded, random_photo, small

from openvino_xai.cli.options import LayerOptions, NetworkOptions, ProbeOptions
from openvino_xai.cli.page.command_lines import command_lines
from openvino_xai.cli.page.start import Start
from openvino_xai.cli.process import page as module
from openvino_xai.files.watch import WATCH, note_page
from openvino_xai.ui.question import Choice, Question
from openvino_xai.ui.server import KEY

HOSTILE = [
    "a b.png",
    "it's.png",
    "$(touch x).png",
    "`touch x`.png",
    "-o.png",
    "--output=x.png",
    'a"b;rm -rf ~.png',
    "two\nlines.png",
    "\x1b[201~touch x\r.png",
    "\\x41'\n.png",
    "caf\u00e9 \u202egnp.png",
    "b\udcff.png",
    "*.png",
]


def words(line: str) -> list[str]:
    """What a shell makes of a command line."""
    done = subprocess.run(["bash", "-c", f"set -f; printf '%s\\0' {line}"], capture_output=True, check=True)
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


def start(model: str = "m.xml", options: LayerOptions | None = None, running: NetworkOptions | None = None) -> Start:
    return Start(model, options or LayerOptions(), ProbeOptions(), running or NetworkOptions())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_one_word(name: str) -> None:
    lines = command_lines(start(), {"named-0": Path(name)}, Question(photo="named-0"))
    expected = f"--input={name}" if name.startswith("-") else name
    assert expected in words(lines["explain"])
    assert all(character.isprintable() or character == "\n" for character in lines["explain"])
    assert expected in words(command_lines(start(), {}, Question(name=name))["explain"])


def test_a_name_that_no_file_has() -> None:
    assert words(command_lines(start(), {}, Question(name="a\ud800.png"))["explain"])[5] == "a?.png"


def test_what_is_chosen_is_in_the_command_lines() -> None:
    options, running = (
        LayerOptions(method="cam"),
        NetworkOptions(preprocess="raw", mean_values="1", pad_value="3", device="GPU"),
    )
    question = Question(
        choice=Choice("reciprocam", "f"),
        preprocessing={"preset": "imagenet", "resize_type": "standard"},
        classes=(7,),
        opacity=0.7,
    )
    lines = command_lines(start("a b.onnx", options, running), {}, question)
    assert words(lines["explain"]) == shlex.split(
        "ovxai explain --model 'a b.onnx' --input photo.jpg --output explained --layer f --method reciprocam --pad-value 3 "
        "--preprocess imagenet --resize-type standard --device GPU --targets 7 --opacity 0.7"
    )
    assert words(lines["insert"]) == shlex.split(
        "ovxai insert --model 'a b.onnx' --layer f --method reciprocam --pad-value 3 --preprocess imagenet "
        "--resize-type standard --output 'a b_xai.onnx'"
    )
    assert "--method" not in command_lines(start(), {}, Question(choice=Choice("rise")))["insert"]


@pytest.mark.slow
def test_the_page_is_opened_by_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(module.webbrowser, "open", opened.append)
    monkeypatch.setattr(module, "has_screen", lambda: True)
    monkeypatch.setenv(WATCH, str(tmp_path))
    opener = module.PageOpener(tmp_path)
    opener.look()
    assert note_page("http://127.0.0.1:1/#x")
    for _ in range(3):
        opener.look()
    time.sleep(0.1)
    assert opened == ["http://127.0.0.1:1/#x"]
    note_page("file:///etc/passwd")
    module.PageOpener(tmp_path).look()
    time.sleep(0.1)
    assert len(opened) == 1


@pytest.mark.slow
def test_it_serves_until_ctrl_c_however_long_nobody_asks(tmp_path: Path) -> None:
    onnx.save(small(), tmp_path / "tiny.onnx")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encoded(random_photo()))
    places = [tmp_path / "tiny.onnx", tmp_path / "a.png", tmp_path / "b.png", "--no-open"]
    command = [sys.executable, "-m", "openvino_xai.cli", "--timeout", "12", "ui", *map(str, places)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a shell's background jobs ignore it
    )
    assert process.stdout is not None
    address = process.stdout.readline()
    parts = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#(\S+)\n", address)
    assert parts, process.communicate()
    time.sleep(14)  # longer than an inference may take
    connection = http.client.HTTPConnection("127.0.0.1", int(parts[1]), timeout=10)
    connection.request("GET", "/state", headers={KEY: parts[2]})
    state = json.loads(connection.getresponse().read())
    assert [photo["name"] for photo in state["photos"]] == ["a.png", "b.png"]
    busy = ovxai("ui", tmp_path / "tiny.onnx", "--no-open", "--port", parts[1], status=2)
    assert f"cannot listen on port {parts[1]} of 127.0.0.1: Address already in use; choose another (--port)" in busy.stderr
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "ovxai: the page is closed"
    assert "Traceback" not in said
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(parts[1])))


@pytest.mark.slow
def test_what_is_wrong_with_the_arguments_is_a_line(tmp_path: Path) -> None:
    assert "there is no file" in ovxai("ui", tmp_path / "none.onnx", "--no-open", status=2).stderr
    onnx.save(small(), tmp_path / "tiny.onnx")
    (tmp_path / "empty").mkdir()
    done = ovxai("ui", tmp_path / "tiny.onnx", tmp_path / "empty", "--no-open", status=2)
    assert f"no image was found in {tmp_path / 'empty'}\n" in done.stderr
