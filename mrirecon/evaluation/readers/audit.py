"""Does an export give a method away? Every attribute and file property compared across the series of a scan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mrirecon.errors import OutputError
from mrirecon.evaluation.readers.key import KeyItem
from mrirecon.io.dicom.blinded import IDENTITY, header_values

TIME = 315532800
"""1 January 1980, 00:00 UTC: of every file, the earliest that archives can carry."""
_RANDOM_UID = re.compile(r"2\.25\.\d{39}(?!\d)")


def series_properties(folder: Path, *, code: str) -> dict[str, str]:
    """Everything a program can learn of a series but its pixels, by name.

    Elements of every slice; names, sizes, times and rights of the files, and their number. Of the elements that tell
    series apart the random part is taken out: the code and identifiers of the given form.
    """
    found: dict[str, str] = {}
    paths = sorted(folder.iterdir())
    found["files"] = " ".join(path.name for path in paths)
    for path in paths:
        status = path.stat()
        found[f"{path.name} size"] = str(status.st_size)
        found[f"{path.name} time"] = str(status.st_mtime_ns)
        found[f"{path.name} rights"] = oct(status.st_mode)
        for name, value in header_values(path).items():
            if name.removeprefix("meta.").removeprefix("MediaStorage") in IDENTITY:
                value = _RANDOM_UID.sub("(random)", value).replace(code, "(code)")
            found[f"{path.name} {name}"] = value
    return found


def audit(dicom: Path, items: Iterable[KeyItem]) -> None:
    """Refuse an export whose blinding does not hold.

    Within a scan every property must be the same for all series (shown alone, on side A, on side B), and all that
    differs must be made of random codes and identifiers.

    Parameters
    ----------
    dicom
        Folder with one folder per item.
    items
        What lies there.

    Raises
    ------
    OutputError
        Naming the attribute that tells series apart.
    """
    first: dict[tuple[str, str, str], tuple[str, dict[str, str]]] = {}
    for item in items:
        for shown, folder in zip(item.shown, series_folders(dicom, item), strict=True):
            here = series_properties(folder, code=item.code)
            side = folder.name if item.kind == "preference" else ""
            where, reference = first.setdefault((shown.input, item.kind, side), (str(folder), here))
            _compare(str(folder), here, where, reference)


def series_folders(dicom: Path, item: KeyItem) -> tuple[Path, ...]:
    """Where the one or two series of an item lie."""
    if len(item.shown) == 1:
        return (dicom / item.code,)
    return dicom / item.code / "A", dicom / item.code / "B"


def _compare(where: str, here: Mapping[str, str], other: str, there: Mapping[str, str]) -> None:
    for name in sorted({*here, *there}):
        if here.get(name) != there.get(name):
            raise OutputError(
                f"the blinding would not hold: {name} is {here.get(name)!r} in {Path(where).name} and "
                f"{there.get(name)!r} in {Path(other).name}, two series of one scan; report this as a bug"
            )
