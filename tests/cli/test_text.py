from __future__ import annotations

import os
import subprocess

import pytest

from openvino_xai.cli.text import command_line, plain


def test_what_commands_a_terminal_is_spelled_out() -> None:
    assert plain("a\x1b]0;title\x07b") == r"a\x1b]0;title\x07b"
    assert plain("two\nlines\u2028three\x85four") == r"two\nlines\u2028three\x85four"
    assert plain("\u202egnp.exe \udc80") == r"\u202egnp.exe \udc80"


def test_words_of_any_language_stay() -> None:
    for text in ("Ägyptische Katze", "猫 ・ ネコ", "क्\u200dष", "👩\u200d🔬", "[red] 100 %"):
        assert plain(text) == text


def test_a_command_line_is_one_line_that_a_shell_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a b", "it's", "", "$(touch x)", "two\nlines", "\u202ecat\\'\x1b", os.fsdecode(b"\xff.png"), "\u732b"]
    arguments = ["explain", "--input", *names]
    monkeypatch.setattr("sys.argv", ["/some/where/ovxai", *arguments])
    text = command_line()
    assert text.startswith("ovxai explain --input 'a b' ") and plain(text) == text
    script = f"ovxai() {{ printf '%s\\0' \"$@\"; }}; {text}"
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert said == b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
