"""Reconstructed series to files: all of them appear together, or none."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mrirecon.config.schema import Unfolded
from mrirecon.errors import ConfigError
from mrirecon.io.atomic import atomic_folder
from mrirecon.io.dicom.series import DicomReport, write_dicom
from mrirecon.io.intensity import series_intensity
from mrirecon.io.nifti.writer import write_nifti
from mrirecon.io.provenance import (
    Provenance,
    geometry_record,
    input_records,
    output_records,
    software_versions,
    write_provenance,
)
from mrirecon.io.raster.contact_sheet import write_contact_sheet
from mrirecon.jobs.companions import CLASSICAL, Companions, classical_record, classical_series, write_companions
from mrirecon.jobs.derivation import spread_summary
from mrirecon.jobs.reconstruct import Outcome
from mrirecon.records import to_mapping
from mrirecon.scan import ImageSeries

SPREAD_MULTIPLE = 16
"""Stored values of a standard-deviation series per stored value of its image series, so that small ones survive."""


@dataclass(frozen=True)
class Formats:
    """Which files to write; the provenance record is always written.

    `samples` adds every posterior sample, in those of NIfTI and NumPy that are written.
    """

    dicom: bool = True
    nifti: bool = True
    png: bool = True
    npy: bool = False
    samples: bool = False

    def __post_init__(self) -> None:
        if self.samples and not (self.nifti or self.npy):
            raise ConfigError("posterior samples are written as NIfTI or NumPy arrays; choose nifti or npy too")


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
    companions: Companions | None = None,
    classical: Outcome | None = None,
) -> Export:
    """Write the chosen files into `out`.

    Layout: ``dicom/0001.dcm ...``, ``image.nii.gz``, ``image.png``, ``image.npy``, ``provenance.json``; where samples
    were drawn also ``dicom_standard_deviation/``, ``standard_deviation.nii.gz`` (``.png``, ``.npy``), and
    ``samples/sample_001.nii.gz ...`` and ``samples.npy`` if they are wanted. NIfTI files are in the units of the
    stored DICOM image; the DICOM standard-deviation series stores `SPREAD_MULTIPLE` times that. `companions` says what
    else is written, see `write_companions`; `classical` is another reconstruction of the same data.

    Raises
    ------
    OutputError
        If `out` exists (without `overwrite`) or cannot be written; nothing is left behind.
    MrireconError
        If a format cannot represent the series, or the template does not fit.
    """
    series, warnings = outcome.series, outcome.series.warnings
    factor, report = series_intensity(series).factor, None
    chosen = companions or Companions()
    beside: dict[str, Any] = {}
    with atomic_folder(out, overwrite=overwrite, marker="provenance.json") as folder:
        if formats.dicom:
            report = write_dicom(series, folder / "dicom", template=template)
            factor = report.factor
            warnings = _joined(warnings, report)
            series = dataclasses.replace(series, geometry=report.geometry)
        _write_plain(series, folder, "image", formats, factor)
        spread, spread_report = None, None
        if outcome.spread is not None and chosen.uncertainty:
            spread = _on_grid(outcome.spread, series, outcome)
            if formats.dicom:
                spread_report = write_dicom(
                    spread, folder / "dicom_standard_deviation", template=template, factor=SPREAD_MULTIPLE * factor
                )
                warnings = _joined(warnings, spread_report)
                beside["standard_deviation"] = {
                    "series_uid": spread_report.series_uid,
                    "scale_factor": spread_report.factor,
                }
            _write_plain(spread, folder, "standard_deviation", formats, factor)
        if classical is not None:
            compared = classical_series(classical, series)
            if report is not None:
                other = write_dicom(
                    compared,
                    folder / "dicom_classical",
                    template=template,
                    factor=factor,
                    series_number=report.series_number + CLASSICAL,
                )
                warnings = _joined(warnings, other)
                beside["classical"] = {"series_uid": other.series_uid, "scale_factor": other.factor}
            beside.setdefault("classical", {}).update(classical_record(classical))
            _write_plain(compared, folder, "classical", formats, factor)
        beside.update(
            write_companions(
                outcome,
                folder,
                chosen,
                png=formats.png,
                image=report,
                spread=None if spread is None or spread_report is None else (spread, spread_report),
                factor=factor,
                shift=outcome.shift,
            )
        )
        if formats.samples:
            _write_samples(outcome, series, folder, formats, factor)
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
            network=_network(outcome),
            companions=beside,
            certificate=to_mapping(outcome.certificate),
            shift=None if outcome.shift is None else to_mapping(outcome.shift),
            identifiers=report.identifiers if report else None,
            timings_s={name: round(value, 3) for name, value in outcome.seconds.items()},
            warnings=warnings,
            notes=(*outcome.notes, *_figures(outcome)),
            created=started.isoformat(timespec="seconds"),
        )
        write_provenance(folder / "provenance.json", record)
        files = tuple(path.relative_to(folder) for path in (*written, folder / "provenance.json"))
    return Export(files, warnings, series)


def _write_plain(series: ImageSeries, folder: Path, name: str, formats: Formats, factor: float) -> None:
    if formats.nifti:
        write_nifti(series, folder / f"{name}.nii.gz", factor=factor)
    if formats.png:
        write_contact_sheet(series, folder / f"{name}.png")
    if formats.npy:
        np.save(folder / f"{name}.npy", series.image)


def _on_grid(spread: ImageSeries, series: ImageSeries, outcome: Outcome) -> ImageSeries:
    """The standard-deviation series on the grid that was written, with a summary of its own."""
    factor = (
        None if outcome.trained is None or outcome.trained.card.uncertainty is None else outcome.trained.spread_factor
    )
    summary = spread_summary(series.derivation.summary, _n_samples(outcome), SPREAD_MULTIPLE, factor=factor)
    derivation = dataclasses.replace(series.derivation, summary=summary)
    return dataclasses.replace(spread, geometry=series.geometry, derivation=derivation)


def _n_samples(outcome: Outcome) -> int:
    method = outcome.config.method
    return method.samples if isinstance(method, Unfolded) else 1


def _write_samples(outcome: Outcome, series: ImageSeries, folder: Path, formats: Formats, factor: float) -> None:
    if formats.nifti:
        (folder / "samples").mkdir()
    for number, image in enumerate(outcome.samples if formats.nifti else (), start=1):
        one = dataclasses.replace(series, image=image)
        write_nifti(one, folder / "samples" / f"sample_{number:03d}.nii.gz", factor=factor)
    if formats.npy:
        np.save(folder / "samples.npy", np.stack(outcome.samples))


def _joined(warnings: tuple[str, ...], report: DicomReport) -> tuple[str, ...]:
    return (*warnings, *(w for w in report.warnings if w not in warnings))


def _input_files(source: Path) -> tuple[Path, ...]:
    """The files a scan came from: both of a BART pair."""
    pair = source.with_suffix(".hdr"), source.with_suffix(".cfl")
    return pair if all(p.is_file() for p in pair) else (source,)


def _network(outcome: Outcome) -> dict[str, Any] | None:
    """Where the weights come from, and by what the data of every plane were divided and their noise in those units."""
    if outcome.trained is None:
        return None
    planes = outcome.planes
    return {
        **outcome.trained.record(),
        "scale": [_rounded(plane.scale) for plane in planes],
        "sigma": [_rounded(plane.sigma) for plane in planes],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _figures(outcome: Outcome) -> tuple[str, ...]:
    """What was reached, in words."""
    lines: tuple[str, ...] = (f"Scale: k-space divided by {outcome.calibration.scale:.6g} and multiplied back.",)
    misfits = [plane.data_residual for plane in outcome.planes if plane.data_residual is not None]
    if not misfits:
        return lines
    misfit = f"||A x - y|| / ||y|| {max(misfits):.3f} at most."
    steps = max(plane.iterations for plane in outcome.planes)
    if outcome.trained is not None:
        lines += (
            "Every plane was divided by a scale of its own, found from its acquired data, for the network, and "
            "multiplied back; see `network.scale`.",
        )
        return (*lines, f"{steps} noise levels; {misfit}")
    residual = max(plane.residual for plane in outcome.planes)
    return (*lines, f"{steps} iterations at most, stopping residual {residual:.2e} at most; {misfit}")
