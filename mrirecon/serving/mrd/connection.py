"""One socket that speaks MRD: whole messages in, whole messages out, within limits of size and time."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable

import numpy as np

from mrirecon.io.ismrmrd.wire import ACQUISITION_HEAD, IMAGE_HEAD, IMAGE_VALUE_BYTES, WAVEFORM_HEAD
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.messages import (
    CONFIG_NAME_BYTES,
    Acquisition,
    Close,
    ConfigName,
    ConfigText,
    Disconnected,
    Header,
    Ignored,
    Kind,
    Message,
    StreamError,
    Text,
)

_IDENTIFIER, _LENGTH, _LONG_LENGTH = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_BUFFER = 1 << 18
_COMPLEX_BYTES = 8
_FAREWELL_S = 2.0
_FAREWELL_BYTES = 64 << 20


class Connection:
    """A client's socket; closing it is the caller's business, best with `finish`.

    Parameters
    ----------
    sock
        Connected stream socket.
    limits
        Sizes and times; the total time starts now.
    """

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._socket = sock
        self._limits = limits
        self._end = time.monotonic() + limits.total_s
        self._buffer = bytearray(_BUFFER)
        self._start = self._stop = 0
        self._ignored = 0
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def seconds_left(self) -> float:
        """Of the total time; negative when it is over."""
        return self._end - time.monotonic()

    def receive(self) -> Message:
        """The next message.

        Raises
        ------
        StreamError
            If the identifier is unknown or a length exceeds its limit.
        Disconnected
            If the stream ends before or within the message, or stalls.
        """
        first = self._exactly(_IDENTIFIER.size, where="without a close message")
        (number,) = _IDENTIFIER.unpack(first)
        try:
            kind = Kind(number)
        except ValueError:
            known = ", ".join(str(int(k)) for k in Kind)
            raise StreamError(
                f"message identifier {number} is not known here ({known} are); its length is unknown, so the stream "
                "cannot be followed any further"
            ) from None
        if kind is Kind.CONFIG_NAME:
            return ConfigName(_text(self._exactly(CONFIG_NAME_BYTES)))
        if kind is Kind.CONFIG_TEXT:
            self._discard(self._length(self._limits.text_bytes, "configuration text"))
            return ConfigText()
        if kind is Kind.HEADER:
            return Header(bytes(self._exactly(self._length(self._limits.header_bytes, "XML header"))).rstrip(b"\0"))
        if kind is Kind.TEXT:
            return Text(bytes(self._exactly(self._length(self._limits.text_bytes, "text"))).split(b"\0", 1)[0])
        if kind is Kind.ACQUISITION:
            return self._acquisition()
        if kind is Kind.CLOSE:
            return Close()
        return self._image() if kind is Kind.IMAGE else self._waveform()

    def send_text(self, level: str, text: str) -> None:
        """A line for the client's log; `level` is INFO, WARNING or ERROR."""
        content = f"{level:<8} {text}".encode() + b"\0"
        self._send((_IDENTIFIER.pack(Kind.TEXT), _LENGTH.pack(len(content)), content))

    def send_image(self, head: bytes, attributes: str, pixels: bytes) -> None:
        """One image: 198 bytes of header, the meta attributes as XML, the pixels."""
        content = attributes.encode()
        self._send((_IDENTIFIER.pack(Kind.IMAGE), head, _LONG_LENGTH.pack(len(content)), content, pixels))

    def finish(self) -> None:
        """Say that nothing more comes, let the client read to the end, and close the socket.

        What the client still sends is read and dropped for a moment: closing a socket with unread data would take
        back what was sent last.
        """
        try:
            self._send((_IDENTIFIER.pack(Kind.CLOSE),), at_least_s=_FAREWELL_S)
            self._socket.shutdown(socket.SHUT_WR)
            end, dropped = time.monotonic() + _FAREWELL_S, 0
            while (left := end - time.monotonic()) > 0 and dropped < _FAREWELL_BYTES:
                self._socket.settimeout(left)
                n = self._socket.recv_into(self._buffer)
                if n == 0:
                    break
                dropped += n
        except OSError:  # gone already; `Disconnected` needs nothing more either
            pass
        except Disconnected:
            pass
        finally:
            self._socket.close()

    def _acquisition(self) -> Acquisition:
        head = bytes(self._exactly(ACQUISITION_HEAD.itemsize))
        fields = np.frombuffer(head, ACQUISITION_HEAD)[0]
        n, channels = int(fields["number_of_samples"]), int(fields["active_channels"])
        trajectory = 4 * n * int(fields["trajectory_dimensions"])
        samples = _COMPLEX_BYTES * n * channels
        self._check(trajectory + samples, self._limits.message_bytes, f"{channels} channels of {n} samples")
        self._discard(trajectory)
        return Acquisition(head, self._exactly(samples))

    def _image(self) -> Ignored:
        head = np.frombuffer(bytes(self._exactly(IMAGE_HEAD.itemsize)), IMAGE_HEAD)[0]
        (attributes,) = _LONG_LENGTH.unpack(self._exactly(_LONG_LENGTH.size))
        size = IMAGE_VALUE_BYTES.get(int(head["data_type"]))
        if size is None:
            raise StreamError("an image announces a data type that MRD does not have, expected 1 to 8")
        for n in (int(head["channels"]), *(int(m) for m in head["matrix_size"])):
            size *= n
        return self._ignore(Kind.IMAGE, attributes + size)

    def _waveform(self) -> Ignored:
        head = np.frombuffer(bytes(self._exactly(WAVEFORM_HEAD.itemsize)), WAVEFORM_HEAD)[0]
        return self._ignore(Kind.WAVEFORM, 4 * int(head["number_of_samples"]) * int(head["channels"]))

    def _ignore(self, kind: Kind, n: int) -> Ignored:
        self._ignored += n
        self._check(self._ignored, self._limits.ignored_bytes, "images and waveforms")
        self._discard(n)
        return Ignored(kind)

    def _length(self, limit: int, what: str) -> int:
        (n,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        self._check(n, limit, what)
        return int(n)

    def _check(self, n: int, limit: int, what: str) -> None:
        if n > limit:
            raise StreamError(f"{what}: {n} bytes are announced, the server takes at most {limit}")

    def _exactly(self, n: int, *, where: str = "within a message") -> memoryview:
        """`n` bytes, however the network cut them up; checked against a limit before."""
        content = memoryview(bytearray(n))
        filled = min(n, self._stop - self._start)
        content[:filled] = memoryview(self._buffer)[self._start : self._start + filled]
        self._start += filled
        while filled < n:
            where = where if filled == 0 else "within a message"
            if n - filled >= _BUFFER:
                filled += self._receive_into(content[filled:], where)
                continue
            self._start, self._stop = 0, self._receive_into(memoryview(self._buffer), where)
            piece = min(n - filled, self._stop)
            content[filled : filled + piece] = memoryview(self._buffer)[:piece]
            filled, self._start = filled + piece, piece
        return content

    def _discard(self, n: int) -> None:
        """Read `n` bytes and drop them, a piece at a time."""
        while n > 0:
            n -= len(self._exactly(min(n, _BUFFER)))

    def _receive_into(self, target: memoryview, where: str) -> int:
        idle, left = self._limits.idle_s, self.seconds_left
        if left <= 0:
            raise Disconnected(self._too_long())
        self._socket.settimeout(min(idle, left))
        try:
            n = self._socket.recv_into(target)
        except TimeoutError:
            problem = f"nothing came for {idle:g} s" if self.seconds_left > 0 else self._too_long()
            raise Disconnected(f"{problem}; the connection is given up") from None
        except OSError as error:
            raise Disconnected(f"the connection broke ({type(error).__name__})") from error
        if n == 0:
            raise Disconnected(f"the stream ended {where}; nothing was reconstructed")
        return n

    def _too_long(self) -> str:
        return f"the connection lasted longer than {self._limits.total_s:g} s"

    def _send(self, parts: Iterable[bytes], *, at_least_s: float = 0.0) -> None:
        left = max(min(self._limits.idle_s, self.seconds_left), at_least_s)
        if left <= 0:
            raise Disconnected(self._too_long())
        self._socket.settimeout(left)
        try:
            self._socket.sendall(b"".join(parts))
        except TimeoutError:
            raise Disconnected(f"the client took no data for {left:g} s") from None
        except OSError as error:
            raise Disconnected(f"the client is gone ({type(error).__name__})") from error


def _text(content: memoryview) -> str:
    """A NUL-padded name; bytes that are not UTF-8 make a name that cannot match any."""
    return bytes(content).split(b"\0", 1)[0].decode("utf-8", errors="replace")
