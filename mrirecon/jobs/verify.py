"""The `verify` job: compare a written series with the scanner's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mrirecon.errors import FormatError
from mrirecon.evaluation.agreement.findings import Finding
from mrirecon.evaluation.agreement.series import Agreement, compare_series
from mrirecon.evaluation.agreement.tolerances import Tolerances
from mrirecon.io.dicom.stack import DicomStack, read_dicom_stack


def verify_series(series: Path, against: Path, tolerances: Tolerances | None = None) -> Agreement:
    """Compare the series in `series` (a DICOM folder, or what `recon` wrote) with the one in `against`.

    Raises
    ------
    FormatError
        If a folder holds no single series of placed images, or they cannot be decoded.
    """
    return compare_series(_stack(series), _stack(against), tolerances or Tolerances())


def _stack(folder: Path) -> DicomStack:
    if not folder.exists():
        raise FormatError(folder, "there is no such folder; give one with a DICOM series")
    results = folder / "dicom"
    return read_dicom_stack(results if (folder / "provenance.json").is_file() and results.is_dir() else folder)


def render_agreement(agreement: Agreement) -> str:
    """The comparison as a block of text, the verdict last."""
    lines = []
    for title, found in (("place", agreement.place), ("pictures", agreement.pictures)):
        lines.append(title)
        width = max(len(f.name) for f in found)
        lines += [f"  {_mark(f)} {f.name:<{width}}  {f.text}" for f in found]
    return "\n".join([*lines, agreement.sentence])


def record_agreement(agreement: Agreement, series: Path, against: Path) -> dict[str, Any]:
    """The comparison for machines; folders by their last name only."""
    return {"series": series.resolve().name, "against": against.resolve().name, **agreement.record()}


def _mark(finding: Finding) -> str:
    return {True: "ok  ", False: "NO  ", None: "note"}[finding.agrees]
