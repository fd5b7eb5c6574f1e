"""What companion objects of a reconstruction share with it: patient, study, character set, side, and references."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

import mrirecon
from mrirecon.io.dicom.attributes import version_text
from mrirecon.io.dicom.elements import code, copy_element, item, put
from mrirecon.io.dicom.template import IDENTITY

_ALSO = ("SpecificCharacterSet", "BodyPartExamined", "Laterality")


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


def put_moment(dataset: Dataset, moment: datetime) -> None:
    """Date and time of the content and of the instance."""
    for name in ("InstanceCreation", "Content"):
        put(dataset, f"{name}Date", moment.strftime("%Y%m%d"))
        put(dataset, f"{name}Time", moment.strftime("%H%M%S.%f"))


def put_equipment(dataset: Dataset) -> None:
    """This program as the equipment that made the object."""
    put(dataset, "Manufacturer", "mrirecon project")
    put(dataset, "ManufacturerModelName", "mrirecon")
    put(dataset, "SoftwareVersions", version_text())


def contributing_equipment(moment: datetime, what: str) -> Dataset:
    """This program as processing equipment."""
    return item(
        PurposeOfReferenceCodeSequence=[code("109102", "DCM", "Processing Equipment")],
        Manufacturer="mrirecon project",
        ManufacturerModelName="mrirecon",
        SoftwareVersions=mrirecon.__version__,
        ContributionDateTime=moment.strftime("%Y%m%d%H%M%S.%f"),
        ContributionDescription=what,
    )
