"""What a client may ask of the server at most."""

from __future__ import annotations

from dataclasses import dataclass

from mrirecon.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Limits of one connection.

    Parameters
    ----------
    idle_s
        Seconds without progress in receiving or sending.
    total_s
        Seconds from the connection to its end, reconstruction included.
    data_bytes
        Samples of one connection; they are kept in a file.
    acquisitions
        Readouts of one connection.
    message_bytes
        One message of data.
    header_bytes, text_bytes
        The XML header; any other text.
    ignored_bytes
        Waveforms and images, which are read and dropped.
    """

    idle_s: float = 60.0
    total_s: float = 1800.0
    data_bytes: int = 4 << 30
    acquisitions: int = 500_000
    message_bytes: int = 32 << 20
    header_bytes: int = 4 << 20
    text_bytes: int = 1 << 20
    ignored_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"`{name}` must be positive, got {value}")
