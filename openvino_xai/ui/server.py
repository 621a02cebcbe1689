"""The server behind the page. Any page in the browser can send it requests, and any program on the machine can connect.

It listens on this machine alone. A request has to name this server as its host (no other name leads here, so that none can be
rebound), to come from its own page, and to carry the key that is in the address that was printed: in a header, because cookies
go to whatever listens on another port of this machine, too. The key stands behind the `#`, which browsers send nobody. No path
that a client names is opened, and what is sent is limited in length and time.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from openvino_xai.errors import InputError
from openvino_xai.json_text import to_json
from openvino_xai.ui.question import Question
from openvino_xai.ui.session import Gone, Session, line_of

HOST = "127.0.0.1"
LARGEST = 64 * 2**20  # bytes of a photo that is sent
QUESTION = 2**16  # bytes of a question
SILENCE = 10.0  # seconds without a byte
PATIENCE = 60.0  # seconds until a request is here
CONNECTIONS = 24  # at a time
WEB = 80  # the port that browsers do not write down
KEY = "X-Ovxai-Key"  # the header with the key
POLL = 0.5  # seconds between two looks at connections that take too long
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

Answer = tuple[int, str, bytes]  # the status, the type of the content, and the content


class Refusal(Exception):
    """A request that is not answered: a status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves a page about what a session explains, until it is shut down. Raises InputError where the port is in use.

    `state` is what the page has to know of the model, as JSON, and `choices` what takes longer to find; `commands` writes the
    command lines of what a page shows; `tell` hears of errors of a model, `alive` that nothing hangs.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(
        self,
        session: Session,
        port: int,
        *,
        state: Callable[[], dict[str, Any]],
        choices: Callable[[], dict[str, Any]],
        commands: Callable[[Question], dict[str, str]],
        tell: Callable[[str], None] = lambda text: None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.session, self.state, self.choices, self.commands = session, state, choices, commands
        self.tell, self.alive = tell, alive
        self.key = secrets.token_urlsafe(24)
        self.deadlines: dict[socket.socket, float] = {}
        self._seats = threading.BoundedSemaphore(CONNECTIONS)
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise InputError(f"cannot listen on port {port} of {HOST}: {why}; choose another", options=("port",)) from error
        names = (HOST, "localhost")
        self.hosts = tuple(f"{name}:{self.server_port}" for name in names) + (names if self.server_port == WEB else ())

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}/#{self.key}"

    def server_bind(self) -> None:
        """Bind without asking anybody for the name of this machine."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def service_actions(self) -> None:
        """Give a sign of life where nothing is under way, and close connections whose request does not come."""
        if self.session.is_idle:
            self.alive()
        now = time.monotonic()
        for connection, deadline in list(self.deadlines.items()):
            if now > deadline:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, where there are few enough."""
        if not self._seats.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started; it is raised again
            self._seats.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another."""
        self.deadlines[request] = time.monotonic() + PATIENCE
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.deadlines.pop(request, None)
            self._seats.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over who hangs up; what else goes wrong outside of an answer has nobody to be told."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request: the page, its state, a photo, or a question."""

    server: Server
    timeout = SILENCE

    def version_string(self) -> str:
        """What answers, and no version of it."""
        return "ovxai"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Answer what reads."""
        self.server.deadlines.pop(self.connection, None)
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer what asks."""
        self._answer(self._post)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is none, in our words."""
        self._send(code, "text/plain; charset=utf-8", b"this is no request that is answered here\n")

    def _answer(self, answer: Callable[[], Answer]) -> None:
        try:
            self._check_host()
            status, kind, content = answer()
        except Refusal as error:
            status, kind, content = error.status, *_json({"error": str(error)})
        except Gone as error:
            status, kind, content = 410, *_json({"error": line_of(error)})
        except (ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception as error:  # whatever a model or a photo does: the page shows it, and the server lives on
            status, kind, content = 422, *_json({"error": line_of(error)})
            if not isinstance(error, InputError):
                self.server.tell(line_of(error))
        with suppress(OSError):
            self._send(status, kind, content)

    def _send(self, status: int, kind: str, content: bytes) -> None:
        policy = NOTHING
        if kind.startswith("text/html"):
            nonce = secrets.token_urlsafe(16)
            content = content.replace(b"@NONCE@", nonce.encode())
            policy = (
                f"{NOTHING}; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src blob: data:; connect-src 'self'"
            )
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Connection", "close")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def _get(self) -> Answer:
        path = self.path.partition("?")[0]
        if path == "/":  # the page itself tells nothing
            page = files("openvino_xai.ui").joinpath("page.html").read_bytes()
            return 200, "text/html; charset=utf-8", page
        self._check_page()
        if path == "/state":
            return 200, *_json(self.server.state())
        if path == "/choices":
            return 200, *_json(self.server.choices())
        if path == "/progress":
            return 200, *_json(self.server.session.progress())
        if path.startswith("/picture/"):
            return 200, "image/jpeg", self.server.session.picture(path.removeprefix("/picture/"))
        raise Refusal(404, "there is nothing here")

    def _post(self) -> Answer:
        self._check_page()
        origin = self.headers.get_all("Origin", [])
        if origin not in [[f"http://{host}"] for host in self.server.hosts]:
            raise Refusal(403, "the request comes from another page")
        line, _, photo = self._body().partition(b"\n")
        if self.path == "/stop":
            self.server.session.stop()
            return 200, *_json({})
        if self.path not in ("/explain", "/commands"):
            raise Refusal(404, "there is nothing here")
        if len(line) > QUESTION:
            raise Refusal(413, f"the question is longer than {QUESTION} bytes")
        question = Question.parse(line)
        if self.path == "/commands":
            return 200, *_json(self.server.commands(question))
        return 200, *_json(self.server.session.answer(question, photo))

    def _check_host(self) -> None:
        """Raise Refusal for a request that was sent to another name."""
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            raise Refusal(421, "this server answers to no other name than the one that `ovxai ui` printed")

    def _check_page(self) -> None:
        """Raise Refusal for a request that does not come from our page."""
        if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise Refusal(403, "the request comes from another page")
        key = self.headers.get(KEY, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(key, self.server.key.encode()):
            raise Refusal(403, "open the address that `ovxai ui` printed: it holds the key to this page")

    def _body(self) -> bytes:
        """What is sent. Raises Refusal for what is too long, or does not say how long it is."""
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()) or len(lengths[0]) > 18:
            raise Refusal(411, "the request does not say how long it is")
        length = int(lengths[0])
        if length > LARGEST + QUESTION:
            self._drain(length)
            raise Refusal(413, f"the photo has {length} bytes; {LARGEST} are taken: make it smaller")
        content = self.rfile.read(length)
        if len(content) < length:
            raise ConnectionError("the client hung up")
        self.server.deadlines.pop(self.connection, None)  # the answer may take its time
        return content

    def _drain(self, length: int) -> None:
        """Read on for a while, and forget it: a browser shows an answer when it has sent all."""
        rest = min(length, 4 * LARGEST)
        while rest > 0 and (part := self.rfile.read(min(rest, 2**20))):
            rest -= len(part)


def _json(content: dict[str, Any]) -> tuple[str, bytes]:
    return "application/json", to_json(content).encode()
