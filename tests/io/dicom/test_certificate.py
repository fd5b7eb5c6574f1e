"""The certificate image: a member of the study that any viewer shows, valid, and without identifiers."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from mrirecon.errors import ConfigError
from mrirecon.io.dicom.certificate import write_certificate
from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.dicom.template import IDENTITY
from mrirecon.io.raster.certificate import SIZE, CertificatePage, CertificateSection, certificate_picture
from tests.acceptance import checks
from tests.io.phantom_series import make_phantom
from tests.io.scanner_series import scanner_series

PAGE = CertificatePage(
    title="Certificate",
    sections=(
        CertificateSection("Does it agree?", "PASS", "good", ("It agrees.",), ("It cannot vouch for the rest.",)),
        CertificateSection("Is it alike?", "NOT ASSESSED", "unknown", ("Not run.",)),
    ),
    rows=(("Method", "sense"), ("Checkpoint", "mri-small, SHA-256 " + 8 * "01234567"), ("Coils", "8")),
    warnings=("Simulated.", "Émile's network."),
    footer="research use only",
    mask=np.arange(96)[:, None] % 4 == np.zeros((1, 128)),
)
CLOCK = datetime(2026, 1, 2, 3, 4, 5)


def errors(path: Path) -> list[str]:
    text = checks.output_of(checks.program("dciodvfy"), "-new", path)
    return [line for line in text.splitlines() if line.startswith(("Error", "Warning"))]


@pytest.mark.parametrize("with_template", [False, True])
def test_it_joins_the_study_and_is_valid(tmp_path: Path, with_template: bool) -> None:
    template = scanner_series(tmp_path / "scanner") if with_template else None
    image = write_dicom(make_phantom().series, tmp_path / "image", template=template, clock=CLOCK)
    report = write_certificate(
        PAGE, tmp_path / "page", beside=image.paths, series_number=image.series_number + 3, clock=CLOCK
    )
    head, page = pydicom.dcmread(image.paths[0]), pydicom.dcmread(report.path)
    assert page.SOPClassUID == SecondaryCaptureImageStorage
    assert {k: page.get(k) for k in IDENTITY} == {k: head.get(k) for k in IDENTITY}
    assert page.SeriesInstanceUID not in (head.SeriesInstanceUID, "2.25.2")
    assert page.SeriesNumber == head.SeriesNumber + 3
    assert page.SeriesDescription == "mrirecon certificate PASS"
    assert (page.BurnedInAnnotation, page.PhotometricInterpretation, page.BitsAllocated) == ("NO", "MONOCHROME2", 8)
    assert page.pixel_array.shape == (SIZE, SIZE)
    np.testing.assert_array_equal(page.pixel_array, certificate_picture(PAGE))
    referred = page.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == image.series_uid
    uids = {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in image.paths}
    assert {i.ReferencedSOPInstanceUID for i in referred.ReferencedInstanceSequence} == uids
    assert "cannot vouch for the rest" in page.ImageComments
    assert "Emile" in page.ImageComments
    assert not any(e.tag.is_private for e in page.iterall())
    assert errors(report.path) == []
    every = [*image.paths, report.path, *(sorted(template.glob("*.dcm")) if template else ())]
    found = checks.output_of(checks.program("dcentvfy"), *every)
    assert "Error" not in found, found


def test_the_same_again_is_the_same_object_and_another_verdict_another(tmp_path: Path) -> None:
    image = write_dicom(make_phantom(shape=(2, 20, 24)).series, tmp_path / "image", clock=CLOCK)
    options: dict[str, Any] = {"beside": image.paths, "series_number": 7, "clock": CLOCK}
    one = write_certificate(PAGE, tmp_path / "1", **options)
    two = write_certificate(PAGE, tmp_path / "2", **options)
    assert one.path.read_bytes() == two.path.read_bytes()
    failed = dataclasses.replace(PAGE.sections[0], verdict="FAIL", tone="bad")
    other = dataclasses.replace(PAGE, sections=(failed, PAGE.sections[1]))
    assert write_certificate(other, tmp_path / "3", **options).series_uid != one.series_uid


def test_every_verdict_looks_different_in_grey() -> None:
    pictures = {}
    for tone in ("good", "bad", "unknown"):
        page = dataclasses.replace(PAGE, sections=(CertificateSection("Q", "X", tone, ()),))  # type: ignore[arg-type]
        pictures[tone] = certificate_picture(page)
    boxes = {tone: float((picture[60:160, 36:90] > 128).mean()) for tone, picture in pictures.items()}
    assert boxes["bad"] > 3 * boxes["good"] > 3 * boxes["unknown"] > 0


def test_long_pages_shrink_and_then_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts, limits and rows always fit; what gives way is counted on the page."""
    many = dataclasses.replace(PAGE, warnings=tuple(f"Warning {i} " + 20 * "word " for i in range(30)))
    drawn: list[str] = []
    original = certificate_picture.__globals__["_drawn"]

    def spy(page: CertificatePage, warnings: tuple[str, ...], size: int) -> Any:
        drawn[:] = warnings
        return original(page, warnings, size)

    monkeypatch.setitem(certificate_picture.__globals__, "_drawn", spy)
    picture = certificate_picture(many)
    assert drawn[-1] == f"{30 - (len(drawn) - 1)} more: see the record provenance.json"
    assert 3 < len(drawn) < 30
    assert picture[-9:].max() == 0, "nothing is cut at the edge"
    endless = dataclasses.replace(PAGE, rows=PAGE.rows * 40)
    with pytest.raises(ConfigError, match="1024 fit"):
        certificate_picture(endless)


def test_it_can_be_read_half_as_large() -> None:
    """Letters of the smallest writing stay at least 7 pixels high when the page is shown on 512 x 512 pixels."""
    many = dataclasses.replace(PAGE, warnings=tuple(f"Warning {i} " + 20 * "word " for i in range(30)))
    rows = certificate_picture(many).max(axis=1) > 128
    last = np.flatnonzero(rows)
    runs = np.split(last, np.flatnonzero(np.diff(last) > 1) + 1)
    assert len(runs[-1]) >= 14


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the DICOM files"):
        write_certificate(PAGE, tmp_path / "x", beside=(), series_number=1)
    with pytest.raises(ConfigError, match="`series_number` must be positive"):
        write_certificate(PAGE, tmp_path / "x", beside=(tmp_path / "a.dcm",), series_number=0)
    assert not (tmp_path / "x").exists()
