"""`ovxai ui`: a local page that shows whether a model looks at the right thing, and whether it is fed rightly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_xai.cli.options import (
    LayerOptions,
    ModelPath,
    NetworkOptions,
    ProbeOptions,
    Similarity,
    find_photos,
    takes_options,
)
from openvino_xai.cli.options.words import Word
from openvino_xai.cli.page.command_lines import command_lines
from openvino_xai.cli.page.start import Start
from openvino_xai.cli.text import say, warn
from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.ui.choices import Choices
    from openvino_xai.ui.server import Server
    from openvino_xai.ui.session import Session

FIRST_PORT, PORTS = 8765, 20  # the port that is tried first, and how many
_AGAINST = "Another photo, for models whose output is a vector: each photo is explained by its similarity to that one."
_PORT = f"The port on this machine; by default {FIRST_PORT}, or the next that is free."


@takes_options
def ui(
    model: ModelPath,
    options: LayerOptions,
    probing: ProbeOptions,
    running: NetworkOptions,
    photos: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="A photo, a folder or a pattern; repeatable."), Word("PHOTO", None)
    ] = None,
    against: Annotated[Path | None, typer.Option(help=_AGAINST, rich_help_panel="Vectors")] = None,
    similarity: Similarity = None,
    port: Annotated[int | None, typer.Option(help=_PORT, min=0, max=65535)] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Look at a model in the browser: where it looks, and what it is fed.

    A page on this machine alone: drop a photo or take the camera; see the classes or boxes, the map of each, and the network's
    own input; change the preprocessing, the method and the layer; cover a part of the photo, and see what the score does.

    It runs until Ctrl-C. Photos stay on this machine, and no file is written.
    """
    from openvino_xai.files.watch import beat, note_page
    from openvino_xai.ui.choices import Choices
    from openvino_xai.ui.server import POLL
    from openvino_xai.ui.session import Session

    paths = find_photos(photos) if photos else []
    if similarity is not None and against is None:
        raise InputError(
            f"similarity '{similarity}' is for vectors, which are explained against another photo", options=("against",)
        )
    start = Start(model, options, probing, running.resolved(model, options), against, similarity)
    warn(f"making a hook for {model}, and compiling it")
    session = Session(start.load, paths, against=against, feeding=start.running.values(), alive=beat)
    choices = Choices(
        model,
        options.where(),
        insert=start.insert,
        layers=start.layers,
        of_vectors=against is not None,
        alive=beat,
    )
    with _server(port, partial(_serving, start, session, choices, beat)) as server:
        say(server.address)
        warn("the address above is the page; Ctrl-C ends it")
        if browser:
            note_page(server.address)
        try:
            server.serve_forever(POLL)
        except KeyboardInterrupt:
            warn("the page is closed")
            raise


def _serving(start: Start, session: Session, choices: Choices, alive: Callable[[], None], port: int) -> Server:
    """The server on a port. Raises InputError."""
    from openvino_xai.render.overlay import OVERLAY
    from openvino_xai.runtime.inputs.presets import PRESETS
    from openvino_xai.runtime.preprocessing import RESIZED
    from openvino_xai.ui.server import LARGEST, Server
    from openvino_xai.ui.session import AGAINST
    from openvino_xai.ui.shown import colours

    first = session.first
    state = {
        "model": start.model,
        "photos": [{"id": name, "name": path.name} for name, path in session.photos.items()],
        "labels": [first.label(k) for k in range(first.classes)],
        "usual": "as started" if start.running.values() else "its own",
        "against": None if start.against is None else {"id": AGAINST, "name": start.against.name},
        "presets": list(PRESETS),
        "resizes": dict(RESIZED),
        "colours": colours(OVERLAY.colormap),
        "opacity": OVERLAY.opacity,
        "largest": LARGEST,
        "precision": f"{first.precision} on {first.device}",
    }
    return Server(
        session,
        port,
        state=lambda: state,
        choices=choices,
        commands=partial(command_lines, start, session.photos),
        tell=warn,
        alive=alive,
    )


def _server(port: int | None, serving: Callable[[int], Server]) -> Server:
    """The server on the port that is named, or on the first that is free. Raises InputError."""
    if port is not None:
        return serving(port)
    for tried in range(FIRST_PORT, FIRST_PORT + PORTS):
        try:
            return serving(tried)
        except InputError:
            continue
    return serving(0)
