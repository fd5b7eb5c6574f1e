"""Small DICOM files, written without the package, for tests of sending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from mrirecon.io.dicom.inventory import DicomObject, dicom_inventory

__all__ = ["CTImageStorage", "MRImageStorage", "objects_in", "write_object", "write_series"]


def write_object(
    path: Path, *, sop_class: str = MRImageStorage, syntax: str = ExplicitVRLittleEndian, side: int = 16, **values: Any
) -> Path:
    """One image of `side` x `side` pixels; `values` are further attributes, None removes one."""
    data = Dataset()
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    data.PatientName = "ANON^0001"
    data.PatientID = "ANON-0001"
    data.PatientBirthDate = ""
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "test"
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(path.parent)])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(path.parent)])
    data.Modality = "MR"
    data.StudyDate, data.StudyTime, data.AccessionNumber = "19000101", "000000", ""
    data.SeriesNumber, data.InstanceNumber = 1, int("".join(c for c in path.stem if c.isdigit()) or 0)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = side
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = bytes((i * 37 + data.InstanceNumber) % 251 for i in range(64)) * (side * side * 2 // 64)
    for keyword, value in values.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.get("SOPInstanceUID", "1.2.3")
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, n: int = 4, **values: Any) -> Path:
    """`folder` with 0001.dcm ... of one series."""
    for i in range(1, n + 1):
        write_object(folder / f"{i:04d}.dcm", **values)
    return folder


def objects_in(folder: Path) -> tuple[DicomObject, ...]:
    return dicom_inventory(folder).objects
