"""The report in a browser's hands: the keyboard, the viewer, the address, the table, narrow screens, and hostile names."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from render.pages import explained, lines, put, screen, settle, shown

from openvino_xai.render.overlay import Style
from openvino_xai.render.report import write_report

ESCAPE, TAB, ENTER, LEFT, UP, RIGHT, DOWN = "\ue00c", "\ue004", "\ue007", "\ue012", "\ue013", "\ue014", "\ue015"
KEYS = ("opacity", "target", "size", "text", "low", "high", "outcome", "sort")  # of controls
HOSTILE = (
    "</script><script>document.title='broken'</script>",
    "<!--<script>",
    "\"'`${document.title='broken'}",
    "two\r\nlines\u2028three",
    "\u202egnp.tac\u202c\u2066",
    '=HYPERLINK("http://there","here")',
    "x" * 10_000,
    "@DATA@ @PICTURES@ @SCRIPT@",
    "\x1b[31m\x00&lt;b&gt;",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    path = folder / "report.html"
    write_report(path, lines(folder, 60), title="sixty", style=Style(), command="ovxai explain 'a b'")
    return path


@pytest.fixture
def report(browser: Any, page: Path) -> Any:
    browser.get("about:blank")
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []


def press(report: Any, *keys: str) -> None:
    """Keys, as whatever has the focus gets them."""
    for key in keys:
        report.switch_to.active_element.send_keys(key)
        settle(report)


def tab(report: Any, *, shift: bool) -> None:
    """The key, as the browser itself gets it, so that it moves the focus."""
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9, "modifiers": 8 if shift else 0}
    for kind in ("rawKeyDown", "keyUp"):
        report.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, **key})
    settle(report)


def focus(report: Any) -> str:
    return report.execute_script("return document.activeElement.id || document.activeElement.textContent")


def opened(report: Any) -> str:
    """The name of the photo in the viewer; none where it is closed."""
    return report.execute_script("return at('viewer').open ? at('viewer-name').textContent : ''")


def hash_of(report: Any) -> str:
    """What the address says, once it is written."""
    report.execute_script("clearTimeout(timer); writeHash()")
    return report.execute_script("return location.hash")


@pytest.mark.slow
def test_the_keyboard_suffices(report: Any) -> None:
    style = (
        "const { outlineStyle: style, outlineWidth: width } = getComputedStyle(document.activeElement); return [style, width]"
    )
    names, stops = shown(report), ["title"]
    for _ in range(60):
        tab(report, shift=False)
        stops.append(focus(report))
        assert report.execute_script(style) == ["solid", "3px"]
        if stops[-1] in names:
            break
    assert stops[-1] == names[0]
    assert [*KEYS, "csv"] == [stop for stop in stops if stop in (*KEYS, "csv")]  # in the order of the page
    press(report, RIGHT)
    assert focus(report) == names[1]
    press(report, *[DOWN] * 8)  # further than there were cards at first
    columns = report.execute_script("return layout.columns")
    assert columns > 1 and focus(report) == names[1 + 8 * columns]
    place = report.execute_script(
        "const { top, bottom } = document.activeElement.getBoundingClientRect(); return [top, innerHeight - bottom]"
    )
    assert min(place) > 0
    press(report, UP, LEFT)
    assert focus(report) == names[7 * columns]
    press(report, "\ue010")  # end
    assert focus(report) == names[-1]
    press(report, "\ue011")  # home
    assert focus(report) == names[0]


@pytest.mark.slow
def test_one_photo_large(report: Any) -> None:
    names = shown(report)
    put(report, "sort", "most")
    ranked = shown(report)
    assert ranked != names
    report.execute_script("focusItem(layout.shown[3])")
    press(report, ENTER)
    assert opened(report) == ranked[3] and report.find_element("id", "viewer-place").text == "4 of 60"
    press(report, RIGHT, RIGHT, LEFT)
    assert opened(report) == ranked[4]
    press(report, *[LEFT] * 6)
    assert opened(report) == ranked[0]  # the first
    for shift in (False, True):
        stops = []
        for _ in range(12):
            tab(report, shift=shift)
            stop = "return at('viewer').contains(document.activeElement) && (document.activeElement.id || 'map')"
            stops.append(report.execute_script(stop))
        assert all(stops) and {"viewer-close", "wipe", "bare", "viewer-on"} < set(stops)
    report.execute_script("at('viewer-close').focus()")
    press(report, RIGHT, ESCAPE)
    assert opened(report) == "" and focus(report) == ranked[1]


@pytest.mark.slow
def test_a_finger_leads_on(report: Any) -> None:
    names = shown(report)
    report.execute_script("openViewer(items[1])")
    script = """const [kind, x, y] = arguments, target = at("viewer-card");
    const touch = new Touch({ identifier: 1, target, clientX: x, clientY: y });
    target.dispatchEvent(new TouchEvent(kind, { touches: kind === "touchend" ? [] : [touch], changedTouches: [touch] }))"""
    for across, down, index in ((-100, 10, 2), (100, 10, 1), (30, 0, 1), (100, 200, 1), (100, 0, 0)):
        report.execute_script(script, "touchstart", 200, 200)
        report.execute_script(script, "touchend", 200 + across, 200 + down)
        assert opened(report) == names[index]


@pytest.mark.slow
def test_the_photo_with_its_map_and_without(report: Any) -> None:
    put(report, "opacity", "1")
    report.execute_script("openViewer(items[1])")
    full = picture_in_viewer(report)
    assert full[60, 20, 2] > full[60, 20, 0] + 50 and full[60, -20, 0] > full[60, -20, 2] + 50  # jet
    put(report, "wipe", "0")
    bare = picture_in_viewer(report)
    assert np.ptp(bare, axis=(0, 1)).max() <= 2
    put(report, "wipe", "50")
    half = picture_in_viewer(report)
    np.testing.assert_allclose(half[:, : -half.shape[1] // 2 - 8], bare[:, : -half.shape[1] // 2 - 8], atol=3)
    np.testing.assert_allclose(half[:, half.shape[1] // 2 + 8 :], full[:, half.shape[1] // 2 + 8 :], atol=3)
    put(report, "wipe", "100")
    for start, stop in (("pointerdown", "pointerup"), ("pointerdown", "pointerleave")):
        report.execute_script("at('bare').dispatchEvent(new PointerEvent(arguments[0]))", start)
        np.testing.assert_array_equal(picture_in_viewer(report), bare)
        report.execute_script("at('bare').dispatchEvent(new PointerEvent(arguments[0]))", stop)
        np.testing.assert_array_equal(picture_in_viewer(report), full)
    for event, pixels in {"keydown": bare, "keyup": full}.items():
        report.execute_script("at('bare').dispatchEvent(new KeyboardEvent(arguments[0], { key: ' ' }))", event)
        np.testing.assert_array_equal(picture_in_viewer(report), pixels)


def picture_in_viewer(report: Any) -> np.ndarray:
    return screen(report, "#viewer .picture")[8:-8, 8:-8]


@pytest.mark.slow
def test_a_link_leads_to_the_same(report: Any, page: Path) -> None:
    put(report, "text", "photo")
    put(report, "outcome", "wrong")
    put(report, "sort", "least")
    put(report, "target", "1")
    put(report, "low", "55")
    put(report, "size", "180")
    report.execute_script("openViewer(layout.shown[2])")
    names, name, address = shown(report), opened(report), hash_of(report)
    assert 0 < len(names) < 20 and name == names[2]
    report.get("about:blank")
    report.get(page.as_uri() + address)
    assert shown(report) == names and opened(report) == name and hash_of(report) == address
    captions = [item.text for item in report.find_elements("css selector", "article figcaption")]
    assert captions[0].startswith("dog")
    report.execute_script("location.hash = '#outcome=right'")  # by hand: what is not said is as at first
    settle(report)
    assert len(shown(report)) == 40 and opened(report) == "" and hash_of(report) == "#outcome=right"
    report.execute_script("location.hash = ''")
    settle(report)
    assert len(shown(report)) == 60 and hash_of(report) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "address",
    [
        "#photo=-1&sort=__proto__&outcome=constructor&target=99&low=NaN&high=1e999&opacity=7&size=-5&finding=toString",
        "#photo=999999999999&low=&high=1e2&sort=",
        "#photo=0&photo=1;&%00=%00&%E0%A4%A=%",
        f"#nonsense={'a' * 5000}",
        f"#{quote('photo=<img src=x onerror=alert(1)>')}",
        "#__proto__=1&constructor=2",
    ],
)
def test_a_hostile_address_changes_nothing_bad(report: Any, page: Path, address: str) -> None:
    report.get("about:blank")
    report.get(page.as_uri() + address)
    values = report.execute_script("return Object.fromEntries(KEYS.map((key) => [key, at(key).value]))")
    assert values["sort"] == "order" and values["outcome"] == "all" and values["target"] == "0" and values["finding"] == ""
    assert float(values["opacity"]) in (0.5, 1) and 140 <= float(values["size"]) <= 640
    assert 0 <= float(values["low"]) <= float(values["high"]) <= 100
    assert opened(report) == "" and report.title == "ovxai report"
    assert shown(report)


@pytest.mark.slow
def test_a_long_filter_from_an_address_is_cut_off(report: Any, page: Path) -> None:
    report.get("about:blank")
    report.get(f"{page.as_uri()}#text={'a' * 5000}")
    assert report.execute_script("return [at('text').value.length, at('count').textContent]") == [200, "0 of 60 images"]


@pytest.mark.slow
def test_a_filter_that_leaves_nothing_is_taken_back(report: Any) -> None:
    put(report, "text", "no such label")
    put(report, "low", "99")
    assert shown(report) == [] and "No photo is left" in report.find_element("id", "none").text
    report.find_element("id", "all").click()
    assert len(shown(report)) == 60 and not report.find_element("id", "none").is_displayed()
    assert focus(report) == "text" and hash_of(report) == ""


@pytest.mark.slow
def test_the_command_line_is_copied(report: Any) -> None:
    report.execute_script("at('made').open = true")
    assert report.find_element("css selector", "#command pre").text == "ovxai explain 'a b'"
    report.find_element("id", "copy").click()
    settle(report)
    assert report.find_element("id", "copy").text == "copied"
    facts = report.find_element("id", "provenance").text
    for words in ("reciprocam", "written", "numpy", "Python"):
        assert words in facts


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(browser: Any, hostile: Path) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.get(hostile.as_uri())
        browser.execute_script("for (const panel of document.querySelectorAll('details')) panel.open = true")
        settle(browser)
        widest = """const nodes = [...document.querySelectorAll("body *")].filter((node) => !node.closest(".picture, .wide"));
        return Math.max(...nodes.map((node) => node.getBoundingClientRect().right))"""
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
        assert browser.execute_script(widest) <= 390
        browser.execute_script("openViewer(items[0])")
        settle(browser)
        assert browser.execute_script(widest) <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on which all that can be a stranger's words is: labels, names of files, the hook, preprocessing, the command."""
    folder = tmp_path_factory.mktemp("hostile")
    entries = []
    for number, text in enumerate(HOSTILE):
        name = text.replace("/", "_").replace("\0", "_")[:200]
        entry = explained(folder, f"{number}{name}", labels=(text, f"{text}2"), truth=number % 2)
        entries.append({**entry, "preprocessing": {"fed": text, "sources": {text: text}, text: [text, 1]}})
    entries[0]["hook"] = {"method": HOSTILE[0], "scale": "toString", **{text: text for text in HOSTILE}}
    entries[0]["asked"] = {"model_digest": HOSTILE[1], "targets": HOSTILE[2]}
    path = folder / "report.html"
    assert write_report(path, entries, title="".join(HOSTILE), style=Style(), command=" ".join(HOSTILE)) == []
    return path


