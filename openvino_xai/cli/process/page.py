"""Open the page that a child process serves: in the parent, because the child's limits would be the browser's, too."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path

from openvino_xai.files.watch import noted_page

LOCAL = "http://127.0.0.1:"


class PageOpener:
    """Opens the page of a child once, when the child says where it is."""

    def __init__(self, watch: Path) -> None:
        self._watch = watch
        self._is_open = False

    def look(self) -> None:
        """Open the page, if there is one that is not open yet."""
        if self._is_open or not (address := noted_page(self._watch)):
            return
        self._is_open = True
        if address.startswith(LOCAL) and has_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # some browsers are waited for


def has_screen() -> bool:
    """Whether a browser would have a window: one of text would take the terminal."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
