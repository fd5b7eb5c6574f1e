"""What companion objects of a reconstruction share: its patient and study, references to it, identifiers, one file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

import mrirecon
from mrirecon.io.atomic import atomic_folder
from mrirecon.io.dicom.attributes import processing_equipment, put_moment, version_text
from mrirecon.io.dicom.elements import copy_element, derived_uid, item, put
from mrirecon.io.dicom.series import file_meta
from mrirecon.io.dicom.template import IDENTITY

_ALSO = ("SpecificCharacterSet", "BodyPartExamined", "Laterality")


@dataclass(frozen=True)
class CompanionReport:
    """A series of one file that was written beside a reconstruction: the file, its identifiers and number."""

    path: Path
    study_uid: str
    series_uid: str
    series_number: int


def read_headers(paths: Sequence[Path]) -> list[Dataset]:
    """The headers of a series that this program wrote, without pixels."""
    return [dcmread(path, stop_before_pixels=True) for path in paths]


def join_study(dataset: Dataset, head: Dataset) -> None:
    """Patient and study as in `head`, to the byte, so that archives file both together."""
    for keyword in (*_ALSO, *IDENTITY):
        if keyword in head:
            copy_element(dataset, head, keyword)


def refer_to(dataset: Dataset, heads: Sequence[Dataset]) -> list[Dataset]:
    """Name a series and all its instances as related; the items that do."""
    related = [item(ReferencedSOPClassUID=h.SOPClassUID, ReferencedSOPInstanceUID=h.SOPInstanceUID) for h in heads]
    series = item(SeriesInstanceUID=heads[0].SeriesInstanceUID, ReferencedInstanceSequence=related)
    put(dataset, "ReferencedSeriesSequence", [series])
    return related


def put_origin(dataset: Dataset, moment: datetime, what: str) -> None:
    """This program as the equipment that made the object, when, and `what` it contributed."""
    put_moment(dataset, moment)
    put(dataset, "Manufacturer", "mrirecon project")
    put(dataset, "ManufacturerModelName", "mrirecon")
    put(dataset, "SoftwareVersions", version_text())
    put(dataset, "ContributingEquipmentSequence", [processing_equipment(moment, what)])


def put_identifiers(dataset: Dataset, head: Dataset, kind: str, *, series_number: int, pixels: bytes) -> str:
    """Number and identifiers of a series of one instance, derived from what it is and holds; that of the series."""
    digest = hashlib.sha256(pixels).hexdigest()
    uid = derived_uid(kind, mrirecon.__version__, str(head.SeriesInstanceUID), series_number, digest)
    put(dataset, "SeriesNumber", series_number)
    put(dataset, "SeriesInstanceUID", uid)
    put(dataset, "SOPInstanceUID", derived_uid("instance", str(uid), 1))
    put(dataset, "InstanceNumber", 1)
    return str(uid)


def save_companion(dataset: Dataset, folder: str | Path, *, overwrite: bool) -> CompanionReport:
    """Write the object as ``0001.dcm`` into a new or empty folder; `OutputError` if it cannot be written."""
    with atomic_folder(folder, overwrite=overwrite, suffixes=(".dcm",)) as temporary:
        dataset.file_meta = file_meta(dataset)
        dataset.save_as(temporary / "0001.dcm", enforce_file_format=True)
    return CompanionReport(
        Path(folder) / "0001.dcm",
        str(dataset.StudyInstanceUID),
        str(dataset.SeriesInstanceUID),
        int(dataset.SeriesNumber),
    )