@pytest.mark.slow
def test_hostile_words_are_text(browser: Any, hostile: Path) -> None:
    browser.get("about:blank")
    browser.get(hostile.as_uri())
    text = hostile.read_text(encoding="utf-8")
    assert not any(words in text for words in HOSTILE if set(words) & set("<\r\u2028\u202e\x1b"))
    assert browser.title == "ovxai report" and len(shown(browser)) == len(HOSTILE)
    scrolled = "return [...document.querySelectorAll('#grid .entries')].map((list) => list.offsetWidth - list.clientWidth)"
    assert set(browser.execute_script(scrolled)) == {0}  # the cards are as high as their lists
    markup = "return [document.scripts.length, document.querySelectorAll('h1 *, b *, td *, pre *, h2 *, .name *').length]"
    for index in range(len(HOSTILE)):
        browser.execute_script("openViewer(items[arguments[0]])", index)
        label = browser.execute_script("return document.querySelector('#viewer .entries b').textContent")
        assert label == browser.execute_script("return plain(items[arguments[0]].image.predictions[0].label)", index)
        assert not set(label) & set("\r\n\u2028\u202e\u2066\x1b\x00")
        assert len(label) >= len(HOSTILE[index])
    scripts, elements = browser.execute_script(markup)
    assert scripts == len(HOSTILE) + 2
    assert elements == browser.execute_script(
        "return document.querySelectorAll('#wrong td button, h1 > span, h1 > small').length"
    )
    rows = table(browser)
    assert {row["predicted"].removeprefix("'") for row in rows} == set(HOSTILE)
    assert browser.get_log("browser") == []


