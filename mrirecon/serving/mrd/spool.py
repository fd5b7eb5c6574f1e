"""Acquisitions as they come: headers in memory, samples in a file, so that memory does not grow with the scan."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from mrirecon.errors import OutputError
from mrirecon.io.ismrmrd.samples import SpooledSamples
from mrirecon.io.ismrmrd.wire import ACQUISITION_HEAD
from mrirecon.serving.mrd.extent import Allowance
from mrirecon.serving.mrd.messages import Acquisition, StreamError

_VALUE_BYTES = 4
_BUFFER = 1 << 20


class Spool:
    """A growing file of samples; a context manager.

    Parameters
    ----------
    path
        The file to make, readable by its owner alone; its folder is removed by whoever made it.
    allowed
        Of the measurement.
    """

    def __init__(self, path: Path, allowed: Allowance) -> None:
        self.path = path
        self._allowed = allowed
        self._heads = bytearray()
        self._counts: list[int] = []
        self._bytes = 0
        try:
            self._file = path.open("xb", buffering=_BUFFER)
            path.chmod(0o600)
        except OSError as error:
            raise OutputError(f"the spool of the server cannot be written ({error.strerror})") from error

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._counts)

    def append(self, acquisition: Acquisition) -> None:
        """Keep one readout.

        Raises
        ------
        StreamError
            If it is more than the measurement may send.
        OutputError
            If the disk is full.
        """
        n = len(acquisition.samples)
        allowed = self._allowed
        if len(self) >= allowed.acquisitions or self._bytes + n > allowed.data_bytes:
            raise StreamError(
                f"acquisition {len(self)} exceeds what this measurement may send, {allowed.acquisitions} acquisitions "
                f"and {allowed.data_bytes} bytes by its header and the limits of this server"
            )
        try:
            self._file.write(acquisition.samples)
        except OSError as error:
            raise OutputError(f"the spool of the server cannot be written ({error.strerror})") from error
        self._heads += acquisition.head
        self._counts.append(n // _VALUE_BYTES)
        self._bytes += n

    def heads(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        """The headers of all readouts."""
        return np.frombuffer(bytes(self._heads), ACQUISITION_HEAD)

    def samples(self) -> SpooledSamples:
        """The samples of all readouts, complete on the disk."""
        try:
            self._file.flush()
        except OSError as error:
            raise OutputError(f"the spool of the server cannot be written ({error.strerror})") from error
        count = np.array(self._counts, np.int64)
        return SpooledSamples(self.path, _VALUE_BYTES * (np.cumsum(count) - count), count)
