"""Folders, in which nothing is passed over unsaid."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from openvino_xai.errors import ImageError
from openvino_xai.render import kinds
from openvino_xai.render.kinds import kind_of
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.folders.search import HEIC, Search

PIXELS = np.full((24, 32, 3), (255, 0, 0), np.uint8)  # BGR
JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
A_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, PIXELS)[1])


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WebP"), (".gif", "GIF"), (".avif", "AVIF"), (".tiff", "TIFF"),
     (".bmp", "BMP"), (".ppm", "PNM")],
)  # fmt: skip
def test_a_kind_is_told_by_content_and_read(suffix: str, kind: str, tmp_path: Path) -> None:
    data = encoded(suffix)
    assert kind_of(data[:32]) == kind
    path = tmp_path / "photo"
    path.write_bytes(data)
    photo = read_photo(path)
    assert photo.shape == PIXELS.shape
    assert np.abs(photo.astype(int) - PIXELS[..., ::-1]).max() < 12


@pytest.mark.parametrize(
    "head", [b"", b"BM, she said, and left. It was cold", b"\0\0\0\x18ftypisom" + bytes(20), b"P6", b"<svg"]
)
def test_what_only_looks_like_an_image_is_none(head: bytes) -> None:
    assert kind_of(head) is None


def test_brands_stand_behind_one_another() -> None:
    assert kind_of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert kind_of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic") == "HEIC"
    assert kind_of(A_HEIC) == "HEIC" and kind_of(JPEG_2000) == "JPEG 2000"


def test_nothing_in_a_folder_is_passed_over_unsaid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "sub" / "deep").mkdir(parents=True)
    photographs = {
        "a.png": ".png",
        "b.JFIF": ".jpg",
        "bare": ".webp",
        "sub/a.png": ".png",
        "sub/deep/c.gif": ".gif",
        "d.dat": ".avif",
        "line\nend\x1b[31m.jpg": ".jpg",
    }
    for name, suffix in photographs.items():
        (folder / name).write_bytes(encoded(suffix))
    (folder / "broken.png").write_bytes(b"none")
    (folder / "notes.TXT").write_text("BM is how bitmaps begin")
    (folder / "more.txt").write_text("")
    (folder / "README").write_text("words")
    (folder / "phone.HEIC").write_bytes(A_HEIC)
    (folder / "._a.png").write_bytes(b"resource fork")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.png").write_bytes(encoded(".png"))
    (folder / "circle").symlink_to(folder)
    (folder / "lost.png").symlink_to("nowhere")
    (folder / "self.png").symlink_to("self.png")
    (folder / "linked.png").symlink_to("a.png")
    os.mkfifo(folder / "pipe.png")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("photos/socket.png")
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    search = Search()
    photos = [str(path.relative_to(folder)) for path in search.inside(folder)]
    listening.close()
    expected = [
        "a.png",
        "b.JFIF",
        "bare",
        "broken.png",
        "d.dat",
        "line\nend\x1b[31m.jpg",
        "linked.png",
        "sub/a.png",
        "sub/deep/c.gif",
    ]
    assert photos == expected
    assert search.passed_over == {
        ".txt": 2,
        "without a suffix": 1,
        HEIC: 1,
        "hidden": 1,
        "hidden folders": 1,
        "links to folders": 1,
        "links that lead nowhere": 2,
        "pipes, sockets and devices": 2,
    }
    assert search.places[folder / "sub/deep/c.gif"] == Path("sub/deep") and search.places[folder / "a.png"] == Path()
    assert search.notes == [
        "passed over, as no photos that can be read; .txt: 2, HEIC (pip install 'ovxai[heif]' reads them): 1, hidden: 1, "
        "hidden folders: 1, links that lead nowhere: 2, links to folders: 1, pipes, sockets and devices: 2, without a suffix: 1"
    ]


def test_what_cannot_be_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").write_bytes(encoded(".png"))
    (tmp_path / "open.png").write_bytes(encoded(".png"))
    real = os.open

    def opened(path: Path, *more: int) -> int:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path, *more)

    monkeypatch.setattr(os, "open", opened)  # who runs tests may be root, whom nothing is closed to
    search = Search()
    assert [path.name for path in search.inside(tmp_path)] == ["open.png"]
    assert search.passed_over == {"that cannot be read": 1}


def test_heic_without_its_package_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openvino_xai.render.photo.reads_heic", lambda: False)
    (tmp_path / "a.heic").write_bytes(A_HEIC)
    with pytest.raises(ImageError, match=r"pip install 'ovxai\[heif\]'"):
        read_photo(tmp_path / "a.heic")


@pytest.mark.skipif(
    importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is not installed: pip install 'ovxai[heif]'"
)
def test_heic_is_read(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    rgb = np.ascontiguousarray(PIXELS[..., ::-1])
    pillow_heif.encode("RGB", (32, 24), rgb.tobytes(), tmp_path / "a.heic", quality=95)
    photo = read_photo(tmp_path / "a.heic")
    assert photo.shape == rgb.shape and np.abs(photo.astype(int) - rgb).max() < 12
    for mode, channels, value in (("L", 1, 100), ("RGBA", 4, 194)):  # of which white shows through a pixel of 100 / 255
        pixels = np.full((24, 32, channels), 100, np.uint8)
        pillow_heif.encode(mode, (32, 24), pixels.tobytes(), tmp_path / "b.heic", quality=95)
        np.testing.assert_allclose(read_photo(tmp_path / "b.heic"), np.full((24, 32, 3), value), atol=3)
    (tmp_path / "broken.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:200])
    with pytest.raises(ImageError, match="pillow-heif refuses it"):
        read_photo(tmp_path / "broken.heic")
