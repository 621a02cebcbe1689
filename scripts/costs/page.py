"""What a frame of `ovxai ui` costs: a new photo sent to the page's server, over plain inference of the same photo, in turn.

    python scripts/costs/page.py MODEL PHOTO [...]

Both decode the photo and make the model's input of it, in one process, in f32. A frame comes with predictions, maps and the
network's input as a picture; it goes through a socket.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from openvino_xai.cli.options import LayerOptions, NetworkOptions, ProbeOptions
from openvino_xai.cli.page.start import Start
from openvino_xai.dialects.open import open_model
from openvino_xai.render.photo import decode_photo
from openvino_xai.ui.server import KEY, Server
from openvino_xai.ui.session import Session

ITERATIONS = 40


def framing(server: Server, photo: bytes) -> Callable[[], dict[str, Any]]:
    """A function that asks the server about a photo that it has never seen."""
    headers = {"Origin": f"http://{server.hosts[0]}", KEY: server.key}

    def frame() -> dict[str, Any]:
        connection = http.client.HTTPConnection(*server.hosts[0].split(":"))
        connection.request("POST", "/explain", b"{}\n" + photo, headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return dict(json.loads(content))

    return frame


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(model: str, photos: list[str]) -> None:
    session = Session(Start(model, LayerOptions(), ProbeOptions(), NetworkOptions()).load)
    server = Server(session, 0, state=dict, choices=dict, commands=lambda question: {})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    deployed, network = open_model(model), session.first
    plain = deployed.compile("CPU", "f32")
    (image,) = deployed.graph.inputs
    for path in photos:
        data = Path(path).read_bytes()
        frame = framing(server, data)

        def inference(data: bytes = data) -> Any:
            return plain({image.name: network.preprocessing(decode_photo(data, "the photo"))})

        pairs = [(seconds(inference), seconds(frame)) for _ in range(ITERATIONS + 3)][3:]
        inferred, framed = np.median(np.array(pairs), axis=0) * 1000
        ratio = np.median([second / first for first, second in pairs])
        print(f"{path}: plain {inferred:.1f} ms, a frame {framed:.1f} ms, {ratio:.2f} times")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
