"""The report of a detector's boxes: each is a button over the photo and in the legend, and shows its own map."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from render.pages import content

from openvino_xai.detection import Detection, DetectionExplanation
from openvino_xai.errors import ImageError
from openvino_xai.render.overlay import Style
from openvino_xai.render.report import write_report

EVIL = "</script><script>document.title='broken'</script>\n\x1b[31m"
EVIL_ESCAPED = EVIL.replace("\n", "\\x0a").replace("\x1b", "\\x1b")
PHOTO = np.full((48, 96, 3), 90, np.uint8)
BOXES = (
    Detection(0, "cat", 0.9, (8.0, 8.0, 40.0, 40.0), 5),
    Detection(2, EVIL, 0.6, (56.0, 8.0, 88.0, 40.0), 9),
    Detection(0, "cat", 0.5, (10.0, 10.0, 20.0, 20.0), 6),  # within the first
)


def line(folder: Path, name: str, boxes: tuple[Detection, ...]) -> dict[str, Any]:
    """A photo, explained: a map is high on the left, right and everywhere."""
    left = np.tile(np.linspace(1, 0, 6, dtype=np.float32), (6, 1))
    maps = np.stack([left, left[:, ::-1], left.T])[: len(boxes)]
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), PHOTO)
    record = {"method": "layer_cam", "layer": "a,b", "precision": "f32"}
    explanation = DetectionExplanation(PHOTO, boxes, boxes, maps, (0, 0, 96, 48), record, path, min_score=0.25)
    return explanation.to_dict(explanation.save(folder, name))


def test_labels_of_boxes_are_data(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert write_report(page, [line(tmp_path, "a", BOXES), line(tmp_path, "b", ())], title="two", style=Style()) == []
    text = page.read_text(encoding="utf-8")
    assert EVIL not in text and "\x1b" not in text and "#ff4040" in text


def test_maps_of_other_boxes_are_no_maps(tmp_path: Path) -> None:
    entry = line(tmp_path, "a", BOXES)
    for broken in (np.zeros((2, 6, 6), np.float32), np.zeros((6, 6), np.float32), np.full((3, 6, 6), np.nan, np.float32)):
        np.save(entry["map"], broken)
        with pytest.raises(ImageError, match="explain the image again"):
            write_report(tmp_path / "report.html", [entry], title="one", style=Style())


def test_maps_that_miss_their_boxes_are_said(tmp_path: Path) -> None:
    entry = line(tmp_path, "a", BOXES)
    np.save(entry["map"], np.load(entry["map"])[[1, 0, 2]])  # the first two change places
    write_report(tmp_path / "report.html", [entry], title="one", style=Style())
    (doubt,) = content(tmp_path / "report.html")["images"][0]["suspicions"]
    assert (doubt["kind"], doubt["target"]) == ("off_box", 0) and doubt["text"].startswith(
        "The box, with a cell around it, has"
    )


@pytest.fixture
def report(browser: Any, tmp_path: Path) -> Any:
    entries = [line(tmp_path, "a", BOXES), line(tmp_path, "b", ()), line(tmp_path, "c", BOXES[:1])]
    write_report(tmp_path / "report.html", entries, title="three", style=Style())
    browser.get((tmp_path / "report.html").as_uri())
    return browser


def buttons(report: Any, where: str) -> list[Any]:
    return report.find_elements("css selector", f"article:first-child {where} button")


def caption(report: Any) -> str:
    return report.find_element("css selector", "article:first-child figcaption").text


@pytest.mark.slow
def test_a_box_shows_its_map_and_all_once_more(report: Any) -> None:
    captions = [item.text for item in report.find_elements("css selector", "figcaption")]
    assert captions == ["all 3 boxes", "no box", "1 box"]
    boxes, legend = buttons(report, ".picture"), buttons(report, ".entries")
    assert len(boxes) == len(legend) == 3
    boxes[2].click()  # though the first lies around it
    assert caption(report) == "cat 50.0%"
    assert [entry.get_attribute("aria-pressed") for entry in (*boxes, *legend)] == ["false", "false", "true"] * 2
    legend[0].click()
    assert caption(report) == "cat 90.0%"
    boxes[0].send_keys(" ")
    assert caption(report) == "all 3 boxes"
    boxes[0].send_keys("\ue007")  # enter
    assert caption(report) == "cat 90.0%"


@pytest.mark.slow
def test_a_box_in_the_large_view_and_in_a_link(report: Any, tmp_path: Path) -> None:
    report.execute_script("openViewer(items[0])")
    report.find_elements("css selector", "#viewer .box")[1].click()
    text = report.find_element("css selector", "#viewer figcaption").text
    assert text == f"{EVIL_ESCAPED} 60.0%"
    report.execute_script("clearTimeout(timer); writeHash()")
    assert report.execute_script("return location.hash") == "#photo=1&map=2"
    page = (tmp_path / "report.html").as_uri()
    for address, caption_there in {"#photo=1&map=2": text, "#photo=1&map=9": "all 3 boxes", "#photo=2&map=1": "no box"}.items():
        report.get("about:blank")
        report.get(page + address)
        assert report.find_element("css selector", "#viewer figcaption").text == caption_there
    report.execute_script("viewer.close()")


@pytest.mark.slow
def test_boxes_are_lines_of_the_table(report: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(report.execute_script("return csvText()"), newline="")))
    assert [row["image"] for row in rows] == ["a.png"] * 3 + ["b.png", "c.png"]
    assert [rows[1][name] for name in ("target", "left", "top", "right", "bottom")] == [EVIL, "56", "8", "88", "40"]
    assert {name for name, cell in rows[3].items() if cell} == {"image"}
    assert {row["suspicious"] for row in rows} == {""}


@pytest.mark.slow
def test_boxes_say_their_names(report: Any) -> None:
    names = [box.get_attribute("aria-label") for box in buttons(report, ".picture")]
    assert names == ["cat 90.0%", f"{EVIL_ESCAPED} 60.0%", "cat 50.0%"]
    assert report.title == "ovxai report"
    assert report.find_elements("css selector", "article b > *") == []
    assert report.get_log("browser") == []


@pytest.mark.slow
def test_any_box_is_searched_by_its_label(report: Any) -> None:
    script = "const box = document.getElementById('text'); box.value = arguments[0]; box.dispatchEvent(new Event('input'))"
    for text, count in {"title=": 1, "cat": 2, "wolf": 0, "": 3}.items():
        report.execute_script(script, text)
        assert len(report.find_elements("css selector", "article")) == count