def table(report: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.execute_script("return csvText()"), newline=""), strict=True))


@pytest.mark.slow
def test_the_table_holds_what_is_shown(report: Any) -> None:
    put(report, "outcome", "wrong")
    put(report, "sort", "least")
    text, rows = report.execute_script("return csvText()"), table(report)
    assert text.endswith("\r\n") and text.count("\n") == text.count("\r\n") == len(rows) + 1
    assert list(dict.fromkeys(row["image"] for row in rows)) == shown(report)
    first = rows[0]
    assert first.keys() >= {"image", "label", "predicted", "probability", "target", "suspicious"}
    assert (first["predicted"], first["label"], first["correct"]) == ("cat", "dog & <b>co</b>", "false")
    assert [row["target"] for row in rows[:2]] == ["cat", "dog & <b>co</b>"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" \t=1", "' \t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\r=1", '"\'\r=1"'),
        ('a "b", c', '"a ""b"", c"'),
        ("a\nb", '"a\nb"'),
        ("plain", "plain"),
        (0.5, "0.5"),
        (-1, "-1"),
        (None, ""),
    ],
)
def test_cells_are_no_formulas(report: Any, value: object, cell: str) -> None:
    assert report.execute_script("return csvCell(arguments[0])", value) == cell


@pytest.mark.slow
def test_the_table_is_saved(report: Any, tmp_path: Path) -> None:
    report.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    report.find_element("id", "csv").click()
    for _ in range(100):
        settle(report)
        if (tmp_path / "report.csv").exists():
            break
    assert (tmp_path / "report.csv").read_bytes().decode() == report.execute_script("return csvText()")


