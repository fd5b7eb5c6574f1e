"""A client of the streaming protocol, written from its description; shares no code with the server."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import ismrmrd
import numpy as np

TYPES = {1: "<u2", 2: "<i2", 3: "<u4", 4: "<i4", 5: "<f4", 6: "<f8", 7: "<c8", 8: "<c16"}


@dataclass
class Reply:
    """Everything the server said; `closed` if that ended with a close message."""

    texts: list = field(default_factory=list)
    images: list = field(default_factory=list)
    closed: bool = False

    def text(self, level: str) -> str:
        return "\n".join(t for t in self.texts if t.startswith(level))


@dataclass
class Scan:
    """The content of an MRD file, as it would be streamed."""

    xml: bytes
    acquisitions: list

    @classmethod
    def of(cls, path: Path) -> Scan:
        """Read with the `ismrmrd` package."""
        with ismrmrd.Dataset(str(path), create_if_needed=False) as file:
            lines = [file.read_acquisition(i) for i in range(file.number_of_acquisitions())]
            return cls(file.read_xml_header(), [acquisition(line) for line in lines])

    def stream(self, config: str, *more: bytes) -> bytes:
        """All messages of a well-behaved client; `more` goes between the header and the data."""
        return b"".join([config_name(config), header(self.xml), *more, *self.acquisitions, close()])


def config_name(name: str) -> bytes:
    return struct.pack("<H1024s", 1, name.encode())


def config_text(text: str) -> bytes:
    return _text(2, text.encode())


def header(xml: bytes) -> bytes:
    return _text(3, xml)


def close() -> bytes:
    return struct.pack("<H", 4)


def text(content: str) -> bytes:
    return _text(5, content.encode())


def _text(number: int, content: bytes) -> bytes:
    return struct.pack("<HI", number, len(content) + 1) + content + b"\0"


def acquisition(line) -> bytes:
    """One readout, serialised by the `ismrmrd` package."""
    parts = [struct.pack("<H", 1008)]
    line.serialize_into(lambda part: parts.append(bytes(part)))
    return b"".join(parts)


def waveform(values) -> bytes:
    parts = [struct.pack("<H", 1026)]
    wave = ismrmrd.Waveform.from_array(np.asarray(values, np.uint32))
    wave.serialize_into(lambda part: parts.append(bytes(part)))
    return b"".join(parts)


def image(values) -> bytes:
    parts = [struct.pack("<H", 1022)]
    picture = ismrmrd.Image.from_array(np.asarray(values, np.float32), transpose=False)
    picture.attribute_string = "<ismrmrdMeta></ismrmrdMeta>"
    picture.serialize_into(lambda part: parts.append(bytes(part)))
    return b"".join(parts)


def exactly(sock: socket.socket, n: int) -> bytes:
    """`n` bytes; an `EOFError` if the stream ends before."""
    content = b""
    while len(content) < n:
        piece = sock.recv(n - len(content))
        if not piece:
            raise EOFError(f"{n - len(content)} bytes are missing")
        content += piece
    return content


def reply(sock: socket.socket) -> Reply:
    """Read until the server's close message or the end of the stream."""
    said = Reply()
    while True:
        try:
            (number,) = struct.unpack("<H", exactly(sock, 2))
        except (EOFError, ConnectionResetError):
            return said
        if number == 4:
            said.closed = True
            return said
        if number == 5:
            (length,) = struct.unpack("<I", exactly(sock, 4))
            content = exactly(sock, length)
            assert content.endswith(b"\0")
            said.texts.append(content[:-1].decode())
        elif number == 1022:
            said.images.append(ismrmrd.Image.deserialize_from(lambda n: exactly(sock, n)))
        else:
            raise AssertionError(f"the server sent message {number}")


def ask(address: tuple[str, int], stream: bytes, *, timeout: float = 240.0) -> Reply:
    """Connect, send everything, read the answer."""
    with socket.create_connection(address, timeout=timeout) as sock:
        sock.sendall(stream)
        return reply(sock)


def with_header(path: Path, edit) -> Path:
    """The MRD file at `path` with its XML header changed by ``edit(bytes) -> bytes``, in place."""
    with h5py.File(path, "r+") as file:
        file["dataset/xml"][0] = edit(file["dataset/xml"][0])
    return path
