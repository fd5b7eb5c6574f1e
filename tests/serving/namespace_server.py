"""A server in a network namespace of its own, reached through a loopback socket of this machine and a relay."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.serving import namespace_relay

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")


def need_namespaces() -> None:
    """Skip with the reason where there are none."""
    try:
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.skip(f"no network namespace, and the server would listen on all interfaces: {reason}")


@contextlib.contextmanager
def relayed(
    command: Sequence[str], ports: Sequence[int], log: Path, *, outwards: Sequence[tuple[int, Path]] = ()
) -> Iterator[list[int]]:
    """Run `command` in a fresh namespace; for each of its `ports` a port of this machine that leads there.

    Parameters
    ----------
    command
        The server.
    ports
        Where it listens in the namespace.
    log
        Gets its output.
    outwards
        Ports in the namespace whose connections are carried to UNIX sockets of this machine.
    """
    need_namespaces()
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in ports]
        relay = subprocess.Popen(
            [*UNSHARE, sys.executable, namespace_relay.__file__],
            stdin=subprocess.PIPE,
            pass_fds=[s.fileno() for s in sockets],
            text=True,
        )
        assert relay.stdin is not None
        orders = {
            "inwards": [[s.fileno(), port] for s, port in zip(sockets, ports, strict=True)],
            "outwards": [[port, str(path)] for port, path in outwards],
            "log": str(log),
            "command": list(command),
        }
        relay.stdin.write(json.dumps(orders) + "\n")
        relay.stdin.flush()
        try:
            yield [s.getsockname()[1] for s in sockets]
        finally:
            relay.stdin.close()
            relay.wait(20)


def wait_until(log: Path, text: str, *, seconds: float = 30.0) -> None:
    """Return when the server has written `text`."""
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace") if log.exists() else ""
        if text in said:
            return
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{said[-3000:]}")
