"""Reading DICOM without remarks: the library repeats values that it finds odd, and those may be a patient's.

Whatever is used of a header is checked where it is used, in our own words and without the value.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mrirecon.errors import FormatError

_LIBRARY = "pydicom"


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """No warning and no log record of pydicom reaches anybody from this thread until the block ends."""
    here = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    names = [_LIBRARY, *(n for n in logging.Logger.manager.loggerDict if n.startswith(f"{_LIBRARY}."))]
    loggers = [logging.getLogger(name) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.addFilter(from_elsewhere)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(from_elsewhere)


def whole_number(path: Path, header: Dataset, keyword: str) -> int:
    """A positive whole number of a header; `FormatError` without the value if it is none."""
    try:
        value = int(header.get(keyword))
    except (TypeError, ValueError):
        value = 0
    if value < 1:
        raise FormatError(
            path, "must be a positive whole number; the header is damaged, copy the file again", key=keyword
        )
    return value


def finite_numbers(header: Dataset, keyword: str, count: int) -> NDArray[np.float64] | None:
    """So many finite numbers of a header; None if it has not got them."""
    try:
        values = np.array([float(v) for v in header.get(keyword)], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return values if values.shape == (count,) and np.isfinite(values).all() else None
