"""Pictures in the formats that are asked for, or maps alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openvino_xai.detection import DetectionExplanation
from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation, Match, Prediction
from openvino_xai.render.kinds import kind_of
from openvino_xai.render.overlay import Format, Style
from openvino_xai.render.photo import read_photo, write_picture

IMAGE = np.full((20, 30, 3), (30, 90, 200), np.uint8)
MAPS = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 3, 4)
BOX = (0.0, 0.0, 30.0, 20.0)
KINDS: dict[Format, str] = {"png": "PNG", "jpg": "JPEG", "webp": "WebP"}


def explanation() -> Explanation:
    cat = Prediction(7, "cat", 0.5)
    return Explanation(IMAGE, (cat,), (cat,), MAPS, BOX, {}, Path("photo.png"))


@pytest.mark.parametrize(("file_format", "kind"), KINDS.items())
def test_a_picture_is_what_its_name_says(file_format: Format, kind: str, tmp_path: Path) -> None:
    style = Style(file_format=file_format)
    files = explanation().save_pictures(tmp_path, style=style)
    assert [Path(path).name for path in files[0].values()] == [f"photo{end}" for end in explanation().file_endings(style)]
    overlay = Path(files[0]["overlay"])
    assert overlay.suffix == f".{file_format}" and kind_of(overlay.read_bytes()[:32]) == kind
    assert np.abs(read_photo(overlay).astype(int) - explanation().drawn(style)).mean() < 6
    np.testing.assert_array_equal(np.load(files[0]["map"]), MAPS[0])


def test_none_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style = Style(each=True, file_format="none")

    def drawn(*_: object) -> None:
        raise AssertionError("a picture was drawn")

    for kind in (Explanation, Match, DetectionExplanation):
        monkeypatch.setattr(kind, "drawn", drawn)
    files = explanation().save_pictures(tmp_path, style=style)
    match = Match((IMAGE, IMAGE), (MAPS[0], MAPS[0]), 0.5, "cosine", (BOX, BOX), {}, Path("a.png"), Path("b.png"))
    files += match.save_pictures(tmp_path, style=style)
    assert [list(entry) for entry in files] == [["map"]] * 3
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npy"] * 3
    assert all(end.endswith(".npy") for end in (*explanation().file_endings(style), *match.file_endings(style)))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_what_a_format_cannot_hold_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written as"):
        write_picture(tmp_path / f"wide{suffix}", np.zeros((1, 70_000, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_format_that_is_not_known() -> None:
    with pytest.raises(InputError, match="file format 'gif' is not known"):
        Style(file_format="gif")  # type: ignore[arg-type]
