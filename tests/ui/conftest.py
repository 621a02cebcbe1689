"""What tests of the page are given: a server about a tiny model, and a client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_server import Client, encoded, random_photo, small_load

from openvino_xai.ui.question import Question
from openvino_xai.ui.server import Server
from openvino_xai.ui.session import Session


@pytest.fixture(scope="session")
def named_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("named") / "first <b>.png"
    path.write_bytes(encoded(random_photo()[::-1].copy()))
    return path


@pytest.fixture(scope="session")
def server(named_photo: Path) -> Iterator[Server]:
    session = Session(small_load, [named_photo])
    state = {
        "model": "small <i>.onnx",
        "photos": [{"id": name, "name": path.name} for name, path in session.photos.items()],
        "labels": session.first.labels,
        "against": None,
        "usual": "the model's own",
        "presets": ["imagenet", "raw"],
        "resizes": {"standard": "stretched", "crop": "its centre cropped"},
        "colours": "AAAA" * 256,
        "opacity": 0.5,
        "largest": 2**20,
        "precision": "f32 on CPU",
    }
    methods = [{"name": "grad_cam", "reason": None, "dear": False}]
    layers = [{"name": "g", "cells": [12, 16], "cost": 1.1, "method": "reciprocam"}]
    choices = {"methods": methods, "layers": layers, "hooked": False}

    def commands(question: Question) -> dict[str, str]:
        return {"explain": f"explain {question.name}", "insert": "insert"}

    served = Server(session, 0, state=lambda: state, choices=lambda: choices, commands=commands)
    thread = threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server)
