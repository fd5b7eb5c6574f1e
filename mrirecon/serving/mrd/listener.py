"""The listening socket: one process for every client, no more than so many at once, none longer than allowed."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection as waiting
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from mrirecon.errors import ConfigError, OutputError
from mrirecon.serving.mrd.connection import Connection
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.messages import Disconnected

_GRACE_S = 15.0
_GOODBYE_S = 5.0
_REFUSALS = 16
_REFUSAL = Limits(idle_s=2.0, total_s=2.0)

ServeClient = Callable[[socket.socket, int, Path], None]
"""Serves one client: its socket, its number, and an empty folder of its own. Must be importable by name."""


@dataclass
class _Client:
    process: BaseProcess
    folder: Path
    end: float


class Listener:
    """A bound socket; a context manager that ends all clients and removes their folders.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    max_connections
        Clients at a time; another one is told so and sent away.
    total_s
        A client's process is ended so long after it began, and a little more.
    spool
        Folder for the clients' folders, None for that of temporary files.
    context
        How processes are started.

    Raises
    ------
    ConfigError
        If the address cannot be bound.
    OutputError
        If `spool` cannot be written.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_connections: int,
        total_s: float,
        spool: Path | None,
        context: BaseContext,
    ) -> None:
        self._most, self._total_s, self._context = max_connections, total_s, context
        self._clients: list[_Client] = []
        self._refusals: list[threading.Thread] = []
        self._count = 0
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=max(8, max_connections))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"{host}, port {port}: cannot listen there ({error}); choose another one") from error
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="mrirecon-serve-", dir=spool))
        except OSError as error:
            self._socket.close()
            raise OutputError(f"{spool}: cannot be written ({error.strerror}); choose another folder") from error

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
        for client in self._clients:
            client.process.terminate()
        end = time.monotonic() + _GOODBYE_S
        for client in self._clients:
            client.process.join(max(0.0, end - time.monotonic()))
        for client in self._clients:
            _reap(client)
        shutil.rmtree(self._folder, ignore_errors=True)

    def serve(self, serve_client: ServeClient, *, stop: threading.Event | None = None) -> None:
        """Accept clients until `stop` is set, or for ever."""
        while stop is None or not stop.is_set():
            sentinels = [client.process.sentinel for client in self._clients]
            ready = waiting.wait([self._socket, *sentinels], self._patience(stop))
            self._tidy()
            if self._socket not in ready:
                continue
            try:
                client, _ = self._socket.accept()
            except OSError:  # it went away while it waited
                continue
            if len(self._clients) >= self._most:
                self._refuse(client)
            else:
                self._start(client, serve_client)

    def _patience(self, stop: threading.Event | None) -> float | None:
        """Seconds until something has to be looked at."""
        waits = [client.end - time.monotonic() for client in self._clients]
        waits += [0.2] if stop is not None else []
        return max(0.0, min(waits)) if waits else None

    def _tidy(self) -> None:
        """Forget clients that have ended, end those that should have."""
        for client in list(self._clients):
            if client.process.is_alive() and time.monotonic() < client.end:
                continue
            _reap(client)
            self._clients.remove(client)

    def _start(self, client: socket.socket, serve_client: ServeClient) -> None:
        self._count += 1
        folder = self._folder / f"client-{self._count}"
        folder.mkdir(mode=0o700)
        process = self._context.Process(target=serve_client, args=(client, self._count, folder))  # type: ignore[attr-defined]
        with client:
            process.start()
        self._clients.append(_Client(process, folder, time.monotonic() + self._total_s + _GRACE_S))

    def _refuse(self, client: socket.socket) -> None:
        self._refusals = [thread for thread in self._refusals if thread.is_alive()]
        if len(self._refusals) >= _REFUSALS:
            client.close()
            return
        thread = threading.Thread(target=_send_away, args=(client, self._most), daemon=True)
        self._refusals.append(thread)
        thread.start()


def _send_away(client: socket.socket, most: int) -> None:
    connection = Connection(client, _REFUSAL)
    with contextlib.suppress(Disconnected):
        connection.send_text("ERROR", f"all {most} connections of this server are in use; try again later")
    connection.finish()


def _reap(client: _Client) -> None:
    if client.process.is_alive():
        client.process.kill()
    client.process.join()
    shutil.rmtree(client.folder, ignore_errors=True)
