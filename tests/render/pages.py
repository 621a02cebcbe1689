"""Photos, explained by hand, for pages that tests look at, and a browser's controls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openvino_xai.explanation import Explanation, Prediction

STEADY = 3  # pictures of the screen that are the same
EVIL = "</script><script>document.title='broken'</script>"
LABELS = ["cat", "dog & <b>co</b>", EVIL]


def explained(
    folder: Path,
    name: str,
    *,
    labels: tuple[str, ...] = tuple(LABELS),
    truth: int = 0,
    grey: int = 60,
    side: int = 48,
    share: float = 0.7,
) -> dict[str, Any]:
    """A line for a photo of one grey, of twice its height: the map of the second class is that of the first, turned."""
    path = folder / f"{name}.png"
    cv2.imencode(".png", np.full((side, side * 2, 3), grey, np.uint8))[1].tofile(path)
    shares = (share, 1 - share, 0.0)
    ranked = tuple(Prediction(index, label, shares[index]) for index, label in enumerate(labels))
    saliency = np.tile(np.linspace(0, 1, 7, dtype=np.float32), (7, 1))
    maps = np.stack([saliency, saliency[:, ::-1]])
    record = {"method": "reciprocam", "layer": "f", "precision": "f32"}
    explanation = Explanation(
        np.zeros((side, side * 2, 3), np.uint8), ranked, ranked[:2], maps, (0, 0, side * 2, side), record, path
    )
    files = explanation.save(folder / "maps", name[:8])
    entry = explanation.to_dict()
    entry["targets"] = [{**target, **paths} for target, paths in zip(entry["targets"], files, strict=True)]
    entry["label"] = {"id": truth, "label": labels[truth]}
    return entry


def lines(folder: Path, count: int, side: int = 48) -> list[dict[str, Any]]:
    """Explained photos, each third taken for another class."""
    rng = np.random.default_rng(0)
    return [
        explained(
            folder,
            f"photo{number:03}",
            truth=int(number % 3 == 0),
            grey=60 + number % 100,
            side=side,
            share=0.5 + 0.4 * rng.random(),
        )
        for number in range(count)
    ]


def content(page: Path) -> dict[str, Any]:
    """What the page shows, as it holds it."""
    text = page.read_text(encoding="utf-8")
    return json.loads(text.rpartition('<script id="data" type="application/json">')[2].partition("</script>")[0])


def shown(report: Any) -> list[str]:
    """The names of all images that are not filtered out, in order; those on the screen have cards in this order."""
    names = report.execute_script("return layout.shown.map(({ image }) => image.name)")
    cards = [item.get_attribute("textContent") for item in report.find_elements("css selector", "#grid .name")]
    assert cards == report.execute_script("return arguments[0].map(short)", names[: len(cards)])
    assert cards if names else not cards
    return names


def settle(report: Any) -> None:
    """Wait until the page has been drawn twice."""
    report.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")


def put(report: Any, control: str, value: str) -> None:
    script = """const [control, value] = arguments; const found = document.getElementById(control); found.value = value;
    found.dispatchEvent(new Event("input")); found.dispatchEvent(new Event("change"))"""
    report.execute_script(script, control, value)


def screen(report: Any, selector: str, which: int = 0) -> np.ndarray:
    """An element as the screen shows it, RGB, looked at until it stays: a busy machine shows what was there a little longer."""
    element, last, count = report.find_elements("css selector", selector)[which], b"", 0
    for _ in range(STEADY * 10):
        settle(report)
        shot = element.screenshot_as_png
        count, last = (count + 1 if shot == last else 1), shot
        if count == STEADY:
            break
    return cv2.imdecode(np.frombuffer(last, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
