"""The body of a STOW-RS request: files as parts of one message, streamed from disk (PS3.18 10.5, RFC 2387)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from mrirecon.errors import FormatError
from mrirecon.io.dicom.inventory import DicomObject

_BLOCK = 1 << 18


class StowBody:
    """A multipart/related message of DICOM files; at most 256 KiB of it are in memory at a time.

    Parameters
    ----------
    objects
        The files, at least one.
    boundary
        Separates the parts; default 128 random bits, which no file holds by accident.
    """

    def __init__(self, objects: Sequence[DicomObject], *, boundary: str | None = None) -> None:
        self.objects = tuple(objects)
        self._boundary = boundary or f"mrirecon-{secrets.token_hex(16)}"

    @property
    def content_type(self) -> str:
        """Value of the header of that name."""
        return f'multipart/related; type="application/dicom"; boundary={self._boundary}'

    @property
    def length(self) -> int:
        """Bytes of the message, known beforehand because many servers do not take chunks."""
        heads = sum(len(self._head(i)) for i in range(len(self.objects)))
        return heads + sum(o.size for o in self.objects) + len(self._tail())

    def blocks(self) -> Iterator[bytes]:
        """The message in pieces.

        Raises
        ------
        FormatError
            If a file cannot be read or has another length than when it was looked at; the message is then incomplete
            and must not be finished.
        """
        for i, o in enumerate(self.objects):
            yield self._head(i)
            yield from _content(o)
        yield self._tail()

    def _head(self, number: int) -> bytes:
        """Without the transfer syntax, which the file says itself: not every server takes the parameter."""
        lead = "" if number == 0 else "\r\n"
        return f"{lead}--{self._boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")

    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode("ascii")


def _content(o: DicomObject) -> Iterator[bytes]:
    left = o.size
    try:
        with o.path.open("rb") as file:
            while block := file.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    break
                yield block
    except OSError as error:
        raise FormatError(o.path, f"cannot be read any more ({error.strerror or error}); start again") from error
    if left:
        raise FormatError(o.path, "was changed while the folder was being sent; start again")


def stow_batches(
    objects: Sequence[DicomObject], *, most_bytes: int, most_objects: int
) -> Iterator[tuple[DicomObject, ...]]:
    """`objects` in their order in parts of at most so many bytes (a larger one stands alone) and objects."""
    batch: list[DicomObject] = []
    size = 0
    for o in objects:
        if batch and (size + o.size > most_bytes or len(batch) >= most_objects):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(o)
        size += o.size
    if batch:
        yield tuple(batch)
