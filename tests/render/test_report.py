"""The report: one page that needs nothing else, and does what its controls say. A browser looks at it where there is one."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from openvino_xai.errors import ImageError
from openvino_xai.explanation import Explanation, Prediction
from openvino_xai.render.overlay import Style
from openvino_xai.render.report import write_report

EVIL = "</script><script>document.title='broken'</script>"
LABELS = ["cat", "dog & <b>co</b>", EVIL]


def lines(folder: Path, count: int, side: int = 48) -> list[dict[str, Any]]:
    """Explained photos, each third taken for another class; the map of the second class is that of the first, turned."""
    rng = np.random.default_rng(0)
    entries = []
    for number in range(count):
        photo = folder / f"photo{number:03}.png"
        cv2.imwrite(str(photo), np.full((side, side * 2, 3), 60 + number % 100, np.uint8))
        share = 0.5 + 0.4 * rng.random()
        ranked = (Prediction(0, LABELS[0], share), Prediction(1, LABELS[1], 1 - share), Prediction(2, LABELS[2], 0.0))
        saliency = np.tile(np.linspace(0, 1, 7, dtype=np.float32), (7, 1))
        maps = np.stack([saliency, saliency[:, ::-1]])
        record = {"method": "reciprocam", "layer": "f", "precision": "f32"}
        explanation = Explanation(
            np.zeros((side, side * 2, 3), np.uint8), ranked, ranked[:2], maps, (0, 0, side * 2, side), record, photo
        )
        files = explanation.save(folder / "maps", f"photo{number:03}")
        entry = explanation.to_dict()
        entry["targets"] = [{**target, **paths} for target, paths in zip(entry["targets"], files, strict=True)]
        entry["label"] = {"id": 1, "label": LABELS[1]} if number % 3 == 0 else {"id": 0, "label": LABELS[0]}
        entries.append(entry)
    return entries


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


def settle(report: Any) -> None:
    """Wait until the page has been drawn twice."""
    report.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")


def put(report: Any, control: str, value: str) -> None:
    script = """const [control, value] = arguments; const found = document.getElementById(control); found.value = value;
    found.dispatchEvent(new Event("input")); found.dispatchEvent(new Event("change"))"""
    report.execute_script(script, control, value)


def shown(report: Any) -> list[str]:
    """The names of all images that are not filtered out, in order; those on the screen have cards in this order."""
    names = report.execute_script("return layout.shown.map(({ image }) => image.name)")
    cards = [item.get_attribute("textContent") for item in report.find_elements("css selector", "article .name")]
    assert cards and cards == names[: len(cards)] and len(cards) < 100
    return names


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
