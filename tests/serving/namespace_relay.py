"""Run inside a fresh network namespace: starts a server there and carries connections in and out.

A server that listens on every interface is thus reachable only through the sockets that were handed to this process.
Started by `tests.serving.orthanc`; reads one JSON line of settings, ends with its standard input.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)[:18])[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | _IFF_UP))


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy until the end of `source`, then say so to `target`."""
    try:
        while block := source.recv(1 << 16):
            target.sendall(block)
    except OSError:
        pass
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            end.shutdown(how)


def join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both are done."""
    for s in (one, other):
        if s.family != socket.AF_UNIX:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=pump, args=(other, one), daemon=True)
    back.start()
    pump(one, other)
    back.join()
    one.close()
    other.close()


def carry(listening: socket.socket, family: int, address: object) -> None:
    """Join every connection that `listening` takes with a new one to `address`."""
    while True:
        try:
            taken, _ = listening.accept()
        except OSError:
            return
        out = socket.socket(family, socket.SOCK_STREAM)
        try:
            out.connect(address)
        except OSError:
            taken.close()
            out.close()
            continue
        threading.Thread(target=join, args=(taken, out), daemon=True).start()


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    bring_loopback_up()
    for descriptor, port in settings["inwards"]:
        inward = socket.socket(fileno=descriptor)
        threading.Thread(target=carry, args=(inward, socket.AF_INET, ("127.0.0.1", port)), daemon=True).start()
    for port, path in settings["outwards"]:
        outward = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=carry, args=(outward, socket.AF_UNIX, path), daemon=True).start()
    with Path(settings["log"]).open("wb") as log:
        server = subprocess.Popen(settings["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            sys.stdin.read()
        finally:
            server.terminate()
            server.wait(10)


if __name__ == "__main__":
    main()
