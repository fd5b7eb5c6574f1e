"""The data-consistency certificate of a reconstruction job, from what every plane left behind."""

from __future__ import annotations

from collections.abc import Sequence

from mrirecon.config.schema import Adjoint, ReconstructionConfig
from mrirecon.errors import ConfigError
from mrirecon.jobs.calibrate import Calibration
from mrirecon.jobs.plane_certificate import CertificateForm
from mrirecon.jobs.plane_worker import PlaneRecord
from mrirecon.metrics.certificate import CertificateResult, certificate, untested
from mrirecon.metrics.certificate_families import Planes

FALSE_ALARM_RATE = 0.01
TOLERANCE = 0.03
"""Estimated sensitivities and regularised fits leave 1 to 2 % of the signal in scans without any fault."""
IMAGE_TOLERANCE = 0.01
"""Sharp form: of what is left in the image, to which errors of the sensitivities contribute little. It is for methods
that are not linear, whose bias differs a little between the scan and its simulation."""
_QUICK_SHARE = 0.1
"""Sharp form: false alarms of the quick test that is made as well, relative to those of the sharp one."""


def require_certificate(form: CertificateForm, config: ReconstructionConfig) -> None:
    """`ConfigError` where a sharp certificate is asked for and the configuration makes it impossible.

    The quick form is made unasked, and says in such a case that it tested nothing.
    """
    if form != "sharp":
        return
    if isinstance(config.method, Adjoint) and config.method.combine == "rss":
        raise ConfigError(
            "a sharp certificate simulates the scan from the image, but the root sum of squares of the coils keeps no "
            "phase; use --combine matched-filter or another --method, or --certificate quick or none"
        )
    if config.preparation.whitening == "none":
        raise ConfigError(
            "a sharp certificate simulates the noise of the scan, whose level is unknown with whitening none; "
            "use --whitening auto, or --certificate quick or none"
        )


def certification(
    records: Sequence[PlaneRecord],
    calibration: Calibration,
    *,
    form: CertificateForm,
    is_3d: bool,
    first_plane: int,
    with_maps: bool,
) -> CertificateResult:
    """The certificate of the whole series; planes without data do not count.

    The sharp form takes what a method does to its own image every time for the method's bias. A method that paints the
    same structure into any image would pass, so the quick test, which knows no bias, must be passed as well.

    Parameters
    ----------
    records
        Of all planes, in order.
    calibration
        With the noise level and where it came from.
    form
        That the records were made for.
    is_3d
        Whether planes are positions along the readout rather than slices.
    first_plane
        Number of the first slice of the series in the scan.
    with_maps
        Whether the image was made with sensitivity maps; without them it keeps no phase and predicts no coil.
    """
    noise = calibration.residual_noise
    if form == "none":
        return untested("no certificate was asked for", source=noise.source if noise.known else "unknown")
    if not with_maps:
        reason = "the coils were combined as a root sum of squares, which cannot be compared with k-space"
        return untested(reason, false_alarm_rate=FALSE_ALARM_RATE, source=noise.source if noise.known else "unknown")
    if not noise.known:
        return untested("the noise of this scan is unknown, as its coils were not whitened")
    tested = [(first_plane + i, r.certificate) for i, r in enumerate(records) if r.certificate is not None]
    if not tested:
        return untested("no plane holds data", source=noise.source)
    planes: Planes = "readout" if is_3d else "slices"
    numbers = [number for number, _ in tested]
    quick = certificate(
        [found.energy for _, found in tested],
        noise=noise,
        false_alarm_rate=FALSE_ALARM_RATE * (_QUICK_SHARE if form == "sharp" else 1.0),
        tolerance=TOLERANCE,
        planes=planes,
        numbers=numbers,
    )
    if form == "quick":
        return quick
    sharp = certificate(
        [found.corrected for _, found in tested if found.corrected is not None],
        noise=noise,
        expected=[found.expected for _, found in tested if found.expected is not None],
        false_alarm_rate=FALSE_ALARM_RATE,
        tolerance=TOLERANCE,
        image_tolerance=IMAGE_TOLERANCE,
        planes=planes,
        numbers=numbers,
    )
    return quick if quick.verdict == "fail" and sharp.verdict != "fail" else sharp
