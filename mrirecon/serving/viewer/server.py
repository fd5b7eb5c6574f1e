"""The web server of the viewer: loopback only, a token in the address, and nothing but what the page lists.

No part of an address is ever a file name: it is the number of a study and of a volume in it, or the name of one of the
page's own files in a fixed table.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mrirecon.errors import ConfigError, MrireconError, OutputError
from mrirecon.serving.viewer.access import HEADERS, is_local_host, is_token, new_token
from mrirecon.serving.viewer.folder import sentence
from mrirecon.serving.viewer.study import Study, open_study

LOOPBACK = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
_SECONDS = 30.0
_HTML, _SCRIPT, _STYLE = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"
PAGE = {
    "": ("index.html", _HTML),
    "style.css": ("style.css", _STYLE),
    "niivue.js": ("niivue.js", _SCRIPT),
    **{f"{name}.js": (f"{name}.js", _SCRIPT) for name in ("app", "pane", "geometry", "input", "panels", "colours")},
    "licences.txt": ("niivue-LICENCES.txt", "text/plain; charset=utf-8"),
}
"""Last part of the address to file and type."""


class ViewerServer(ThreadingHTTPServer):
    """Serves the studies of `folders` at `url` until it is shut down.

    Parameters
    ----------
    folders
        Folders of results; the page offers them in this order.
    reference, classical
        See `open_study`; only with a single folder.
    port
        0 takes a free one.

    Raises
    ------
    FormatError
        If the first folder holds nothing to show.
    OutputError
        If the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(
        self,
        folders: Sequence[str | Path],
        *,
        reference: str | Path | None = None,
        classical: str | Path | None = None,
        port: int = 0,
    ) -> None:
        if not folders:
            raise ConfigError("a viewer needs at least one folder of results")
        if len(folders) > 1 and (reference is not None or classical is not None):
            raise ConfigError(f"a reference belongs to one study, got {len(folders)}; give the folder of one of them")
        self.folders = tuple(Path(folder) for folder in folders)
        self.beside = {"reference": reference, "classical": classical}
        self.token = new_token()
        self._studies: dict[int, Study] = {}
        self._lock = threading.Lock()
        self._first: bytes | None = None
        self._first_lock = threading.Lock()
        self.study(0)
        try:
            super().__init__((LOOPBACK, port), _Request)
        except OSError as error:
            raise OutputError(f"port {port} cannot be had: {error.strerror}; choose another with --port") from error

    @property
    def url(self) -> str:
        """Where the page is, token included: whoever has it sees the images."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/{self.token}/"

    def study(self, number: int) -> Study:
        """A study, opened when it is first asked for; `IndexError` if there is none of that number."""
        with self._lock:
            if number not in self._studies:
                self._studies[number] = open_study(self.folders[number], **self.beside)
            return self._studies[number]

    def file(self, study: int, volume: int) -> bytes:
        """A volume as NIfTI; `IndexError` if there is none of that number."""
        if (study, volume) == (0, 0):
            with self._first_lock:
                prepared, self._first = self._first, None
            if prepared is not None:
                return prepared
        return self.study(study).volumes[volume].file()

    def prepare(self) -> None:
        """Read the first volume while the browser starts; it is kept until it is asked for."""

        def read() -> None:
            with self._first_lock, suppress(MrireconError, OSError):  # who asks for it will be told
                self._first = self.study(0).volumes[0].file()

        threading.Thread(target=read, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no event."""


class _Request(BaseHTTPRequestHandler):
    server: ViewerServer
    protocol_version = "HTTP/1.1"
    server_version = "mrirecon"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        """Answer one request."""
        if not is_local_host(self.headers.get("Host")):
            return self._refuse(HTTPStatus.FORBIDDEN, "the page is served under 127.0.0.1 and localhost only")
        try:
            parts = urlsplit(self.path).path.split("/")
        except ValueError:
            return self._refuse(HTTPStatus.BAD_REQUEST, "not an address")
        if len(parts) < 2 or not is_token(parts[1], self.server.token):
            return self._refuse(HTTPStatus.FORBIDDEN, "the address lacks the token that `mrirecon view` printed")
        self._answer(parts[2:])

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def _answer(self, parts: list[str]) -> None:
        if len(parts) == 1 and parts[0] in PAGE:
            name, kind = PAGE[parts[0]]
            return self._send((STATIC / name).read_bytes(), kind)
        try:
            match parts:
                case []:
                    return self._redirect()
                case ["studies.json"]:
                    return self._json({"studies": [folder.resolve().name for folder in self.server.folders]})
                case ["study", study, "manifest.json"]:
                    return self._json(self._study(study).manifest())
                case ["study", study, "volume", volume]:
                    content = self.server.file(_number(study), _number(volume.removesuffix(".nii")))
                    return self._send(content, "application/octet-stream")
        except IndexError:
            pass
        except MrireconError as error:
            return self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, sentence(error))
        self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def _study(self, text: str) -> Study:
        return self.server.study(_number(text))

    def _json(self, content: dict[str, Any]) -> None:
        self._send(json.dumps(content, allow_nan=False).encode(), "application/json")

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self._headers(kind, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _redirect(self) -> None:
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", f"/{self.server.token}/")
        self._headers("text/plain", 0)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._send(f"{reason}\n".encode(), "text/plain; charset=utf-8", status)

    def _headers(self, kind: str, length: int) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address holds the token."""


def _number(text: str) -> int:
    """A small index; `IndexError` for anything else, negative numbers included."""
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise IndexError(text)
    return int(text)
