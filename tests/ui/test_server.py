"""The server: it answers its own page, and nobody else, whatever is sent to it."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from small_server import Client, encoded, random_photo

from openvino_xai.errors import InputError
from openvino_xai.ui import server as module
from openvino_xai.ui.server import KEY, Server

PHOTO = encoded(random_photo())


def test_a_photo_is_explained(client: Client) -> None:
    answer = client.ask(PHOTO)
    assert answer["kind"] == "classes"
    assert answer["size"] == [32, 24]
    assert len(answer["predictions"]) == 5
    assert sum(item["probability"] for item in answer["predictions"]) == pytest.approx(1)
    rows, columns = answer["targets"][0]["map"]["cells"]
    assert len(base64.b64decode(answer["targets"][0]["map"]["values"])) == rows * columns
    assert answer["fed"]["words"].startswith("BGR, 0..255")
    assert answer["fed"]["doubts"]
    again = client.ask(photo=answer["photo"])
    assert again["predictions"] == answer["predictions"]


def test_the_network_explains_as_it_does_elsewhere(client: Client) -> None:
    answer, explanation = client.ask(PHOTO), client.server.session.first.explain(random_photo(), targets="top:5")
    assert [item["probability"] for item in answer["predictions"]] == [item.probability for item in explanation.predictions]
    for target, saliency in zip(answer["targets"], explanation.maps, strict=True):
        values = np.frombuffer(base64.b64decode(target["map"]["values"]), np.uint8).reshape(saliency.shape)
        scaled = (saliency - saliency.min()) / (saliency.max() - saliency.min() or 1)
        assert np.abs(values / 255 - scaled).max() <= 0.5 / 255 + 1e-6


def test_a_preset_changes_what_is_fed_and_leaves_nothing_behind(client: Client) -> None:
    first = client.ask(PHOTO)
    changed = client.ask(photo=first["photo"], preprocessing={"preset": "imagenet"})
    assert changed["fed"]["order"] == "RGB"
    assert changed["predictions"] != first["predictions"]
    assert client.ask(photo=first["photo"])["predictions"] == first["predictions"]


@pytest.mark.parametrize("fill", ["grey", "blur"])
def test_a_cover_changes_the_score(client: Client, fill: str) -> None:
    first = client.ask(PHOTO)
    covered = client.ask(photo=first["photo"], covers=[[0.25, 0.25, 0.5, 0.5]], fill=fill)
    assert covered["predictions"] != first["predictions"]
    assert client.ask(photo=first["photo"], covers=[[0, 0, 0, 0]])["predictions"] == first["predictions"]


def test_a_class_that_is_asked_for_has_its_map(client: Client) -> None:
    assert [target["id"] for target in client.ask(PHOTO, method="grad_cam", classes=[3])["targets"]] == [3]
    assert client.ask(PHOTO, method="grad_cam")["dear"]


def test_photos_that_were_named_are_served_by_number(client: Client) -> None:
    status, headers, content = client.send("GET", "/picture/named-0")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert content.startswith(b"\xff\xd8")
    assert client.ask(photo="named-0")["size"] == [32, 24]


@pytest.mark.parametrize("name", ["/etc/passwd", "named-1", "named--1", "../../etc/passwd", "%2e%2e/x", "\u0000"])
def test_no_path_of_a_client_is_opened(client: Client, name: str) -> None:
    assert "not here" in client.ask(photo=name, status=410)["error"]
    if name.isprintable():
        assert client.send("GET", f"/picture/{name}")[0] == 410


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        (b"", "the photo: the file is empty"),
        (b"no photo at all", "no image"),
        (PHOTO[:-40], "cannot read the photo"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0" + bytes(4), "cannot read the photo"),
    ],
)
def test_a_broken_photo_gets_a_line(client: Client, photo: bytes, why: str) -> None:
    error = client.ask(photo, status=422)["error"]
    assert why in error
    assert "\n" not in error
    client.ask(PHOTO)


@pytest.mark.parametrize(
    "question",
    [
        b"no json",
        b"[]",
        b'{"method": 3}',
        b'{"preprocessing": [1]}',
        b'{"preprocessing": {"preset": "unheard of"}}',
        b'{"classes": [-1]}',
        b'{"classes": ["1"]}',
        b'{"classes": ' + json.dumps(list(range(99))).encode() + b"}",
        b'{"covers": [[0, 0, NaN, 1]]}',
        b'{"covers": [[0, 0, 1]]}',
        b'{"fill": "red"}',
        b'{"opacity": 2}',
        b"[" * 9999,
        b"\xff\xfe",
    ],
)
def test_a_question_that_means_nothing_gets_a_line(client: Client, question: bytes) -> None:
    status, _, content = client.send("POST", "/explain", question + b"\n" + PHOTO)
    assert status == 422
    assert json.loads(content)["error"]


def test_what_a_model_raises_is_a_line_and_the_server_lives_on(client: Client) -> None:
    assert client.ask(PHOTO, method="boom", status=422)["error"] == "RuntimeError: the runtime is broken"
    assert client.ask(PHOTO, method="unheard of", status=422)["error"] == "method 'unheard of' is not known"
    client.ask(PHOTO)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "", "localhost"])
@pytest.mark.parametrize("path", ["/", "/state", "/picture/named-0"])
def test_no_other_name_leads_here(client: Client, host: str, path: str) -> None:
    status, _, content = client.send("GET", path, Host=host)
    assert status == 421
    assert b"small" not in content


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}", ""])
def test_no_other_page_asks(client: Client, origin: str) -> None:
    origin = origin.format(port=client.server.server_port)
    assert client.send("POST", "/explain", b"{}\n" + PHOTO, Origin=origin)[0] == 403
    assert client.send("POST", "/explain", b"{}\n" + PHOTO, without="Origin")[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_no_other_page_reads(client: Client, site: str) -> None:
    assert client.send("GET", "/state", Sec_Fetch_Site=site)[0] == 403
    assert client.send("GET", "/state", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("key", ["", "wrong", "{key}x", "{key} {key}", "\u00e9", "=" * 9000])
def test_nothing_is_answered_without_the_key(client: Client, key: str) -> None:
    sent = {KEY: key.format(key=client.server.key)}
    for path in ("/state", "/progress", "/choices", "/picture/named-0", f"/state?{client.server.key}"):
        assert client.send("GET", path, **sent)[0] == 403
        assert client.send("GET", path, without=KEY)[0] == 403
    for path in ("/explain", "/commands", "/stop"):
        assert client.send("POST", path, b"{}\n" + PHOTO, **sent)[0] == 403
        assert client.send("POST", path, b"{}\n" + PHOTO, without=KEY)[0] == 403


def test_the_page(client: Client) -> None:
    status, headers, content = client.send("GET", "/", without=KEY)
    assert status == 200
    assert "Set-Cookie" not in headers
    assert client.server.key.encode() not in content
    policy = headers["Content-Security-Policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert f'<script nonce="{nonce}">'.encode() in content
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "ovxai"
    for outside in (b"http:", b"https:", b"//cdn", b"innerHTML", b"insertAdjacentHTML", b"document.write"):
        assert outside not in content
    other = client.send("GET", "/")[1]["Content-Security-Policy"]
    assert nonce not in other


@pytest.mark.parametrize("length", ["-1", "1e3", "", "99999999999999999999", "+5", "\u00b2"])
def test_a_length_that_is_none(client: Client, length: str) -> None:
    assert client.send("POST", "/explain", b"", Content_Length=length)[0] == 411


def test_a_photo_that_is_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    monkeypatch.setattr(module, "QUESTION", 10)
    status, _, content = client.send("POST", "/explain", b"{}\n" + bytes(2000))
    assert status == 413
    assert "make it smaller" in json.loads(content)["error"]
    assert client.send("POST", "/explain", b"{         }\n" + bytes(200))[0] == 413


def test_other_paths_and_methods(client: Client) -> None:
    assert client.send("GET", "/nothing")[0] == 404
    assert client.send("POST", "/nothing", b"{}")[0] == 404
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        assert client.send(method, "/state")[0] == 501


def raw(server: Server, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=20)
    connection.sendall(data)
    return connection


def start_of(client: Client, length: int) -> bytes:
    host = client.server.hosts[0]
    lines = (
        "POST /explain HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        f"{KEY}: {client.server.key}",
        f"Content-Length: {length}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_a_client_that_hangs_up(client: Client) -> None:
    for data in (b"", b"POST /ex", start_of(client, 500), start_of(client, 500) + b"{}\n", b"\xff\x00\r\n\r\n"):
        raw(client.server, data).close()
    body = b"{}\n" + PHOTO
    raw(client.server, start_of(client, len(body)) + body).close()  # nobody reads the answer
    client.ask(PHOTO)


@pytest.mark.slow
def test_a_client_that_drips_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    connection = raw(client.server, b"GET / HTTP/1.1\r\n")
    start = time.monotonic()
    with pytest.raises(OSError), connection:  # noqa: PT011 - reset, or a broken pipe
        while time.monotonic() - start < 10:
            connection.sendall(b"a")
            time.sleep(0.05)
    assert time.monotonic() - start < 5


@pytest.mark.slow
def test_a_client_that_is_silent_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Handler, "timeout", 0.2)
    with raw(client.server, start_of(client, 500)) as connection:
        assert connection.recv(100) == b""


@pytest.mark.slow
def test_many_connections_leave_room(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Handler, "timeout", 0.5)
    idle = [raw(client.server, b"GET ") for _ in range(2 * module.CONNECTIONS)]
    time.sleep(1.5)
    client.ask(PHOTO)
    for connection in idle:
        connection.close()


def test_two_tabs_at_once(client: Client) -> None:
    plain, fed = client.ask(PHOTO), client.ask(PHOTO, preprocessing={"preset": "imagenet"})
    answers: dict[int, list[object]] = {0: [], 1: []}

    def tab(number: int) -> None:
        changes = {"preprocessing": {"preset": "imagenet"}} if number else {}
        answers[number] += [client.ask(PHOTO, **changes)["predictions"] for _ in range(4)]

    threads = [threading.Thread(target=tab, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: [plain["predictions"]] * 4, 1: [fed["predictions"]] * 4}


def test_what_takes_long_tells_how_far_it_is_and_is_stopped(client: Client) -> None:
    errors: list[str] = []
    thread = threading.Thread(target=lambda: errors.append(client.ask(PHOTO, method="slow", status=422)["error"]))
    thread.start()
    deadline = time.monotonic() + 10
    while not (doing := json.loads(client.send("GET", "/progress")[2])["doing"]).startswith("asking"):
        assert time.monotonic() < deadline
    assert "of 500" in doing
    client.ask(path="/stop")
    thread.join(5)
    assert errors == ["stopped"]
    assert json.loads(client.send("GET", "/progress")[2])["doing"] == ""


def test_a_port_in_use(client: Client) -> None:
    with pytest.raises(InputError, match=f"cannot listen on port {client.server.server_port}") as taken:
        Server(client.server.session, client.server.server_port, state=dict, choices=dict, commands=lambda question: {})
    assert taken.value.options == ("port",)


def test_it_listens_on_this_machine_alone(client: Client) -> None:
    assert client.server.socket.getsockname()[0] == "127.0.0.1"


def test_photos_that_were_looked_at_last_are_here(client: Client, named_photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openvino_xai.ui.session.PHOTOS", 2)
    first = client.ask(PHOTO)["photo"]
    for _ in range(3):
        client.ask(PHOTO)
    client.ask(photo=first, status=410)
    client.ask(photo="named-0")
