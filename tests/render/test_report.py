"""The report: one page that needs nothing else, and does what its controls say. A browser looks at it where there is one."""

from __future__ import annotations

import base64
import hashlib
import platform
import time
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
import pytest
from render.pages import EVIL, content, lines, put, screen, settle, shown

from openvino_xai.errors import ImageError
from openvino_xai.render.overlay import Style
from openvino_xai.render.provenance import written_at
from openvino_xai.render.report import AHEAD, write_report
from openvino_xai.render.report_image import ReportImage, fineness_for, report_image
from openvino_xai.version import __version__


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


def test_each_image_has_its_pictures_where_others_are_broken(tmp_path: Path) -> None:
    entries = lines(tmp_path, 5)
    for index in (0, 3):
        Path(entries[index]["targets"][1]["map"]).unlink()
    counts: list[int] = []
    failures = write_report(tmp_path / "report.html", entries, title="three", style=Style(), tell=counts.append)
    assert len(failures) == 2 and counts == [1, 2, 3, 4, 5]
    page = tmp_path / "report.html"
    names = [image["name"] for image in content(page)["images"]]
    assert names == ["photo001.png", "photo002.png", "photo004.png"]
    for index, number in enumerate((1, 2, 4)):
        line = next(line for line in page.read_text().splitlines() if f'id="pictures-{index}"' in line)
        photo, first, second = (base64.b64decode(part) for part in line.partition(">")[2].partition("<")[0].split())
        assert cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_GRAYSCALE)[0, 0] == pytest.approx(60 + number, abs=1)
        assert list(first[:7]) == list(second[:7][::-1]) == [0, 42, 85, 128, 170, 212, 255]


@pytest.mark.slow
def test_few_images_are_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, done, most = [0], [0], [0]

    def counted(*arguments: Any) -> ReportImage:
        begun[0] += 1
        most[0] = max(most[0], begun[0] - done[0])
        return report_image(*arguments)

    monkeypatch.setattr("openvino_xai.render.report.report_image", counted)
    entries = lines(tmp_path, 4) * 20
    write_report(tmp_path / "report.html", entries, title="80", style=Style(), tell=lambda count: done.__setitem__(0, count))
    assert begun == done == [80] and most[0] <= AHEAD + 1


@pytest.mark.slow
def test_one_map_is_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython before 3.11.5 fails at times where two threads read the headers of arrays."""
    reading, load = Lock(), np.load

    def alone(*arguments: Any, **options: Any) -> Any:
        assert reading.acquire(blocking=False)
        try:
            time.sleep(0.01)
            return load(*arguments, **options)
        finally:
            reading.release()

    entries = lines(tmp_path, 12)
    monkeypatch.setattr(np, "load", alone)
    assert not write_report(tmp_path / "report.html", entries, title="twelve", style=Style())


def test_pages_of_many_photos_have_smaller_ones(tmp_path: Path) -> None:
    assert [fineness_for(count) for count in (1, 100, 101, 1000, 1001)] == [(640, 56)] * 2 + [(360, 56)] * 2 + [(240, 28)]
    (entry,) = lines(tmp_path, 1, side=400)
    for target in entry["targets"]:
        np.save(target["map"], np.random.default_rng(0).random((50, 70), np.float32))
    image = report_image(entry, str(tmp_path), fineness_for(5000))
    assert image.facts["size"] == [240, 120] and image.facts["cells"] == [28, 28] and image.facts["pixels"] == [800, 400]
    assert [len(base64.b64decode(text)) for text in image.pictures[1:]] == [28 * 28] * 2


def test_a_watermark_of_a_class(tmp_path: Path) -> None:
    entries = lines(tmp_path, 6)
    mark = np.zeros((7, 7), np.float32)
    mark[5:, 5:] = 1
    for entry in entries[:5]:
        np.save(entry["targets"][0]["map"], mark)
    write_report(tmp_path / "report.html", entries, title="marked", style=Style())
    kinds = [[doubt["kind"] for doubt in image["suspicions"]] for image in content(tmp_path / "report.html")["images"]]
    assert ["corner" in names for names in kinds] == [True] * 5 + [False]
    (text,) = [
        doubt["text"] for doubt in content(tmp_path / "report.html")["images"][0]["suspicions"] if doubt["kind"] == "corner"
    ]
    assert "the 6 photos that are taken for cat has" in text and "in its bottom right corner" in text


def test_how_the_page_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    entries = lines(tmp_path, 2)
    for entry in entries:
        entry |= {"model": "models/a.xml", "asked": {"model_digest": "abc1", "ovxai": "0.1.0", "targets": "top:2"}}
        entry["preprocessing"] = {"fed": "RGB", "mean_values": [1.5, 2.0], "sources": {"mean_values": "--mean_values"}}
    write_report(tmp_path / "report.html", entries, title="made", style=Style(), command="ovxai explain -m 'models/a.xml'")
    shown_facts = content(tmp_path / "report.html")
    tables = {table["title"]: table["rows"] for table in shown_facts["provenance"]}
    assert shown_facts["command"] == "ovxai explain -m 'models/a.xml'"
    assert tables["Page"] == [["ovxai", __version__], ["written", "2023-11-14 22:13:20 UTC"]]
    assert ["file", "models/a.xml"] in tables["Model"] and ["digest", "abc1"] in tables["Model"]
    assert tables["Hook"][:2] == [["method", "reciprocam"], ["layer", "f"]]
    assert tables["Preprocessing"] == [["fed", "RGB", ""], ["mean_values", "1.5, 2.0", "--mean_values"]]
    assert ["numpy", np.__version__] in tables["Installed where the page was written"]
    for secret in ("hunter2", str(tmp_path), platform.node()):
        assert secret not in (tmp_path / "report.html").read_text()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "\u00b2 or never")
    assert written_at() > "2024"


@pytest.fixture(scope="module")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder / "report.html", lines(folder, 500), title="five hundred", style=Style())
    browser.get((folder / "report.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def picture(report: Any, which: int = 2) -> np.ndarray:
    """A picture as the screen shows it, without the corners; of the first card, which is wrong, there are two."""
    return screen(report, "article .picture", which)[8:-8, 8:-8]


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
