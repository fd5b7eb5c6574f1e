"""A template as scanners write it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pydicom

from mrirecon.io.dicom.series import write_dicom
from tests.io.phantom_series import Phantom, make_phantom


def scanner_series(folder: Path, *, phantom: Phantom | None = None, character_set: str = "") -> Path:
    """What a scanner would have written of the same phantom: a named patient, private elements, rescale, window."""
    write_dicom((phantom or make_phantom()).series, folder, clock=datetime(2025, 6, 7), series_number=5)
    for path in sorted(folder.glob("*.dcm")):
        head = pydicom.dcmread(path)
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified"):
            del head[keyword]
        head.PatientName, head.PatientID, head.PatientSex, head.PatientBirthDate = "Doe^Jane", "42", "F", "19700101"
        head.StudyInstanceUID, head.SeriesInstanceUID = "2.25.1", "2.25.2"
        head.FrameOfReferenceUID, head.PositionReferenceIndicator = "1.2.840.99999.7", "NA"
        head.SOPInstanceUID = head.file_meta.MediaStorageSOPInstanceUID = f"2.25.4{int(head.InstanceNumber):03d}"
        head.StudyDate, head.StudyTime, head.StudyID, head.AccessionNumber = "20250607", "101112", "7", "A9"
        head.ProtocolName = "t2_tse_tra"
        head.StudyDescription, head.SeriesDescription = "Head", "t2_tse_tra"
        head.EchoTrainLength, head.ScanningSequence, head.SequenceVariant = 15, "SE", "SK"
        if character_set:
            head.SpecificCharacterSet, head.PatientName = character_set, "Müller^Jürgen"
        head.RescaleSlope, head.RescaleIntercept = 2, 0
        head.private_block(0x0029, "VENDOR", create=True).add_new(0x10, "LO", "CANARYPRIVATE")
        head.save_as(path)
    return folder
