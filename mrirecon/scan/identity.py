"""Who was examined: read only when it is asked for, printed never."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, repr=False)
class Identity:
    """Patient and study of a raw header, in DICOM's form; None where the header says nothing.

    Its printed form names the fields that are known and none of their values, so that no log can hold them.

    Parameters
    ----------
    patient_name
        Components separated by ``^``.
    patient_id
        As in the hospital.
    birth_date, study_date
        YYYYMMDD.
    sex
        M, F or O.
    study_time
        HHMMSS.
    study_instance_uid, frame_of_reference_uid
        The scanner's own, so that a series joins the examination.
    study_id, study_description, accession_number, referring_physician
        As in the header.
    """

    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    study_instance_uid: str | None = None
    frame_of_reference_uid: str | None = None
    study_id: str | None = None
    study_date: str | None = None
    study_time: str | None = None
    study_description: str | None = None
    accession_number: str | None = None
    referring_physician: str | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """Names of the fields that have a value."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is not None)

    def __repr__(self) -> str:
        return f"Identity(of {', '.join(self.known) or 'nothing'})"
