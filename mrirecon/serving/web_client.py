"""One HTTP request after the other over one connection, with every wait bounded and no secret in any message."""

from __future__ import annotations

import contextlib
import datetime
import http
import http.client
import select
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import mrirecon
from mrirecon.errors import TransferError
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import Destination
from mrirecon.serving.tls import certificate_problem

_LONGEST_ANSWER = 32 << 20
_SLOWEST = 16 << 10  # bytes per second below which a request is given up
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class Answer:
    """A response.

    Parameters
    ----------
    status
        HTTP status.
    body
        At most 32 MiB.
    content_type
        Media type, empty where none was given.
    retry_after_s
        What the server asks to wait, None where it does not.
    challenge
        First word of WWW-Authenticate: the kind of credentials that are asked for.
    """

    status: int
    body: bytes
    content_type: str
    retry_after_s: float | None
    challenge: str | None


class WebClient:
    """Requests to one server. Proxies of the environment are not used, redirections not followed.

    Parameters
    ----------
    destination
        The server.
    credentials
        Sent with every request.
    tls
        Settings of encrypted connections; needed for https.
    timeout_s
        Longest silence at any point, seconds.
    """

    def __init__(
        self, destination: Destination, *, credentials: Credentials, tls: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        self._destination = destination
        self._credentials = credentials
        self._tls = tls
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, *, accept: str) -> Answer:
        """GET `path`, which begins with the destination's own path."""
        return self._request("GET", path, {"Accept": accept}, (), 0)

    def post(self, path: str, blocks: Iterable[bytes], *, length: int, content_type: str, accept: str) -> Answer:
        """POST a body of `length` bytes that comes in blocks."""
        headers = {"Accept": accept, "Content-Type": content_type, "Content-Length": str(length)}
        return self._request("POST", path, headers, blocks, length)

    def _request(self, method: str, path: str, headers: dict[str, str], blocks: Iterable[bytes], length: int) -> Answer:
        connection = self._open()
        whole = False
        limit = 2 * self._timeout_s + length / _SLOWEST
        over = threading.Event()
        try:
            with _deadline(connection, limit, over):
                self._send_head(connection, method, path, headers)
                whole = self._send_body(connection, blocks)
                response = connection.getresponse()
                body = response.read(_LONGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if over.is_set():
                raise TransferError(
                    f"{self._destination} took more than {limit:.0f} s over {method}", transient=True
                ) from None
            raise self._problem(error, method) from None  # the chain could show headers
        except BaseException:
            self.close()
            raise
        if len(body) > _LONGEST_ANSWER:
            self.close()
            raise TransferError(f"{self._destination} answers {method} with more than 32 MiB, which no archive does")
        if not whole or response.will_close:
            self.close()
        return Answer(
            response.status,
            body,
            response.getheader("Content-Type") or "",
            _seconds(response.getheader("Retry-After")),
            _challenge(response.getheader("WWW-Authenticate")),
        )

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            return self._connection
        where = self._destination
        if where.tls:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                where.host, where.port, timeout=self._timeout_s, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(where.host, where.port, timeout=self._timeout_s)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self._problem(error, "the connection") from None
        self._connection = connection
        return connection

    def _send_head(
        self, connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
    ) -> None:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.putheader("User-Agent", f"mrirecon/{mrirecon.__version__}")
        if self._credentials.authorization is not None:
            connection.putheader("Authorization", self._credentials.authorization)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()

    def _send_body(self, connection: http.client.HTTPConnection, blocks: Iterable[bytes]) -> bool:
        """Whether all of it was sent; a server may answer (too large, not authorised) without reading to the end."""
        for block in blocks:
            sock = connection.sock
            if not self._destination.tls and sock is not None and select.select([sock], [], [], 0)[0]:
                return False
            try:
                connection.send(block)
            except (BrokenPipeError, ConnectionResetError, TimeoutError, ssl.SSLEOFError):
                return False  # its answer may have come before it closed
        return True

    def _problem(self, error: Exception, what: str) -> TransferError:
        where = self._destination
        if isinstance(error, ssl.SSLError):
            return TransferError(certificate_problem(error, where.host))
        if isinstance(error, socket.gaierror):
            again = error.errno == socket.EAI_AGAIN
            return TransferError(f"the host of {where} is not known; check its name", transient=again)
        if isinstance(error, TimeoutError):
            return TransferError(f"{where} was silent for {self._timeout_s:g} s during {what}", transient=True)
        if isinstance(error, ConnectionRefusedError):
            return TransferError(f"no connection to {where} (connection refused)", transient=True)
        if isinstance(error, http.client.RemoteDisconnected | OSError | http.client.IncompleteRead):
            return TransferError(f"{where} ended the connection during {what}", transient=True)
        return TransferError(f"{where} does not speak HTTP ({type(error).__name__}); check host and port")


@contextlib.contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float, over: threading.Event) -> Iterator[None]:
    """End the connection when the block takes longer, so that a trickle of single bytes does not hold us for ever."""

    def end() -> None:
        over.set()
        opened = connection.sock
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def status_phrase(status: int) -> str:
    """``503 Service Unavailable``: the standard's words, not the server's."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(text: str | None) -> float | None:
    """Retry-After as seconds from now (a number; a date counts from the clock of this machine)."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return min(float(text.strip()[:9]), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    wait = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
    return min(max(wait, 0.0), _LONGEST_WAIT_S)


def _challenge(text: str | None) -> str | None:
    word = (text or "").split(" ")[0].strip(",")
    return word if word.isalpha() and len(word) < 20 else None
