"""The messages of the MRD streaming protocol: little endian, a 16-bit identifier, then a body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mrirecon.errors import MrireconError

CONFIG_NAME_BYTES = 1024


class Kind(IntEnum):
    """Identifiers. Data start at 1000."""

    CONFIG_NAME = 1
    CONFIG_TEXT = 2
    HEADER = 3
    CLOSE = 4
    TEXT = 5
    ACQUISITION = 1008
    IMAGE = 1022
    WAVEFORM = 1026


class StreamError(MrireconError, ValueError):
    """The client broke the protocol or a limit; the message is for the client and repeats nothing that it sent."""


class Disconnected(StreamError):
    """The client is gone, or its stream ended where it must not."""


@dataclass(frozen=True)
class ConfigName:
    """Which reconstruction is wanted, by its name on the server."""

    name: str


@dataclass(frozen=True)
class ConfigText:
    """A complete configuration from the client; its content was dropped."""


@dataclass(frozen=True, eq=False)
class Header:
    """The XML header of the measurement."""

    xml: bytes


@dataclass(frozen=True)
class Close:
    """All data were sent."""


@dataclass(frozen=True, eq=False)
class Text:
    """Free text or JSON parameters."""

    content: bytes


@dataclass(frozen=True, eq=False)
class Acquisition:
    """One readout: the 340 bytes of its header, and its samples as (coil, sample) of complex64 in bytes."""

    head: bytes
    samples: memoryview


@dataclass(frozen=True)
class Ignored:
    """An image or a waveform; its content was dropped."""

    kind: Kind


Message = ConfigName | ConfigText | Header | Close | Text | Acquisition | Ignored