@pytest.mark.slow
def test_what_the_model_did_not_see_is_dark(browser: Any, tmp_path: Path) -> None:
    entries = lines(tmp_path, 2)
    entries[1]["box"] = [24, 0, 72, 48]  # the middle of 96 columns
    write_report(tmp_path / "report.html", entries, title="cropped", style=Style(opacity=0.0))
    browser.get((tmp_path / "report.html").as_uri())
    pixels = screen(browser, "article .picture", 2)
    middle = pixels.shape[1] // 2
    assert pixels[30, middle].mean() == pytest.approx(61, abs=2)
    assert pixels[30, middle // 4].mean() == pytest.approx(pixels[30, -middle // 4].mean(), abs=2) == pytest.approx(28, abs=2)
    assert browser.find_element("id", "unseen").text == "not seen by the model"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "words"), [("unit", "0..1 (unit)"), ("u8", "bytes 0..255 (u8)"), ("none", "own values (none)"), ("", "")]
)
def test_the_legend_tells_the_scale(browser: Any, tmp_path: Path, scale: str, words: str) -> None:
    entries = lines(tmp_path, 2)
    for entry in entries:
        entry["hook"] = {**entry["hook"], "scale": scale}
        for target in entry["targets"]:
            np.save(target["map"], np.load(target["map"]) * 3 - 1)
    write_report(tmp_path / "report.html", entries, title="scaled", style=Style())
    browser.get((tmp_path / "report.html").as_uri())
    text = browser.find_element("id", "scale").text
    assert words in text and "0 is the lowest value of a map and 1 its highest" in text
    settle(browser)
    caption = browser.find_element("css selector", "article figcaption").text
    assert ("values -1.00 to 2.00" in caption) == (scale == "none")


