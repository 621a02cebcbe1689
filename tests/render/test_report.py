"""The report: one page that needs nothing else, and does what its controls say. A browser looks at it where there is one."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from render.pages import EVIL, lines, put, settle, shown

from openvino_xai.errors import ImageError
from openvino_xai.render.overlay import Style
from openvino_xai.render.report import write_report


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, lines(tmp_path, 3), title="three", style=Style(colormap="turbo"))
    text = page.read_text(encoding="utf-8")
    assert "@DATA@" not in text and EVIL not in text
    assert "http:" not in text and "https:" not in text and 'src="' not in text
    assert "default-src 'none'" in text and "unsafe-inline" not in text
    for tag, policy in {"style": "style-src", "script": "script-src"}.items():
        content = text.rpartition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert content and f"{policy} 'sha256-{digest}'" in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".ovxai")] == []


def test_a_photo_that_is_gone(tmp_path: Path) -> None:
    entries = lines(tmp_path, 1)
    Path(entries[0]["image"]).unlink()
    with pytest.raises(ImageError, match="cannot read"):
        write_report(tmp_path / "report.html", entries, title="gone", style=Style())
    assert not (tmp_path / "report.html").exists()


def test_a_map_that_is_none_any_more(tmp_path: Path) -> None:
    entries = lines(tmp_path, 1)
    Path(entries[0]["targets"][0]["map"]).write_bytes(b"no map")
    with pytest.raises(ImageError, match="explain the image again") as broken:
        write_report(tmp_path / "report.html", entries, title="broken", style=Style())
    assert broken.value.options == ("again",)


@pytest.fixture(scope="module")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder / "report.html", lines(folder, 500), title="five hundred", style=Style())
    browser.get((folder / "report.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def picture(report: Any, which: int = 2) -> np.ndarray:
    """A picture as the screen shows it, without the corners; of the first card, which is wrong, there are two."""
    settle(report)
    shown = report.find_elements("css selector", "article .picture")[which]
    pixels = cv2.imdecode(np.frombuffer(shown.screenshot_as_png, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    return pixels[8:-8, 8:-8]


@pytest.mark.slow
def test_the_slider_changes_the_picture(report: Any) -> None:
    put(report, "opacity", "0")
    bare = picture(report)
    assert np.ptp(bare, axis=(0, 1)).max() <= 2  # the photo is one grey
    put(report, "opacity", "1")
    full = picture(report)
    assert full[20, 10, 2] > full[20, 10, 0] + 50  # jet: blue on the left, red on the right
    assert full[20, -10, 0] > full[20, -10, 2] + 50
    put(report, "opacity", "0.5")
    np.testing.assert_allclose(picture(report), (bare + full) / 2, atol=3)


@pytest.mark.slow
def test_the_switch_changes_the_map(report: Any) -> None:
    put(report, "opacity", "1")
    first = picture(report)
    put(report, "target", "1")
    second = picture(report)
    np.testing.assert_allclose(second, first[:, ::-1], atol=6)
    put(report, "target", "true")
    np.testing.assert_array_equal(picture(report), first)  # of this one the most probable is the true class
    put(report, "target", "0")
    np.testing.assert_array_equal(picture(report), first)


@pytest.mark.slow
def test_wrong_ones_show_both_classes(report: Any) -> None:
    put(report, "outcome", "wrong")
    assert len(shown(report)) == 167
    settle(report)
    captions = [item.text for item in report.find_elements("css selector", "article figcaption")[:2]]
    assert captions[0].startswith("cat") and captions[1].startswith("true: dog & <b>co</b>")
    np.testing.assert_allclose(picture(report, 1), picture(report, 0)[:, ::-1], atol=6)
    assert "333 of 500 are predicted correctly" in report.find_element("id", "accuracy").text
    (row,) = report.find_elements("css selector", "#wrong[open] tbody tr")
    assert [cell.text for cell in row.find_elements("tag name", "td")][:3] == ["dog & <b>co</b>", "cat", "167"]
    put(report, "outcome", "all")


@pytest.mark.slow
def test_filters_and_orders(report: Any) -> None:
    put(report, "text", "photo04")
    assert shown(report) == [f"photo{number:03}.png" for number in range(40, 50)]
    put(report, "sort", "most")
    most = shown(report)
    put(report, "sort", "least")
    assert shown(report) == most[::-1] != sorted(most)
    put(report, "sort", "order")
    put(report, "text", "DOG")
    assert len(shown(report)) == 167
    put(report, "text", "")
    put(report, "low", "60")
    put(report, "high", "80")
    text = report.find_element("id", "count").text
    assert text == f"{len(shown(report))} of 500 images" and 0 < len(shown(report)) < 500
    put(report, "low", "0")
    put(report, "high", "100")
    assert len(shown(report)) == 500


@pytest.mark.slow
def test_labels_are_text(report: Any) -> None:
    assert report.title == "ovxai report"
    assert report.find_elements("css selector", "article .caption b > *") == []
    assert any(EVIL in item.get_attribute("textContent") for item in report.find_elements("css selector", "article b")[:3])
