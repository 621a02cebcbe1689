"""The photos that a page shows: each with its map, its figures, and its own curves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.report.marks import text
from openvino_xai.evaluate.report.plots import curve_plot
from openvino_xai.evaluate.report.series import METHOD, MeanCurve
from openvino_xai.evaluate.report.traces import map_of
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.overlay import drawn
from openvino_xai.render.photo import read_photo

SIDE = 260  # pixels of the longer side of a picture
QUALITY = 85


def card(
    row: Mapping[str, Any],
    name: str,
    reason: str,
    label: Callable[[int], str],
    methods: Mapping[str, Mapping[str, Any]],
) -> str:
    """A photo beside the maps of `methods`, which are rows by name, with the `reason` why it is shown.

    Of a photo that cannot be read any more it says why not.
    """
    try:
        with blamed_on(Path(row["image"])):
            pictures = "".join(_img(picture, alt) for picture, alt in _pictures(row, name, methods))
    except (ImageError, InputError) as error:
        pictures = f'<p class="doubt">{text(error)}</p>'
    name_of_target = label(row["target"]) + (f", not {label(row['other'])}" if "other" in row else "")
    facts = [f"{text(name_of_target)}, score {row['score']:.3f}", text(reason)]
    if row["predicted"] != row["target"]:
        facts.insert(1, f"taken for {text(label(row['predicted']))}")
    figures = ", ".join(f"{metric.replace('_', ' ')} {value:.3f}" for metric, value in row["metrics"].items())
    caption = f"<b>{text(name)}</b><br>{'<br>'.join(facts)}<details><summary>all figures</summary>{text(figures)}</details>"
    curves = _curves(list(methods.values()), name)
    return f'<figure><div class="pictures">{pictures}</div><figcaption>{caption}</figcaption>{curves}</figure>'


def _curves(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    plots = []
    for metric, by_source in rows[0]["trace"].get("curves", {}).items():
        beside = [row["trace"]["curves"][metric][METHOD] for row in rows[1:]]
        curves = [MeanCurve(np.array(curve, np.float64), None) for curve in (*by_source.values(), *beside)]
        plots.append(curve_plot(curves, f"{metric} of {name}", size=(230, 150), axes=(metric, "score")))
    return f'<div class="pictures">{"".join(plots)}</div>' if plots else ""


def _pictures(row: Mapping[str, Any], name: str, methods: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[np.ndarray, str]]:
    photo = read_photo(Path(row["image"]))
    height, width = photo.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    pictures = [(small, name)]
    for method, other in methods.items():
        x0, y0, x1, y1 = other["trace"]["box"]
        across, down = size[0] / width, size[1] / height
        box = x0 * across, y0 * down, x1 * across, y1 * down
        pictures.append((drawn(small, map_of(other["trace"]), box), method))
    return pictures


def _img(picture: np.ndarray, alt: str) -> str:
    data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    source = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return f'<div><img alt="{text(alt)}" src="{source}"><small>{text(alt)}</small></div>'
