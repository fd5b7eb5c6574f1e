"""A DICOMweb server made of a function per request, and one that behaves badly, both on the loopback interface."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON = "application/dicom+json"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def instances(self) -> list[str]:
        """Object identifiers in a STOW body, found by their encoding in explicit little endian."""
        found = re.findall(rb"\x08\x00\x18\x00UI(..)([0-9.]+)", self.body, re.DOTALL)
        return [text[: int.from_bytes(size, "little")].decode() for size, text in found]


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WebServer:
    """Address and every request so far."""

    port: int
    tls: bool
    requests: list[Request]
    connections: list[Any]

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/dicom-web"


@contextlib.contextmanager
def web_server(respond: Callable[[Request], Reply | None], *, tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """Serve requests by `respond`; where it returns None the connection is closed without an answer."""
    seen = WebServer(0, tls is not None, [], [])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def setup(self) -> None:
            super().setup()
            seen.connections.append(self.client_address)

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            seen.requests.append(request)
            reply = respond(request)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = answer

        def log_message(self, *args: object) -> None:
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            return None  # a client that hangs up is no news

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        seen.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join(5)


@contextlib.contextmanager
def rough_server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose every connection is given to `behave` and then closed."""
    over = threading.Event()
    open_ones: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.02)

        def one(taken: socket.socket) -> None:
            with taken, contextlib.suppress(OSError):
                taken.settimeout(5)
                behave(taken)

        def loop() -> None:
            while not over.is_set():
                try:
                    taken, _ = listening.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                open_ones.append(taken)
                threading.Thread(target=one, args=(taken,), daemon=True).start()

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            thread.join(5)
            for taken in open_ones:
                taken.close()


STALL_S = 20.0


def stall(s: socket.socket) -> None:
    """Do nothing until the test is over, or for so long that only a client without limits would wait for it."""
    end = time.monotonic() + STALL_S
    while s.fileno() != -1 and time.monotonic() < end:
        time.sleep(0.02)


class StowArchive:
    """Keeps what it gets; a subclass of its behaviour is made by replacing `store`."""

    def __init__(self, store: Callable[[Request, list[str]], Reply] | None = None) -> None:
        self.held: list[str] = []
        self.store = store or (lambda request, instances: stored(instances))

    def __call__(self, request: Request) -> Reply:
        if request.method == "POST":
            reply = self.store(request, request.instances)
            if reply.status in (200, 202) and reply.body:
                answer = json.loads(reply.body)
                named = answer.get("00081199", {}).get("Value", [])
                self.held += [v["00081155"]["Value"][0] for v in named]
            return reply
        offset = int((re.findall(r"offset=(\d+)", request.path) or [0])[0])
        limit = int((re.findall(r"limit=(\d+)", request.path) or [10**6])[0])
        page = sorted(set(self.held))[offset : offset + limit]
        rows = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in page]
        return Reply(200, json.dumps(rows).encode()) if rows else Reply(204)


def stored(instances: list[str], failed: dict[str, int] | None = None, status: int = 200) -> Reply:
    """The answer of PS3.18 10.5.3."""
    body: dict[str, Any] = {}
    if instances:
        body["00081199"] = {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in instances]}
    if failed:
        rows = [
            {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [code]}}
            for uid, code in failed.items()
        ]
        body["00081198"] = {"vr": "SQ", "Value": rows}
    return Reply(status, json.dumps(body).encode())
