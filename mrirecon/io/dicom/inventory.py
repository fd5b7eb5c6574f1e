"""What a folder of DICOM files holds that another computer will ask for: classes, identifiers, encodings, whose it is.

Nothing that identifies a patient is kept: patients are told apart by a digest, attributes are named without values.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.uid import UID

from mrirecon.errors import FormatError
from mrirecon.io.dicom.quiet import quiet_dicom

_LAST = 0x0020000E  # SeriesInstanceUID: nothing behind it is needed
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")
_DIRECT = (
    *("PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "OtherPatientIDs", "OtherPatientNames"),
    *("PatientMotherBirthName", "MilitaryRank", "InstitutionName", "InstitutionAddress", "ReferringPhysicianName"),
    *("PerformingPhysicianName", "OperatorsName", "AccessionNumber"),
)
_DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory: an index of files, no object of its own
_IDENTIFIER = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_IDENTIFIER = 64


@dataclass(frozen=True)
class DicomObject:
    """One file, as an archive will know it.

    Parameters
    ----------
    path
        The file.
    sop_class, sop_instance, transfer_syntax, study, series
        Unique identifiers.
    patient
        Digest of the attributes that tell patients apart; equal for equal patients, good for nothing else.
    identity_removed
        Whether the file says PatientIdentityRemoved = YES.
    contradictions
        Names of directly identifying attributes that are filled although the identity is said to be removed.
    size
        Bytes of the file.
    modified_ns
        Time of its last modification; with `size` it tells whether a file is still the one that was sent.
    """

    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    study: str
    series: str
    patient: str
    identity_removed: bool
    contradictions: tuple[str, ...]
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Inventory:
    """The objects of a folder in the order of their paths, and how many directory files were passed over."""

    objects: tuple[DicomObject, ...]
    directories: int

    @property
    def patients(self) -> int:
        return len({o.patient for o in self.objects})

    @property
    def studies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(o.study for o in self.objects))

    @property
    def size(self) -> int:
        return sum(o.size for o in self.objects)

    @property
    def identifiable(self) -> int:
        """Number of objects that do not say that the patient's identity was removed."""
        return sum(not o.identity_removed for o in self.objects)


def dicom_inventory(folder: str | Path) -> Inventory:
    """Every file of `folder` and its subfolders as a `DicomObject`; media directory files (DICOMDIR) are left out.

    Parameters
    ----------
    folder
        Holds DICOM files and nothing else.

    Raises
    ------
    FormatError
        If it is no folder, is empty, holds anything that is no DICOM file, a file lacks an identifier or contradicts
        its own file header, or two files are the same object.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FormatError(root, "expected a folder of DICOM files, found " + ("a file" if root.exists() else "nothing"))
    objects: list[DicomObject] = []
    foreign: list[Path] = []
    directories = 0
    with quiet_dicom():
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            header = _header(path)
            if header is None:
                foreign.append(path)
            elif header.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
                directories += 1
            else:
                objects.append(_object(path, header))
    if foreign:
        raise FormatError(root, _foreign_text(root, foreign, len(objects)))
    if not objects:
        raise FormatError(root, "holds no DICOM file; give the folder that does")
    _no_duplicates(root, objects)
    return Inventory(tuple(objects), directories)


def _header(path: Path) -> Any:
    """The data set up to the series identifier with its file header; None if the file is no DICOM file."""
    try:
        with path.open("rb") as file:
            return read_partial(file, stop_when=lambda tag, vr, length: int(tag) > _LAST)
    except InvalidDicomError:
        return None
    except (OSError, EOFError, ValueError, AttributeError, NotImplementedError) as error:
        raise FormatError(path, f"cannot be read ({type(error).__name__}); write it again or leave it out") from error


def _object(path: Path, header: Dataset) -> DicomObject:
    values = {keyword: str(header.get(keyword) or "").strip() for keyword in _NEEDED}
    meta = header.file_meta
    values["TransferSyntaxUID"] = str(meta.get("TransferSyntaxUID") or "")
    for keyword, value in values.items():
        if len(value) > _LONGEST_IDENTIFIER or not _IDENTIFIER.fullmatch(value):
            state = "an unreadable" if value else "no"
            raise FormatError(path, f"has {state} {keyword}, expected a unique identifier; write it again", key=keyword)
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if str(meta.get(f"MediaStorage{keyword}") or "") != values[keyword]:
            raise FormatError(
                path, f"its file header names another {keyword} than its data set; write it again", key=keyword
            )
    removed = str(header.get("PatientIdentityRemoved") or "").strip().upper() == "YES"
    told_apart = "\0".join(str(header.get(keyword) or "").strip() for keyword in _PATIENT)
    status = path.stat()
    return DicomObject(
        path=path,
        sop_class=values["SOPClassUID"],
        sop_instance=values["SOPInstanceUID"],
        transfer_syntax=values["TransferSyntaxUID"],
        study=values["StudyInstanceUID"],
        series=values["SeriesInstanceUID"],
        patient=hashlib.sha256(told_apart.encode()).hexdigest(),
        identity_removed=removed,
        contradictions=tuple(k for k in _DIRECT if removed and str(header.get(k) or "").strip()),
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _foreign_text(root: Path, foreign: list[Path], n_objects: int) -> str:
    names = ", ".join(str(p.relative_to(root)) for p in foreign[:3]) + (", ..." if len(foreign) > 3 else "")
    remedy = "move them elsewhere"
    if (root / "dicom").is_dir():
        remedy = f"give {root / 'dicom'} instead"
    return f"{len(foreign)} files are no DICOM files ({names}), beside {n_objects} that are; {remedy}"


def _no_duplicates(root: Path, objects: list[DicomObject]) -> None:
    seen: dict[str, Path] = {}
    for o in objects:
        if o.sop_instance in seen:
            first, second = (p.relative_to(root) for p in (seen[o.sop_instance], o.path))
            raise FormatError(
                root, f"{first} and {second} are the same object (SOPInstanceUID), expected each once; remove one"
            )
        seen[o.sop_instance] = o.path


def identifier_name(identifier: str) -> str:
    """The standard's name of a class or transfer syntax, or the identifier itself where it has none."""
    return str(UID(identifier).name)
