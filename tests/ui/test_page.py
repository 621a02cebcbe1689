"""The page in a browser: what a person does with a mouse, and what they do without one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from small_server import encoded, random_photo

from openvino_xai.ui.server import Server

pytestmark = pytest.mark.slow

DROP = """
const [text, name, type] = arguments, data = new DataTransfer();
data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, { type }));
const how = { dataTransfer: data, bubbles: true, cancelable: true };
for (const kind of ["dragover", "drop"]) document.getElementById("stage").dispatchEvent(new DragEvent(kind, how));
"""
FOCUS = """
const active = document.activeElement, style = getComputedStyle(active), around = active.closest(".choice, .button");
const outer = around ? getComputedStyle(around) : style;
return [active.id || active.className || active.name || active.tagName,
  [style, outer].some((it) => it.outlineStyle !== "none" && parseFloat(it.outlineWidth) >= 2)]
"""


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    browser.set_window_size(1280, 900)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(server.address)
    until(lambda: len(results(browser)) == 5)
    yield browser
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]
    outside = [url for url in urls if not url.startswith((f"http://{server.hosts[0]}/", "data:", "blob:"))]
    assert urls
    assert not outside
    assert [entry for entry in browser.get_log("browser") if "status of 4" not in entry["message"]] == []


def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """What a condition gives, once that is something."""
    deadline = time.monotonic() + seconds
    while not (outcome := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return outcome


def text(page: Any, element: str) -> str:
    return page.execute_script("return document.getElementById(arguments[0]).textContent", element)


def results(page: Any) -> list[str]:
    return page.execute_script("return [...document.querySelectorAll('#results .choice')].map((item) => item.textContent)")


def idle(page: Any) -> None:
    until(lambda: page.execute_script("return !running && !waiting && answer !== null"))


def drop(page: Any, data: bytes, name: str = "dropped.png", kind: str = "image/png") -> None:
    page.execute_script(DROP, base64.b64encode(data).decode(), name, kind)


def keys(page: Any, *pressed: str) -> None:
    from selenium.webdriver import ActionChains

    for key in pressed:
        ActionChains(page).send_keys(key).perform()


def stage(page: Any) -> np.ndarray:
    """The photo with its map, as the screen shows it."""
    png = page.find_element("id", "stage").screenshot_as_png
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)


def test_a_photo_that_is_dropped_is_explained(page: Any) -> None:
    before = results(page)
    drop(page, encoded(random_photo(40, 60)), "<img src=x onerror=document.title='broken'>.png")
    until(lambda: results(page) != before and page.execute_script("return answer?.size.join()") == "60,40")
    assert len(results(page)) == 5
    assert any("<img src=x onerror" in line for line in results(page))
    assert page.title == "small <i>.onnx - ovxai ui"
    until(lambda: "onerror" in text(page, "explain"))
    assert page.execute_script("return document.querySelectorAll('main img[src=x]').length") == 0
    assert page.execute_script("return photo.naturalWidth") == 60


def test_the_key_is_not_seen_and_the_page_can_be_loaded_again(page: Any, server: Server) -> None:
    assert page.current_url == f"http://{server.hosts[0]}/"
    page.refresh()
    until(lambda: len(results(page)) == 5)
    page.execute_script("sessionStorage.clear(); location.reload()")
    until(lambda: "open the address that `ovxai ui` printed" in text(page, "error"))
    page.get(server.address)  # in the same tab
    until(lambda: len(results(page)) == 5)


@pytest.mark.parametrize(
    ("data", "line"), [(b"no photo", "no image"), (b"", "the photo is empty"), (bytes(2**20 + 1), "make it smaller")]
)
def test_a_broken_photo_is_a_line_and_the_next_is_explained(page: Any, data: bytes, line: str) -> None:
    shown = results(page)
    drop(page, data)
    until(lambda: line in text(page, "error"))
    assert results(page) == ([] if line == "no image" else shown)  # nothing of another photo beside one that is broken
    assert page.find_element("id", "error").is_displayed()
    drop(page, encoded(random_photo(20, 50)))
    until(lambda: page.execute_script("return answer?.size.join()") == "50,20")
    assert not page.find_element("id", "error").is_displayed()


def test_a_photo_that_no_browser_shows_comes_from_the_server(page: Any) -> None:
    drop(page, encoded(random_photo(30, 50), ".tiff"), "scan.tiff", "image/tiff")
    until(lambda: page.execute_script("return photo.naturalWidth === 50 && photo.dataset.from === 'server'"))


def test_classes_are_switched_by_keyboard(page: Any) -> None:
    first = page.execute_script("return JSON.stringify(currentMap())")
    page.execute_script("document.querySelector('#results input').focus()")
    keys(page, "\ue015")  # arrow down
    assert page.execute_script("return JSON.stringify(currentMap())") != first
    assert page.execute_script("return document.activeElement.checked && document.activeElement.value === String(chosen)")
    chosen = page.execute_script("return String(chosen)")
    until(lambda: f"--targets {chosen}" in text(page, "explain") or "explain" in text(page, "explain"))


def test_the_slider_changes_the_picture(page: Any) -> None:
    idle(page)
    page.execute_script("document.getElementById('opacity').focus()")
    keys(page, "\ue011")  # home
    bare = stage(page)
    keys(page, "\ue010")  # end
    full = stage(page)
    assert np.abs(bare - full).mean() > 5
    assert full[full.shape[0] // 2, full.shape[1] // 2].max() <= 2  # the colour map of this server is black


def test_a_preset_changes_what_is_predicted_and_fed(page: Any) -> None:
    idle(page)
    before, words = results(page), text(page, "words")
    until(lambda: page.execute_script("return [...document.querySelectorAll('.seen')].every((span) => span.textContent)"))
    page.execute_script("document.querySelector('#presets input[value=imagenet]').click()")
    until(lambda: text(page, "words") != words)
    assert text(page, "words").startswith("RGB")
    assert results(page) != before
    page.execute_script(
        "document.getElementById('order').value = 'no'; document.getElementById('order').onchange({target: {value: 'no'}})"
    )
    until(lambda: text(page, "words").startswith("BGR"))


def test_a_cover_changes_the_score(page: Any) -> None:
    from selenium.webdriver import ActionChains

    idle(page)
    target = page.find_element("id", "photo")
    ActionChains(page).move_to_element_with_offset(target, -80, -60).click_and_hold().move_by_offset(60, 40).move_by_offset(
        60, 50
    ).release().perform()
    until(lambda: "points" in text(page, "change"))
    idle(page)
    first = text(page, "change")
    assert "→" in first
    page.execute_script("document.querySelector('.grip').focus()")
    keys(page, *["\ue014"] * 4)  # arrow right
    idle(page)
    until(lambda: text(page, "change") != first)
    keys(page, "\ue017")  # delete
    until(lambda: text(page, "change") == "")
    assert page.execute_script("return document.activeElement.id") == "cover"
    idle(page)


def test_covering_by_keyboard_alone(page: Any) -> None:
    idle(page)
    page.execute_script("document.getElementById('cover').focus()")
    keys(page, "\ue007")  # enter
    until(lambda: "points" in text(page, "change"))
    assert page.execute_script("return document.activeElement.className") == "grip"


def test_another_photo_while_one_is_explained(page: Any) -> None:
    drop(page, encoded(random_photo(40, 60)))
    page.execute_script("openNamed(facts.photos[0]); openNamed(facts.photos[0])")
    idle(page)
    assert page.execute_script("return [asked.photo, answer.photo, answer.size.join()]") == ["named-0", "named-0", "32,24"]


def test_what_is_seen_is_spoken(page: Any) -> None:
    idle(page)
    assert results(page)[0].startswith(text(page, "spoken").rpartition(" ")[0])
    assert page.find_element("id", "spoken").get_attribute("aria-live") == "polite"


def test_a_method_that_breaks_is_a_line(page: Any) -> None:
    idle(page)
    page.execute_script("asked.method = 'boom'; refresh()")
    until(lambda: text(page, "error") == "RuntimeError: the runtime is broken")
    page.execute_script("asked.method = 'grad_cam'; refresh()")
    until(lambda: not page.find_element("id", "error").is_displayed())
    assert page.execute_script("return answer.dear")


def test_what_takes_long_says_so_and_is_stopped(page: Any) -> None:
    idle(page)
    page.execute_script("asked.method = 'slow'; refresh()")
    until(lambda: "of 500" in text(page, "status"))
    page.find_element("id", "stop").click()
    until(lambda: text(page, "error") == "stopped")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Any) -> None:
    idle(page)
    until(lambda: len(page.find_elements("css selector", "#method option")) > 1)
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    places = set()
    for _ in range(40):
        keys(page, "\ue004")  # tab
        name, has_ring = page.execute_script(FOCUS)
        if name == "BODY":
            break
        assert has_ring, name
        places.add(name)
    controls = {"file", "camera", "opacity", "save", "cover", "fill", "preset", "order", "resize", "result", "method", "layer"}
    assert controls <= places, controls - places


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows(page: Any, width: int) -> None:
    idle(page)
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    )
    try:
        page.execute_script("document.getElementById('writing').open = true; document.getElementById('cover').click()")
        idle(page)
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_picture_that_is_saved(page: Any) -> None:
    idle(page)
    script = """
    const done = arguments[0], toBlob = HTMLCanvasElement.prototype.toBlob;
    HTMLCanvasElement.prototype.toBlob = function () {
      HTMLCanvasElement.prototype.toBlob = toBlob;
      done([this.width, this.height, ...this.getContext("2d").getImageData(16, 12, 1, 1).data]);
    };
    document.getElementById("opacity").value = 1;
    document.getElementById("save").click();
    """
    assert page.execute_async_script(script) == [32, 24, 0, 0, 0, 255]  # the colour map of this server is black


def test_the_camera(page: Any) -> None:
    idle(page)
    page.find_element("id", "camera").click()
    until(lambda: page.execute_script("return answer?.size[0] > 32 && stream !== null"))
    first = page.execute_script("return answer.photo")
    until(lambda: page.execute_script("return answer.photo !== arguments[0]", first))  # one frame after the other
    page.find_element("id", "camera").click()
    idle(page)
    assert page.execute_script("return stream === null")
    last = page.execute_script("return answer.photo")
    time.sleep(0.5)
    assert page.execute_script("return answer.photo") == last
    assert not page.find_element("id", "error").is_displayed()
