from __future__ import annotations

from openvino_xai.cli.text import plain


def test_what_commands_a_terminal_is_spelled_out() -> None:
    assert plain("a\x1b]0;title\x07b") == r"a\x1b]0;title\x07b"
    assert plain("two\nlines\u2028three\x85four") == r"two\nlines\u2028three\x85four"
    assert plain("\u202egnp.exe \udc80") == r"\u202egnp.exe \udc80"


def test_words_of_any_language_stay() -> None:
    for text in ("Ägyptische Katze", "猫 ・ ネコ", "क्\u200dष", "👩\u200d🔬", "[red] 100 %"):
        assert plain(text) == text