@pytest.mark.slow
def test_suspicious_maps_are_said_and_sorted(browser: Any, tmp_path: Path) -> None:
    entries = lines(tmp_path, 9)
    ring = np.ones((7, 7), np.float32)
    ring[1:-1, 1:-1] = 0
    np.save(entries[4]["targets"][1]["map"], ring)
    for target in entries[7]["targets"]:
        np.save(target["map"], np.zeros((7, 7), np.float32))
    write_report(tmp_path / "report.html", entries, title="doubts", style=Style())
    browser.get((tmp_path / "report.html").as_uri())
    put(browser, "sort", "suspicious")
    assert shown(browser)[:2] == ["photo004.png", "photo007.png"]
    put(browser, "finding", "border")
    assert shown(browser) == ["photo004.png"]
    assert [item.text for item in browser.find_elements("css selector", "article .doubt")] == ["on the border"]
    put(browser, "finding", "suspicious")
    assert len(shown(browser)) == 2
    browser.execute_script("openViewer(items[4])")
    (doubt,) = browser.find_elements("css selector", "#viewer .doubt")
    assert doubt.text == "on the border: 100% of the map lies in its outermost cells, 49% of what the model saw."
    browser.execute_script("at('viewer').close(); at('suspicious').open = true")
    definitions = browser.find_element("id", "suspicious").text
    assert "Maps of 2 of 9 images are suspicious" in definitions and "excess of at least 0.5" in definitions
    assert [row["suspicious"] for row in table(browser)] == ["on the border"] * 2 + ["constant map"] * 2


@pytest.mark.slow
def test_thousands_of_photos_are_one_page(browser: Any, tmp_path: Path) -> None:
    entries = lines(tmp_path, 20, side=240) * 250
    counts: list[int] = []
    write_report(tmp_path / "report.html", entries, title="many", style=Style(), tell=counts.append)
    assert counts == list(range(1, 5001))
    milliseconds = []
    for _ in range(3):  # a busy machine takes longer, and none less than the page needs
        browser.get("about:blank")
        browser.get((tmp_path / "report.html").as_uri())
        settle(browser)
        milliseconds.append(browser.execute_script("return performance.now()"))
    assert min(milliseconds) < 3000
    assert browser.execute_script("return items.length") == 5000 and len(shown(browser)) == 5000
    for share in (0.37, 1):
        browser.execute_script("scrollTo(0, document.documentElement.scrollHeight * arguments[0])", share)
        settle(browser)
        visible = """const places = visibleCards().map(({ item, root }) => [item.order, root.getBoundingClientRect()]);
        return places.filter(([, { top, bottom }]) => top < innerHeight && bottom > 0).map(([order]) => order)"""
        orders = browser.execute_script(visible)
        assert orders and orders == list(range(orders[0], orders[-1] + 1))
        assert browser.execute_script("return document.querySelectorAll('article').length") < 100
    assert orders[-1] == 4999
