"""Patient and study of a raw file, for a user who asked to keep them; nothing else of the package reads them.

No message of this module repeats a value: an entry that DICOM cannot hold is named and left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from mrirecon.errors import ConfigError
from mrirecon.io.base import Format, detect_format
from mrirecon.scan.identity import Identity

KEPT_FROM: tuple[Format, ...] = ("ismrmrd", "fastmri", "twix")
"""Formats whose headers may say who was examined."""

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_UID_LENGTH = 64
_SEXES = {"M": "M", "F": "F", "O": "O", "MALE": "M", "FEMALE": "F", "OTHER": "O"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_LIMITS = {"patient_name": 64, "patient_id": 64, "study_id": 16, "study_description": 64, "accession_number": 16,
           "referring_physician": 64}  # fmt: skip


def read_identity(path: str | Path) -> tuple[Identity, tuple[str, ...]]:
    """Who was examined, as the header of a raw file says, and names of entries that have no legal DICOM form.

    Raises
    ------
    FormatError
        If the file cannot be read.
    ConfigError
        If its format has no place for a patient, or the header says nothing.
    """
    path = Path(path)
    kind = detect_format(path)
    if kind not in KEPT_FROM:
        raise ConfigError(
            f"{path.name}: files of format {kind} do not say who was examined, so there is nothing to keep; give the "
            "scanner's series with --template to join its study"
        )
    entries = _twix(path) if kind == "twix" else _xml(path, fastmri=kind == "fastmri")
    identity, refused = _checked(entries)
    if not {"patient_name", "patient_id", "study_instance_uid"} & set(identity.known):
        raise ConfigError(
            f"{path.name}: its header names neither a patient nor a study, so there is nothing to keep; leave the "
            "option out, or give the scanner's series with --template"
        )
    return identity, refused


def _checked(entries: dict[str, str | None]) -> tuple[Identity, tuple[str, ...]]:
    values, refused = {}, []
    for name, raw in entries.items():
        text = (raw or "").strip()
        if not text or not text.strip("xX"):  # blanked by an anonymiser
            continue
        value = _legal(name, text)
        if value is None:
            refused.append(name)
        else:
            values[name] = value
    return Identity(**values), tuple(refused)


def _legal(name: str, text: str) -> str | None:
    """The value in DICOM's form, None where it has none."""
    if name.endswith("_uid"):
        return text if len(text) <= _UID_LENGTH and _UID.fullmatch(text) else None
    if name.endswith("_date"):
        digits = re.sub(r"[-./]", "", text)
        return digits if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", digits) else None
    if name == "study_time":
        digits = text.replace(":", "")
        return digits if re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", digits) else None
    if name == "sex":
        return _SEXES.get(text.upper())
    if _CONTROL.search(text) or len(text) > _LIMITS[name]:
        return None
    return text


def _xml(path: Path, *, fastmri: bool) -> dict[str, str | None]:
    """From the MRD header, and for fastMRI from the attribute beside it."""
    from mrirecon.io.hdf5 import has_dataset, open_hdf5, text_of
    from mrirecon.io.ismrmrd.header import parse_header

    key = "ismrmrd_header" if fastmri else "dataset/xml"
    attribute = None
    xml = b""
    with open_hdf5(path) as file:
        if has_dataset(file, key):
            xml = text_of(file[key])
        if fastmri:
            attribute = file.attrs.get("patient_id")
    entries: dict[str, str | None] = {}
    if xml:
        parse_header(xml, path=path, key=key)  # refuses what is no header
        root = ElementTree.fromstring(xml.strip(b"\x00 \t\r\n"))
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        for name, where in {
            "patient_name": "subjectInformation/patientName",
            "patient_id": "subjectInformation/patientID",
            "birth_date": "subjectInformation/patientBirthdate",
            "sex": "subjectInformation/patientGender",
            "study_instance_uid": "studyInformation/studyInstanceUID",
            "study_id": "studyInformation/studyID",
            "study_date": "studyInformation/studyDate",
            "study_time": "studyInformation/studyTime",
            "study_description": "studyInformation/studyDescription",
            "accession_number": "studyInformation/accessionNumber",
            "referring_physician": "studyInformation/referringPhysicianName",
            "frame_of_reference_uid": "measurementInformation/frameOfReferenceUID",
        }.items():
            entries[name] = root.findtext(where)
    if attribute is not None and not entries.get("patient_id"):
        entries["patient_id"] = attribute.decode(errors="replace") if isinstance(attribute, bytes) else str(attribute)
    return entries


def _twix(path: Path) -> dict[str, str | None]:
    """From the text of the last measurement's header: parsing would take a number for a number, and its zeros away.

    The code for the sex is not used: its meaning is not documented.
    """
    from mrirecon.io.twix.file import header_text_of, open_twix

    open_twix(path)  # refuses what is damaged
    header = header_text_of(path)
    return {
        "patient_name": _first(header, "tPatientName", "PatientName"),
        "patient_id": _first(header, "PatientID"),
        "birth_date": _first(header, "PatientBirthDay"),
        "study_instance_uid": _first(header, "StudyInstanceUID"),
        "frame_of_reference_uid": _first(header, "tFrameOfReference", "FrameOfReference"),
    }


def _first(header: str, *keys: str) -> str | None:
    """The first filled text parameter; names are UTF-8 in newer files and Latin-1 in older ones."""
    for key in keys:
        for found in re.findall(rf'<ParamString\."{key}">\s*\{{\s*"([^"]*)"\s*\}}', header):
            if found.strip().strip("xX"):
                raw = found.encode("latin1")
                try:
                    return str(raw.decode("utf-8"))
                except UnicodeDecodeError:
                    return str(found)
    return None
