"""One measurement from its first message to the client's close, checked and spooled."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.io.ismrmrd.header import RawHeader, parse_header
from mrirecon.io.ismrmrd.index import is_imaging, lines_of_heads
from mrirecon.io.ismrmrd.reader import VOLUME_COUNTERS, scan_of_lines
from mrirecon.io.ismrmrd.samples import SpooledSamples
from mrirecon.scan import Scan
from mrirecon.serving.mrd.connection import Connection
from mrirecon.serving.mrd.extent import allowance
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.messages import Acquisition, Close, ConfigName, ConfigText, Header, Ignored, StreamError, Text
from mrirecon.serving.mrd.spool import Spool

SPOOL = "stream.samples"


@dataclass(frozen=True, eq=False)
class Volume:
    """One image volume of a measurement.

    Parameters
    ----------
    counters
        Its contrast, repetition, set and cardiac phase.
    scan
        Its k-space.
    heads
        The header of the first line of every slice, in the order of the scan's slices; of a 3D scan, one.
    """

    counters: dict[str, int]
    scan: Scan
    heads: NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a client sent.

    Parameters
    ----------
    config
        Name of the reconstruction, one of those on offer.
    header
        What is needed of its XML header; identifiers were never read out.
    heads, samples
        All readouts.
    n_ignored
        Images and waveforms that were dropped.
    """

    config: str
    header: RawHeader
    heads: NDArray[np.void]
    samples: SpooledSamples
    n_ignored: int

    def volumes(self, *, conjugate: bool = False) -> Iterator[Volume]:
        """The volumes in the order of their first line; `conjugate` as in `read_ismrmrd`.

        Raises
        ------
        MrireconError
            If the lines do not make a scan, exactly as `read_ismrmrd` says it of a file.
        """
        lines = lines_of_heads(self.heads)
        imaging = np.flatnonzero(is_imaging(lines))
        keys = np.stack([lines[name][imaging] for name in VOLUME_COUNTERS], axis=1)
        _, first = np.unique(keys, axis=0, return_index=True)
        if first.size == 0:  # the reader says why there is no image
            first = np.array([-1])
        for index in np.sort(first):
            values = keys[index].tolist() if index >= 0 else [0] * len(VOLUME_COUNTERS)
            wanted = dict(zip(VOLUME_COUNTERS, values, strict=True))
            scan = scan_of_lines(self.header, lines, self.samples, wanted=wanted, conjugate=conjugate)
            mine = imaging[(keys == values).all(axis=1)]
            slices = lines["slice"][mine]
            order = [int(slices[0])] if scan.is_3d else scan.details["slice_counters_in_order"]
            starts = [int(mine[np.argmax(slices == number)]) for number in order]
            yield Volume(wanted, scan, self.heads[starts])

    @property
    def n_volumes(self) -> int:
        """How many volumes `volumes` will try to make."""
        lines = lines_of_heads(self.heads)
        lines = lines[is_imaging(lines)]
        return max(1, len(np.unique(np.stack([lines[name] for name in VOLUME_COUNTERS], axis=1), axis=0)))


def receive_measurement(
    connection: Connection,
    *,
    names: Collection[str],
    folder: Path,
    limits: Limits,
    begin: Callable[[str], None],
) -> Measurement | None:
    """Follow the protocol until the client's close.

    Configuration name, XML header, optionally JSON parameters, then data in any mix. Whatever is not an acquisition
    is read and dropped.

    Parameters
    ----------
    connection
        The client.
    names
        Reconstructions on offer.
    folder
        Where samples are kept.
    limits
        Of the connection.
    begin
        Called once with the name of the configuration when data start to come, so that preparation overlaps with them.

    Returns
    -------
        None if the client closed without an XML header, as programs do that only look whether a server is there.

    Raises
    ------
    StreamError
        If the client breaks the protocol or a limit, asks for a configuration that is not on offer, or sends one.
    FormatError
        If the XML header is not usable.
    """
    name = _config(connection, names)
    if name is None:
        return None
    header = _header(connection)
    if header is None:
        return None
    n_ignored = 0
    with Spool(folder / SPOOL, allowance(header, limits)) as spool:
        while not isinstance(message := connection.receive(), Close):
            if isinstance(message, Acquisition):
                if len(spool) == 0:
                    begin(name)
                spool.append(message)
            elif isinstance(message, Ignored):
                n_ignored += 1
            elif isinstance(message, Text):
                if len(spool) == 0:
                    name = _renamed(message.content, names) or name
            else:
                raise StreamError(f"a second {_said(message)} came; one connection is one measurement")
        if len(spool) == 0:
            raise StreamError("no acquisitions came before the close message; there is nothing to reconstruct")
        return Measurement(name, header, spool.heads(), spool.samples(), n_ignored)


def _config(connection: Connection, names: Collection[str]) -> str | None:
    message = connection.receive()
    if isinstance(message, Close):
        return None
    if isinstance(message, ConfigText):
        raise StreamError(f"this server takes no configuration from a client, only the name of one: {_offer(names)}")
    if not isinstance(message, ConfigName):
        raise StreamError(f"the first message must be a configuration name (1), got {_said(message)}")
    return _offered(message.name, names)


def _header(connection: Connection) -> RawHeader | None:
    message = connection.receive()
    if isinstance(message, Close):
        return None
    if not isinstance(message, Header):
        raise StreamError(f"the second message must be the XML header (3), got {_said(message)}")
    return parse_header(message.xml, path="stream", key="XML header")


def _offered(name: str, names: Collection[str]) -> str:
    if name not in names:
        raise StreamError(f"the configuration asked for is not on offer; {_offer(names)}")
    return name


def _offer(names: Collection[str]) -> str:
    return f"this server has {', '.join(sorted(names))}"


def _renamed(content: bytes, names: Collection[str]) -> str | None:
    """The configuration that JSON parameters choose, as a scanner's user interface sends them; other text is not ours.

    Of the parameters only the name under ``parameters.config`` is used, and it must be on offer.
    """
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    parameters = document.get("parameters") if isinstance(document, dict) else None
    wanted = parameters.get("config") if isinstance(parameters, dict) else None
    return _offered(wanted, names) if isinstance(wanted, str) else None


def _said(message: object) -> str:
    words = {ConfigName: "configuration name (1)", ConfigText: "configuration text (2)", Header: "XML header (3)"}
    others = {Text: "text (5)", Acquisition: "an acquisition (1008)", Ignored: "an image or waveform"}
    return {**words, **others}.get(type(message), "something else")
