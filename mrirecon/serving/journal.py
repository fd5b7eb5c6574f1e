"""What an archive has confirmed, written down beside the folder, so that nothing confirmed is sent again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mrirecon.errors import OutputError
from mrirecon.io.dicom.inventory import DicomObject


class Journal:
    """A text file with one line per confirmation, appended the moment it arrives.

    A line names the archive, the object and the state of its file (size and time of modification): a file that was
    written anew is sent anew. A line that an interruption cut short is passed over; so the worst that a crash can do
    is that one object is sent twice, which archives take for one.

    Parameters
    ----------
    path
        The file; made with the first confirmation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._torn = False

    def confirmed(self, archive: str, objects: Iterable[DicomObject]) -> frozenset[str]:
        """Identifiers of those `objects` that `archive` confirmed earlier and whose files are unchanged since."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._problem(error) from error
        self._torn = bool(content) and not content.endswith(b"\n")
        lines = {_entry(line) for line in content.splitlines()}
        return frozenset(o.sop_instance for o in objects if (archive, o.sop_instance, o.size, o.modified_ns) in lines)

    def add(self, archive: str, sent: DicomObject) -> None:
        """Write down that `archive` confirmed `sent`; `OutputError` if that is not possible."""
        entry = {"to": archive, "object": sent.sop_instance, "size": sent.size, "modified_ns": sent.modified_ns}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(("\n" if self._torn else "") + json.dumps(entry) + "\n")
        except OSError as error:
            raise self._problem(error) from error
        self._torn = False

    def check(self) -> None:
        """Raise `OutputError` if it cannot be written; better before the sending than after it."""
        existed = self.path.exists()
        try:
            with self.path.open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise self._problem(error) from error
        if not existed:
            self.path.unlink(missing_ok=True)

    def _problem(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}, where confirmations are written down, cannot be used ({error.strerror or error}); "
            "name another file with --state"
        )


def _entry(line: bytes) -> tuple[object, ...] | None:
    try:
        entry = json.loads(line)
        key = (entry["to"], entry["object"], entry["size"], entry["modified_ns"])
        return key if all(isinstance(v, str | int) for v in key) else None
    except (ValueError, KeyError, TypeError):
        return None
