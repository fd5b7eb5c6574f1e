"""DICOM servers for tests on the loopback interface: pynetdicom's as storage, and raw sockets that speak half of it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest

TITLE = "ARCHIVE"
MR = "1.2.840.10008.5.1.4.1.1.4"
ECHO = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
COMMITMENT = "1.2.840.10008.1.20.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@dataclass
class Storage:
    """What a server got.

    Parameters
    ----------
    port
        Where it listens.
    files
        Encoded data sets by object identifier.
    associations
        Number of proposed contexts of every association.
    users
        User identity items: type, primary and secondary field.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    associations: list[int] = field(default_factory=list)
    users: list[tuple[int, bytes, bytes | None]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"dicom://{TITLE}@127.0.0.1:{self.port}"


@contextlib.contextmanager
def storage_server(
    *,
    accept: Sequence[tuple[str, Sequence[str]]] = ((MR, (EXPLICIT,)), (ECHO, (IMPLICIT, EXPLICIT))),
    store: Callable[[str, int], int] = lambda uid, number: 0,
    tls: ssl.SSLContext | None = None,
    maximum_pdu: int = 16382,
    handlers: Sequence[Any] = (),
) -> Iterator[Storage]:
    """A storage server; `store` gets the identifier and a running number and gives the status, -1 to hang up."""
    pynetdicom = pytest.importorskip("pynetdicom")
    evt = pynetdicom.evt
    seen = Storage()

    def keep(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        seen.order.append(uid)
        status = store(uid, len(seen.order))
        if status == -1:
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            return 0xA700
        if status == 0 or status >> 12 == 0xB:
            seen.files[uid] = event.request.DataSet.getvalue()
        return status

    def who(event: Any) -> tuple[bool, None]:
        seen.users.append((event.user_id_type, event.primary_field, event.secondary_field))
        return True, None

    sockets: list[socket.socket] = []

    def opened(event: Any) -> None:
        seen.associations.append(len(event.assoc.requestor.requested_contexts))

    entity = pynetdicom.AE(ae_title=TITLE)
    entity.require_called_aet = True
    entity.maximum_pdu_size = maximum_pdu
    entity.network_timeout = entity.acse_timeout = 10
    for name, syntaxes in accept:
        entity.add_supported_context(name, list(syntaxes))
    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        ssl_context=tls,
        evt_handlers=[
            (evt.EVT_C_STORE, keep),
            (evt.EVT_USER_ID, who),
            (evt.EVT_REQUESTED, opened),
            *handlers,
        ],
    )
    seen.port = server.server_address[1]
    accept_one = server.get_request

    def get_request() -> tuple[socket.socket, Any]:
        taken, address = accept_one()
        sockets.append(taken)  # at once: a client may be gone before any handler runs
        return taken, address

    server.get_request = get_request
    try:
        yield seen
    finally:
        entity.shutdown()
        for s in sockets:  # the library leaves them open where the client was the first to go
            s.close()


def read_pdu(s: socket.socket) -> tuple[int, bytes]:
    """Type and content of the next protocol data unit."""
    kind, length = struct.unpack(">BxI", _exactly(s, 6))
    return kind, _exactly(s, length)


def _exactly(s: socket.socket, n: int) -> bytes:
    got = BytesIO()
    while got.tell() < n:
        block = s.recv(n - got.tell())
        if not block:
            raise ConnectionError
        got.write(block)
    return got.getvalue()


def reject(result: int, source: int, reason: int) -> Callable[[socket.socket], None]:
    """A server that answers every association request with A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    def behave(s: socket.socket) -> None:
        read_pdu(s)
        s.sendall(struct.pack(">BxIxBBB", 3, 4, result, source, reason))
        s.recv(1)

    return behave


def accept_association(s: socket.socket, *, longest: int = 16384) -> None:
    """Read A-ASSOCIATE-RQ and accept its first context in its first transfer syntax (PS3.8 9.3.3)."""
    kind, request = read_pdu(s)
    assert kind == 1
    titles = request[4:36]
    number, syntax = _first_context(request[68:])
    context = struct.pack(">BxBx", number, 0) + _item(0x40, syntax)
    user = _item(0x51, struct.pack(">I", longest)) + _item(0x52, b"1.2.3.4")
    body = struct.pack(">H2x", 1) + titles + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x21, context) + _item(0x50, user)
    s.sendall(struct.pack(">BxI", 2, len(body)) + body)


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _first_context(items: bytes) -> tuple[int, bytes]:
    while items:
        kind, length = struct.unpack(">BxH", items[:4])
        content, items = items[4 : 4 + length], items[4 + length :]
        if kind == 0x20:
            number, inner = content[0], content[4:]
            while inner:
                kind, length = struct.unpack(">BxH", inner[:4])
                if kind == 0x40:
                    return number, inner[4 : 4 + length]
                inner = inner[4 + length :]
    raise AssertionError("no presentation context")
