"""Where the samples of MRD readout lines are kept: in an MRD file, or as they came over a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError
from mrirecon.io.hdf5 import dataset, open_hdf5
from mrirecon.io.ismrmrd.index import DATA

Numbers = NDArray[np.int64]
ReadLines = Callable[[Numbers], Sequence[NDArray[np.float32]]]
"""The stored values (real and imaginary parts in turn) of the lines with the given, ascending numbers."""

_VALUE_BYTES = 4


class Samples(Protocol):
    """The samples of numbered lines; small, so that it can be copied to worker processes."""

    @property
    def path(self) -> Path:
        """The file they are in."""

    def opened(self) -> AbstractContextManager[ReadLines]:
        """Open the file and read lines from it until the block ends."""


@dataclass(frozen=True)
class FileSamples:
    """The samples in an MRD file."""

    path: Path

    @contextmanager
    def opened(self) -> Iterator[ReadLines]:
        with open_hdf5(self.path) as file:
            source = dataset(file, DATA, self.path)
            yield lambda numbers: list(samples_of(source, numbers))


def samples_of(source: Any, numbers: Numbers) -> NDArray[np.object_]:
    """Lines of the data set `source`, which have different lengths; `numbers` must ascend."""
    read = source.fields("data")
    together = numbers.size > 0 and numbers[-1] - numbers[0] == numbers.size - 1
    return np.asarray(read[int(numbers[0]) : int(numbers[-1]) + 1] if together else read[numbers])


@dataclass(frozen=True, eq=False)
class SpooledSamples:
    """The samples of line i in a plain file: ``count[i]`` values of float32, little endian, from byte ``start[i]``."""

    path: Path
    start: NDArray[np.int64]
    count: NDArray[np.int64]

    @contextmanager
    def opened(self) -> Iterator[ReadLines]:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            yield lambda numbers: [self._line(handle, int(number)) for number in numbers]
        finally:
            os.close(handle)

    def _line(self, handle: int, number: int) -> NDArray[np.float32]:
        size = int(self.count[number]) * _VALUE_BYTES
        stored = os.pread(handle, size, int(self.start[number]))
        if len(stored) != size:
            raise FormatError(self.path, f"the samples of acquisition {number} are incomplete; the spool was damaged")
        return np.frombuffer(stored, "<f4")
