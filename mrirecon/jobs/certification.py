"""The data-consistency certificate of a reconstruction job, from what every plane left behind."""

from __future__ import annotations

from collections.abc import Sequence

from mrirecon.jobs.calibrate import Calibration
from mrirecon.jobs.plane_worker import PlaneRecord
from mrirecon.metrics.certificate import CertificateResult, certificate, untested

FALSE_ALARM_RATE = 0.01
TOLERANCE = 0.03
"""Estimated sensitivities and regularised fits leave 1 to 2 % of the signal in scans without any fault."""


def certification(
    records: Sequence[PlaneRecord], calibration: Calibration, *, is_3d: bool, first_plane: int, with_maps: bool
) -> CertificateResult:
    """The certificate of the whole series; planes without data do not count.

    Parameters
    ----------
    records
        Of all planes, in order.
    calibration
        With the noise level and where it came from.
    is_3d
        Whether planes are positions along the readout rather than slices.
    first_plane
        Number of the first slice of the series in the scan.
    with_maps
        Whether the image was made with sensitivity maps; without them it keeps no phase and predicts no coil.
    """
    noise = calibration.residual_noise
    if not with_maps:
        reason = "the coils were combined as a root sum of squares, which cannot be compared with k-space"
        return untested(reason, false_alarm_rate=FALSE_ALARM_RATE, source=noise.source if noise.known else "unknown")
    if not noise.known:
        return untested("the noise of this scan is unknown, as its coils were not whitened")
    tested = [(first_plane + i, record.energy) for i, record in enumerate(records) if record.energy is not None]
    if not tested:
        return untested("no plane holds data", source=noise.source)
    return certificate(
        [energy for _, energy in tested],
        noise=noise,
        false_alarm_rate=FALSE_ALARM_RATE,
        tolerance=TOLERANCE,
        planes="readout" if is_3d else "slices",
        numbers=[number for number, _ in tested],
    )
