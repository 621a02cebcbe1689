"""Pictures behind a switch, as a piece of HTML that stands alone: no script, no network, and nothing outside is styled."""

from __future__ import annotations

import base64
import html
import secrets
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from openvino_xai.render.photo import png
from openvino_xai.tables import shown

MOST = 24  # pictures: a notebook keeps them all in its file
SIDE, SMALLEST = 480, 200  # pixels that the longer side is shown with, at most and at least
QUALITY = 90


class Tile(NamedTuple):
    """A picture [H, W, 3] of RGB bytes, and what is said of it."""

    picture: np.ndarray
    caption: str


def switch(tiles: Iterable[Tile]) -> str:
    """A button for each picture, which shows it; without style sheets all are shown. What there is no room for is told."""
    prefix = f"ovxai-{secrets.token_hex(6)}"  # of this piece: a page may hold many
    listed = list(islice(tiles, MOST + 1))
    more = "<p>and more, which grid() draws</p>" if len(listed) > MOST else ""
    buttons, pictures, rules = [], [], []
    for place, tile in enumerate(listed[:MOST]):
        caption = html.escape(shown(tile.caption))
        checked = " checked" if not place else ""
        button = f"{prefix}-{place}"
        buttons.append(f'<input type="radio" name="{prefix}" id="{button}"{checked}><label for="{button}">{caption}</label>')
        width, source = _encoded(tile.picture)
        pictures.append(f'<img class="{prefix}-{place}" alt="{caption}" width="{width}" src="{source}">')
        rules.append(f"#{prefix}-{place}:checked~div img.{prefix}-{place}{{display:inline}}")
    if len(listed) == 1:
        return f"<div><div>{caption}</div><div>{pictures[0]}</div></div>"
    style = f".{prefix} label{{margin:0 1em 0 .25em}}.{prefix}>div img{{display:none}}{''.join(rules)}"
    return f'<div class="{prefix}"><style>{style}</style>{"".join(buttons)}<div>{"".join(pictures)}</div>{more}</div>'


def _encoded(picture: np.ndarray) -> tuple[int, str]:
    """The width that a picture is shown with, in pixels, and the picture as a data URI."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    side = min(max(longer, SMALLEST), SIDE)
    if longer > side:
        size = max(1, round(width * side / longer)), max(1, round(height * side / longer))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    kind, content = ("jpeg", data.tobytes()) if done else ("png", png(picture))
    return max(1, round(width * side / longer)), f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
