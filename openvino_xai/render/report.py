"""Explanations of many images as one page that needs nothing else: photos, maps, what is strange of them, how they were made.

Images are written as they come, so that a page of thousands needs little memory: each has an element of its own with its
pictures, which the page reads when it shows them.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from openvino_xai.errors import ImageError
from openvino_xai.files.writing import written_whole
from openvino_xai.json_text import to_json
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.overlay import Style, colour
from openvino_xai.render.provenance import provenance
from openvino_xai.render.report_image import Fineness, ReportImage, fineness_for, report_image
from openvino_xai.render.suspicion import DEFINITIONS, TITLES, Corners

SCRIPTS = ("data", "map", "card", "grid", "filter", "state", "csv", "viewer", "about", "start")  # of the page, in order
THREADS = 2
AHEAD = 8  # images that are read while others are written


def write_report(
    path: Path,
    lines: Sequence[Mapping[str, Any]],
    *,
    title: str,
    style: Style,
    command: str = "",
    tell: Callable[[int], None] = lambda done: None,
) -> list[ImageError]:
    """Write a page for lines of `explanations.jsonl`, whole or not at all; what is wrong with the images that it does not show.

    `command` is the command line that the page shows; `tell` takes how many images are done. Raises ImageError where the page
    would show none.
    """
    head, tail = _page().split("@PICTURES@")
    before, after = tail.split("@DATA@")
    failures: list[ImageError] = []
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(head)
        images = _write_pictures(file, lines, failures, tell)
        if not images:
            raise failures[0]
        content = {
            "title": title,
            "how": _how(lines[0]),
            "command": command,
            "provenance": provenance(lines[0]),
            "scale": lines[0]["hook"].get("scale", ""),
            "opacity": style.opacity,
            "colormap": base64.b64encode(colour(np.arange(256) / 255, style.colormap).tobytes()).decode(),
            "suspicions": {kind: {"title": TITLES[kind], "definition": DEFINITIONS[kind]} for kind in TITLES},
            "images": images,
        }
        file.write(before + to_json(content).replace("<", "\\u003c") + after)  # no label ends the script
    return failures


def _write_pictures(
    file: TextIO, lines: Sequence[Mapping[str, Any]], failures: list[ImageError], tell: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Write the pictures of each image, and add to `failures` what is wrong with others; the facts of those written."""
    images: list[dict[str, Any]] = []
    corners, labels = Corners(), {}
    for done, outcome in enumerate(_outcomes(lines), start=1):
        if isinstance(outcome, ImageError):
            failures.append(outcome)
        else:
            if outcome.best is not None:
                best = outcome.facts["predictions"][0]
                labels[best["id"]] = best["label"]
                corners.add(len(images), best["id"], outcome.best)
            file.write(f'<script type="text/plain" id="pictures-{len(images)}">{" ".join(outcome.pictures)}</script>\n')
            images.append(outcome.facts)
        tell(done)
    for index, doubt in corners.suspicions(labels).items():
        images[index]["suspicions"].append(asdict(doubt))
    return images


def _outcomes(lines: Sequence[Mapping[str, Any]]) -> Iterator[ReportImage | ImageError]:
    """What each line comes to, in order; a few are worked on ahead."""
    folder = os.path.commonpath([Path(line["image"]).absolute().parent for line in lines])
    fineness = fineness_for(len(lines))
    waiting: deque[Future[ReportImage | ImageError]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for line in lines:
            waiting.append(pool.submit(_outcome, line, folder, fineness))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _outcome(line: Mapping[str, Any], folder: str, fineness: Fineness) -> ReportImage | ImageError:
    try:
        with blamed_on(Path(line["image"])):
            return report_image(line, folder, fineness)
    except ImageError as error:
        return error


def _how(line: Mapping[str, Any]) -> str:
    hook, fed = line["hook"], line.get("preprocessing", {}).get("fed")
    words = [f"{key} {hook[key]}" for key in ("method", "layer", "score", "precision") if key in hook]
    return ", ".join([*words, f"fed {fed}"] if fed else words)


def _page() -> str:
    """The page without what it shows. Its policy names the digests of its one style and its one script: no others run."""
    parts = files("openvino_xai.render").joinpath("page")
    style = parts.joinpath("report.css").read_text(encoding="utf-8")
    script = "".join(parts.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    page = parts.joinpath("report.html").read_text(encoding="utf-8")
    page = page.replace("@STYLE_DIGEST@", _digest(style)).replace("@SCRIPT_DIGEST@", _digest(script))
    return page.replace("@STYLE@", style).replace("@SCRIPT@", script)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
