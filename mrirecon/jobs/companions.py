"""Companion series of a reconstruction, in its study: a classical reconstruction, a certificate, a parametric map."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrirecon.config.schema import TV, ReconstructionConfig, Sense, Unfolded, Wavelet
from mrirecon.errors import ConfigError
from mrirecon.io.dicom.certificate import write_certificate
from mrirecon.io.dicom.parametric_map import write_parametric_map
from mrirecon.io.dicom.series import DicomReport
from mrirecon.io.raster.certificate import write_certificate_picture
from mrirecon.jobs.certificate_page import certificate_page
from mrirecon.jobs.reconstruct import Outcome
from mrirecon.metrics.shift_report import ShiftReport
from mrirecon.records import to_mapping
from mrirecon.scan import ImageSeries

UNCERTAINTY, CLASSICAL, CERTIFICATE, PARAMETRIC_MAP = 1, 2, 3, 4
"""Series numbers, counted from that of the reconstruction; `write_dicom` numbers standard deviations so by itself."""


@dataclass(frozen=True)
class Companions:
    """What stands beside the reconstruction.

    Parameters
    ----------
    uncertainty
        The standard deviation of methods that draw several samples.
    parametric_map
        The same as a DICOM parametric map with floating-point pixels.
    classical
        A classical reconstruction of the same data, None for none.
    certificate
        A page of text as a DICOM image, and as a PNG where pictures are written.
    """

    uncertainty: bool = True
    parametric_map: bool = False
    classical: Sense | Wavelet | TV | None = None
    certificate: bool = True

    def require(self, config: ReconstructionConfig, *, dicom: bool, demanded: bool) -> None:
        """`ConfigError` before the work if something chosen cannot be made.

        Parameters
        ----------
        config
            Of the reconstruction.
        dicom
            Whether DICOM files are written.
        demanded
            Whether `uncertainty` was asked for rather than left at its default.
        """
        samples = config.method.samples if isinstance(config.method, Unfolded) else 1
        wanted = "parametric-map" if self.parametric_map else "uncertainty"
        if samples == 1 and (self.parametric_map or (self.uncertainty and demanded)):
            raise ConfigError(
                f"companion {wanted} needs several posterior samples, got {samples} with method {config.method.kind}; "
                "draw them with --method unfolded --samples 8, or leave it out"
            )
        if self.parametric_map and not (dicom and self.uncertainty):
            raise ConfigError("companion parametric-map belongs to the DICOM series uncertainty; choose both")
        if self.classical is not None and self.classical.kind == config.method.kind:
            raise ConfigError(
                f"companion classical is method {self.classical.kind}, which the reconstruction is too; choose another "
                "with --classical, or leave it out"
            )


def classical_config(config: ReconstructionConfig, companions: Companions) -> ReconstructionConfig | None:
    """The configuration of the classical companion: the same data, mask and maps; None where there is none."""
    return None if companions.classical is None else dataclasses.replace(config, method=companions.classical)


def classical_series(classical: Outcome, series: ImageSeries) -> ImageSeries:
    """The classical reconstruction on the grid that was written, named as what it is."""
    return dataclasses.replace(
        classical.series, geometry=series.geometry, description=f"{classical.series.description} CLASSICAL"
    )


def classical_record(classical: Outcome) -> dict[str, Any]:
    """How it was made and what its own certificate says, JSON-ready."""
    return {
        "method": to_mapping(classical.config.method),
        "certificate": {name: getattr(classical.certificate, name) for name in ("verdict", "sentence")},
        "seconds": round(sum(classical.seconds.values()), 3),
    }


def write_companions(
    outcome: Outcome,
    folder: Path,
    companions: Companions,
    *,
    png: bool,
    image: DicomReport | None,
    spread: tuple[ImageSeries, DicomReport] | None,
    factor: float,
    shift: ShiftReport | None = None,
) -> dict[str, Any]:
    """Write what stands beside the series of pixels into `folder`, and what the record says about it.

    Layout: ``dicom_certificate/``, ``certificate.png``, ``dicom_parametric_map/``.

    Parameters
    ----------
    outcome
        The reconstruction.
    png
        Whether pictures are written.
    image
        Its DICOM series; None without one, and then there is no DICOM companion.
    spread
        The standard deviation and its DICOM series.
    factor
        Stored value of the image series per unit of the image.
    shift
        For the certificate.
    """
    record: dict[str, Any] = {}
    if companions.certificate:
        page = certificate_page(outcome, series_number=None if image is None else image.series_number, shift=shift)
        if png:
            write_certificate_picture(page, folder / "certificate.png")
        if image is not None:
            written = write_certificate(
                page,
                folder / "dicom_certificate",
                beside=image.paths,
                series_number=image.series_number + CERTIFICATE,
                simulated=outcome.series.derivation.simulated,
            )
            record["certificate"] = {"series_uid": written.series_uid, "series_number": written.series_number}
    if companions.parametric_map and image is not None and spread is not None:
        made = write_parametric_map(
            spread[0],
            folder / "dicom_parametric_map",
            beside=spread[1].paths,
            factor=factor,
            series_number=image.series_number + PARAMETRIC_MAP,
        )
        record["parametric_map"] = {"series_uid": made.series_uid, "scale_factor": factor}
    return record
