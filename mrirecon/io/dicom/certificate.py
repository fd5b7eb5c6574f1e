"""The certificate of a reconstruction as one Secondary Capture image in the same study, which any viewer shows.

An 8-bit grey picture of words (PS3.3 A.8.1). It names no patient, date or place, so it says BurnedInAnnotation NO. The
words are in the header too, where they can be searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from mrirecon.errors import ConfigError
from mrirecon.io.dicom.attributes import RESEARCH_PHRASE
from mrirecon.io.dicom.companion import (
    CompanionReport,
    join_study,
    put_identifiers,
    put_origin,
    read_headers,
    refer_to,
    save_companion,
)
from mrirecon.io.dicom.elements import put, require_series_number, text
from mrirecon.io.raster.certificate import CertificatePage, certificate_picture
from mrirecon.io.raster.text import ascii_text


def write_certificate(
    page: CertificatePage,
    folder: str | Path,
    *,
    beside: Sequence[Path],
    series_number: int,
    simulated: bool = False,
    clock: datetime | None = None,
    overwrite: bool = False,
) -> CompanionReport:
    """Write `page` as ``0001.dcm``.

    Parameters
    ----------
    page
        What it says; free text without identifiers.
    folder
        New or empty folder.
    beside
        The files of the reconstruction, written by `write_dicom`: patient and study are theirs, and they are named as
        what the certificate is about.
    series_number
        Its own, not that of the reconstruction.
    simulated
        Whether the measured data were simulated.
    clock
        Time of writing, default now; fix it for files equal to the byte.
    overwrite
        Replace the files in `folder`.

    Raises
    ------
    ConfigError
        If there is no reconstruction to stand beside, the number is impossible, or the text does not fit.
    OutputError
        If the folder cannot be written.
    """
    if not beside:
        raise ConfigError("a certificate needs the DICOM files of its reconstruction; write them first")
    require_series_number(series_number)
    picture = certificate_picture(page)
    heads = read_headers(beside)
    dataset = _words(page, simulated=simulated)
    join_study(dataset, heads[0])
    put(dataset, "ReferencedImageSequence", refer_to(dataset, heads))
    put_origin(dataset, clock if clock is not None else datetime.now(), "certificate of a reconstruction")
    pixels = picture.tobytes()
    put_identifiers(dataset, heads[0], "certificate", series_number=series_number, pixels=pixels)
    _picture(dataset, picture.shape, pixels)
    return save_companion(dataset, folder, overwrite=overwrite)


def _words(page: CertificatePage, *, simulated: bool) -> Dataset:
    """What the page says, in ASCII: the character set is that of the study."""
    dataset = Dataset()
    first = page.sections[0]
    verdicts = "; ".join(f"{section.title}: {section.verdict}" for section in page.sections)
    sentences = [paragraph for section in page.sections for paragraph in (*section.text, *section.limits)]
    rows = [f"{label}: {value}" for label, value in page.rows]
    put(dataset, "SpecificCharacterSet", "ISO_IR 192")
    put(dataset, "SOPClassUID", SecondaryCaptureImageStorage)
    put(dataset, "Modality", "OT")
    put(dataset, "ConversionType", "SYN")
    put(dataset, "ImageType", ["DERIVED", "SECONDARY", "OTHER"])
    put(dataset, "SyntheticData", "YES" if simulated else "NO")
    put(dataset, "ContentQualification", "RESEARCH")
    put(dataset, "SeriesDescription", text(ascii_text(f"mrirecon certificate {first.verdict}"), 64))
    summary = text(ascii_text(f"{verdicts}; {'; '.join(rows)}"), 900)
    put(dataset, "DerivationDescription", f"{summary}; {RESEARCH_PHRASE}")
    comments = ascii_text(" ".join([*sentences, *page.warnings]))
    put(dataset, "ImageComments", text(f"{RESEARCH_PHRASE}; {comments}", 10000))
    return dataset


def _picture(dataset: Dataset, shape: tuple[int, ...], pixels: bytes) -> None:
    put(dataset, "PatientOrientation", None)
    put(dataset, "BurnedInAnnotation", "NO")
    put(dataset, "RecognizableVisualFeatures", "NO")
    put(dataset, "LossyImageCompression", "00")
    put(dataset, "PresentationLUTShape", "IDENTITY")
    put(dataset, "SamplesPerPixel", 1)
    put(dataset, "PhotometricInterpretation", "MONOCHROME2")
    put(dataset, "Rows", shape[0])
    put(dataset, "Columns", shape[1])
    put(dataset, "BitsAllocated", 8)
    put(dataset, "BitsStored", 8)
    put(dataset, "HighBit", 7)
    put(dataset, "PixelRepresentation", 0)
    put(dataset, "WindowCenter", 128)
    put(dataset, "WindowWidth", 256)
    put(dataset, "PixelData", pixels)
