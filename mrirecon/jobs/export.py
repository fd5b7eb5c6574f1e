"""A reconstructed series to files: all of them appear together, or none."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from mrirecon.io.atomic import atomic_folder
from mrirecon.io.dicom import write_dicom
from mrirecon.io.intensity import series_intensity
from mrirecon.io.nifti import write_nifti
from mrirecon.io.provenance import (
    Provenance,
    geometry_record,
    input_records,
    output_records,
    software_versions,
    write_provenance,
)
from mrirecon.io.raster import write_contact_sheet
from mrirecon.jobs.reconstruct import Outcome
from mrirecon.records import to_mapping
from mrirecon.scan import ImageSeries


@dataclass(frozen=True)
class Formats:
    """Which files to write; the provenance record is always written."""

    dicom: bool = True
    nifti: bool = True
    png: bool = True
    npy: bool = False


@dataclass(frozen=True)
class Export:
    """What was written, relative to the output folder, and what the user should know."""

    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    series: ImageSeries


def export(
    outcome: Outcome,
    out: Path,
    *,
    formats: Formats,
    template: Path | None,
    overwrite: bool,
    started: datetime,
    source: Path,
) -> Export:
    """Write the chosen files into `out`.

    Layout: ``dicom/0001.dcm ...``, ``image.nii.gz``, ``image.png``, ``image.npy``, ``provenance.json``.

    Raises
    ------
    OutputError
        If `out` exists (without `overwrite`) or cannot be written; nothing is left behind.
    MrireconError
        If a format cannot represent the series, or the template does not fit.
    """
    series, warnings = outcome.series, outcome.series.warnings
    intensity = series_intensity(series)
    factor, report = intensity.factor, None
    with atomic_folder(out, overwrite=overwrite, marker="provenance.json") as folder:
        if formats.dicom:
            report = write_dicom(series, folder / "dicom", template=template)
            factor = report.factor
            warnings = (*warnings, *(w for w in report.warnings if w not in warnings))
            series = dataclasses.replace(series, geometry=report.geometry)
        if formats.nifti:
            write_nifti(series, folder / "image.nii.gz", factor=factor)
        if formats.png:
            write_contact_sheet(series, folder / "image.png")
        if formats.npy:
            np.save(folder / "image.npy", series.image)
        written = sorted(path for path in folder.rglob("*") if path.is_file())
        record = Provenance(
            method=outcome.config.method.kind,
            inputs=input_records(_input_files(source)),
            outputs=output_records(folder, written),
            configuration=to_mapping(outcome.config),
            geometry=geometry_record(series.geometry),
            software=software_versions(),
            scale_factor=factor,
            mask=outcome.card.to_dict() if outcome.card else None,
            seed=outcome.config.seed,
            series_uid=report.series_uid if report else None,
            timings_s={name: round(value, 3) for name, value in outcome.seconds.items()},
            warnings=warnings,
            notes=(*outcome.notes, *_figures(outcome)),
            created=started.isoformat(timespec="seconds"),
        )
        write_provenance(folder / "provenance.json", record)
        files = tuple(path.relative_to(folder) for path in (*written, folder / "provenance.json"))
    return Export(files, warnings, series)


def _input_files(source: Path) -> tuple[Path, ...]:
    """The files a scan came from: both of a BART pair."""
    pair = source.with_suffix(".hdr"), source.with_suffix(".cfl")
    return pair if all(p.is_file() for p in pair) else (source,)


def _figures(outcome: Outcome) -> tuple[str, ...]:
    """What the iterations reached, in words."""
    lines: tuple[str, ...] = (f"Scale: k-space divided by {outcome.calibration.scale:.6g} and multiplied back.",)
    if outcome.data_residual:
        largest = max(outcome.data_residual)
        lines += (
            f"{outcome.iterations} iterations at most, stopping residual {outcome.residual:.2e} at most; "
            f"||A x - y|| / ||y|| {largest:.3f} at most.",
        )
    return lines
