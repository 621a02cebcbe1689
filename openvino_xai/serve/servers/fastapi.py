"""A program for FastAPI, which explains photos that people upload, with this package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.runtime.described import Described
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.servers.by_python import program
from openvino_xai.serve.servers.readme import page
from openvino_xai.serve.servers.server import BY_PYTHON, Server

START = "uvicorn app:app --host 127.0.0.1 --port 8000"
CLIENT = """import requests  # pip install requests

with open("photo.jpg", "rb") as photo:
    answer = requests.post("http://127.0.0.1:8000/explain", files={"photo": photo})  # ?targets=top:1, or a class
answer.raise_for_status()
with open("explained.png", "wb") as picture:
    picture.write(answer.content)
with open("photo.jpg", "rb") as photo:
    print(requests.post("http://127.0.0.1:8000/predict", files={"photo": photo}).json()["predictions"])
"""


@dataclass(frozen=True)
class Service(Endpoint):
    """A hooked model as people see it who send photos: no tensors, and so nothing to warn clients of."""

    @property
    def warnings(self) -> list[str]:
        """What is doubtful."""
        return [] if self.verified != () else [f"{self.checked}: it was inserted without verification"]

    @property
    def summary(self) -> str:
        """How it is started."""
        return f"start it in that folder (`{START}`); {self.checked}"


def write_fastapi(folder: Path, endpoint: Endpoint, deployed: Deployed) -> Endpoint:
    """Write `app.py`, the model, and a README; what people see of it. Raises InputError for a model that takes no photos."""
    Described.of(deployed.graph, deployed.info)
    deployed.save(folder / f"model{endpoint.suffix}")
    code = program("fastapi_app.py").replace('"model.xml"', f'"model{endpoint.suffix}"')
    (folder / "app.py").write_text(code, encoding="utf-8")
    service = Service(**vars(endpoint))
    text = f"Send a photo: `/explain` answers with a picture, `/predict` with classes as JSON. {endpoint.checked}.\n"
    start = f"pip install fastapi uvicorn python-multipart   # beside ovxai\n{START}"
    (folder / "README.md").write_text(page(service, text, start=start, client=CLIENT), encoding="utf-8")
    return service


FASTAPI = Server(
    title="FastAPI",
    write=lambda folder, endpoint, deployed, _: write_fastapi(folder, endpoint, deployed),
    backends=BY_PYTHON,
    options=frozenset(),
)
