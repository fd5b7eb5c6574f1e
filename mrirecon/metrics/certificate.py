"""Data-consistency certificate: does the image agree with what was measured, as far as the noise can tell?

The residual of the image in k-space is whitened by the measured noise. Its sum of squares over everything, over
every slice, every line and every coil is compared with what noise alone leaves.

What noise leaves depends on how the image was made, because it was fitted to the same data:

``bound``
    The expectation of pure noise, one unit per measured real component. It is exact for the true image and for a
    sample of a correct posterior: then (x, y) is distributed as truth and data are, and so y - A x is noise. It is an
    upper bound, so that false alarms are rarer than stated, for the mean of a correct posterior, whose residual is
    E[n | y] and has at most the covariance of n; and for fits whose residual is a contraction of the data (least
    squares, Tikhonov, convex regularisation) with a bias below the noise. The fit hides what it has adapted to.
``replicas``
    The average over data simulated from the image itself and reconstructed the same way, see
    `evaluation.certificate`: the trace of the residual operator, found at random, for linear reconstructions. Then the
    test is as sharp as the data allow, and one family more is tested: what the residual r leaves in the image, A^H r.
    Errors of the sensitivities leave residuals that no image explains, for which A^H r is nearly 0, as it is for the
    noise of a fit; what was added to an image or left out of it stays, and so stands out of both.

The overall test and the families of slices, lines, coils and images share the false-alarm rate (weighted Bonferroni);
within a family findings are corrected by Holm. So the verdict errs at most at the stated rate, and so do the findings.

References
----------
.. [1] Hutchinson, A stochastic estimator of the trace of the influence matrix, Commun Stat Simul Comput 19 (1990)
   433-450, DOI 10.1080/03610919008812866.
.. [2] Efron, The estimation of prediction error: covariance penalties, J Am Stat Assoc 99 (2004) 619-632,
   DOI 10.1198/016214504000000692.
.. [3] Robson et al., Comprehensive quantification of signal-to-noise ratio and g-factor, Magn Reson Med 60 (2008)
   895-907, DOI 10.1002/mrm.21728 (pseudo-replicas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.metrics.certificate_families import (
    ExpectedEnergy,
    Finding,
    Planes,
    coils,
    holm,
    images,
    lines,
    slices,
)
from mrirecon.metrics.certificate_words import limits_sentence, untested_sentence, verdict_sentence
from mrirecon.metrics.residual_energy import LineAxis, ResidualEnergy, residual_energies
from mrirecon.metrics.residual_noise import ResidualNoise, upper_tail
from mrirecon.operators.base import ForwardOperator

Floats = NDArray[np.float64]
SHARE_OF_THE_WHOLE = 0.8
"""Of the false-alarm rate, for the overall test; the families of slices, lines, coils and images share the rest."""
LISTED = 100
"""Findings that are listed, the clearest first; all are counted."""


@dataclass(frozen=True)
class CertificateResult:
    """The certificate, ready for JSON through `records.to_mapping`.

    Parameters
    ----------
    verdict
        ``pass``, ``fail``, or ``not tested``.
    sentence
        The verdict in plain words.
    limits
        What it cannot say, in plain words.
    false_alarm_rate
        How often it fails an image that errs by no more than noise.
    expectation
        How the expected misfit was found: ``bound`` or ``replicas``; ``none`` when nothing was tested.
    replicas
        Simulated reconstructions behind the expectation.
    noise_source, noise_samples
        Where the noise level comes from.
    misfit, expected
        Sum of squares of the whitened residual per measured real component, and its expectation; with ``replicas`` the
        residual is corrected for the bias of the method.
    p_value
        Of the misfit: the verdict is ``fail`` at or below `false_alarm_rate`, or where lines are empty.
    p_overall
        Of the sum over everything alone, by noise alone.
    tolerance, image_tolerance
        Systematic misfit that was let pass, relative to the data; and of A^H of the residual.
    degrees_of_freedom
        Of the overall test.
    unexplained
        Norm of the misfit beyond its expectation, relative to that of the data: how much it matters.
    image_unexplained
        The same of A^H of the residual in the worst slice; None where it is not tested.
    samples, planes, measured_share
        Complex samples, planes, and the measured share of k-space.
    axis
        Along which lines are counted.
    findings, n_findings
        The clearest `LISTED`, and how many there are.
    empty_lines
        Lines of the mask that hold no data, not even noise: a mask that does not belong to the data. They fail.
    """

    verdict: Literal["pass", "fail", "not tested"]
    sentence: str
    limits: str
    false_alarm_rate: float
    expectation: Literal["bound", "replicas", "none"] = "none"
    replicas: int = 0
    noise_source: str = "unknown"
    noise_samples: int | None = None
    misfit: float | None = None
    expected: float | None = None
    p_value: float | None = None
    p_overall: float | None = None
    tolerance: float = 0.0
    image_tolerance: float = 0.0
    degrees_of_freedom: float | None = None
    unexplained: float | None = None
    image_unexplained: float | None = None
    samples: int = 0
    planes: int = 0
    measured_share: float | None = None
    axis: Literal["kz", "ky", "kx"] = "kx"
    findings: tuple[Finding, ...] = ()
    n_findings: int = 0
    empty_lines: int = 0


def certify(
    image: Tensor,
    data: Tensor,
    operator: ForwardOperator,
    *,
    noise: ResidualNoise,
    axis: LineAxis | None = None,
    false_alarm_rate: float = 0.01,
    planes: Planes = "slices",
) -> CertificateResult:
    """The certificate of an image of which nothing but the data is known: expectation ``bound``.

    Parameters
    ----------
    image
        Complex, shape (*batch, *domain), in units in which A x is comparable with the data.
    data
        The data that are claimed to be explained, shape (*batch, coil, ky, kx).
    operator
        A.
    noise
        Of the data.
    axis
        Axis along which lines are counted; found from the mask when omitted.
    false_alarm_rate
        Between 0 and 1.
    planes
        What batch items are: slices, whose lines are tested one by one; or positions along the readout of a 3D scan,
        over which the energy of a line is summed.

    Raises
    ------
    ShapeError
        If shapes disagree or values are not finite.

    Notes
    -----
    Cost: one forward operator.
    """
    if not noise.known:
        return untested("the noise of these data is unknown", false_alarm_rate=false_alarm_rate)
    with torch.no_grad():
        energies = residual_energies(data - operator(image), data, operator, noise=noise, axis=axis)
    return certificate(energies, noise=noise, false_alarm_rate=false_alarm_rate, planes=planes)


def certificate(
    energies: Sequence[ResidualEnergy],
    *,
    noise: ResidualNoise,
    expected: Sequence[ExpectedEnergy] | None = None,
    false_alarm_rate: float = 0.01,
    planes: Planes = "slices",
    numbers: Sequence[int] | None = None,
    tolerance: float = 0.0,
    image_tolerance: float = 0.0,
) -> CertificateResult:
    """The certificate from sums over every plane.

    Parameters
    ----------
    energies
        One per plane, from `residual_energies`.
    noise
        Of the data; only what its level was found from counts here.
    expected
        One per plane; pure noise when omitted.
    false_alarm_rate, planes
        See `certify`. Of positions along the readout, rows and columns are kz and ky.
    numbers
        Of the slices, for the findings; counted from 0 when omitted.
    tolerance
        Systematic misfit that is let pass, relative to the data: imperfect maps and regularisation leave some per cent
        in real scans, far more than the noise of bright lines. At 0 noise alone decides.
    image_tolerance
        The same for A^H of the residual, to which errors of the maps contribute little.

    Raises
    ------
    ConfigError
        If the rate is not between 0 and 1, or the tolerance not from 0 to below 1.
    ShapeError
        If there is no plane, or planes differ in coils or axis.
    """
    if not 0 < false_alarm_rate < 1:
        raise ConfigError(f"`false_alarm_rate` must be between 0 and 1, got {false_alarm_rate}")
    for name, value in (("tolerance", tolerance), ("image_tolerance", image_tolerance)):
        if not 0 <= value < 1:
            raise ConfigError(f"`{name}` must be from 0 to below 1, got {value}")
    if not energies or len({(e.axis, len(e.coil_energy)) for e in energies}) != 1:
        raise ShapeError(f"planes with the same coils and axis of lines are needed, got {len(energies)} planes")
    replicas = None if expected is None else expected[0].replicas
    reference = [ExpectedEnergy.of_noise(e) for e in energies] if expected is None else list(expected)
    n_channels = energies[0].samples // energies[0].coil_samples if energies[0].coil_samples else 1

    def tail(energy: Floats, mean: Floats, variance: Floats, channels: int) -> Floats:
        return upper_tail(
            energy, mean=mean, variance=variance, channels=channels, noise_samples=noise.samples, replicas=replicas
        )

    total, mean, variance = (
        float(sum(values))
        for values in ([e.energy for e in energies], [r.mean for r in reference], [r.variance for r in reference])
    )
    whole = float(tail(np.array([total]), np.array([mean]), np.array([variance]), n_channels)[0])
    if np.isnan(whole):
        reason = f"{noise.samples} noise samples are too few for {n_channels} channels"
        return untested(reason, false_alarm_rate=false_alarm_rate, source=noise.source)
    reference = [r.with_tolerance(e, tolerance, image_tolerance) for r, e in zip(reference, energies, strict=True)]
    allowed = sum(r.mean for r in reference), sum(r.variance for r in reference)
    beyond = float(tail(np.array([total]), np.array(allowed[:1]), np.array(allowed[1:]), n_channels)[0])
    axis = energies[0].axis if planes == "slices" else "kz" if energies[0].axis == "ky" else "ky"
    families = [lines(energies, reference, tail, planes=planes), coils(energies, reference, tail)]
    if planes == "slices" and len(energies) > 1:
        families.append(slices(energies, reference, tail))
    of_images = images(energies, reference, tail, planes=planes)
    if of_images:
        families.append(of_images)
    share = (1 - SHARE_OF_THE_WHOLE) / len(families)
    corrected = [beyond / SHARE_OF_THE_WHOLE]
    findings: list[Finding] = []
    for family in families:
        adjusted = holm(np.nan_to_num([f.p_value for f in family], nan=1.0)) / share
        corrected.append(float(adjusted.min()))
        findings += [
            _numbered(f, numbers or range(len(energies)), p_value=float(p))
            for f, p in zip(family, adjusted, strict=True)
            if p <= false_alarm_rate
        ]
    findings.sort(key=lambda f: (f.p_value, -f.ratio))
    p_value = min(1.0, *corrected)
    samples = sum(e.samples for e in energies)
    signal = sum(e.data_energy for e in energies)
    empty = sum(len(e.empty_lines) for e in energies)
    failed = p_value <= false_alarm_rate or empty > 0
    misfit, level = total / (2 * samples), mean / (2 * samples)
    unexplained = sqrt(max(0.0, total - mean) / signal) if signal > 0 else 0.0
    share_measured = sum(e.share for e in energies) / len(energies)
    return CertificateResult(
        verdict="fail" if failed else "pass",
        sentence=verdict_sentence(
            failed=failed,
            misfit=misfit,
            expected=level,
            p_value=p_value,
            unexplained=unexplained,
            findings=[(f.kind, f.index, f.plane) for f in findings],
            axis=axis,
            false_alarm_rate=false_alarm_rate,
            empty_lines=empty,
            tolerance=tolerance,
            by_noise=whole > false_alarm_rate,
            image_tolerance=image_tolerance if of_images else 0.0,
            image_unexplained=_worst_image(energies, expected),
            bound=expected is None,
        ),
        limits=limits_sentence(share_measured, noise.source, bound=expected is None),
        false_alarm_rate=false_alarm_rate,
        expectation="bound" if expected is None else "replicas",
        replicas=replicas or 0,
        noise_source=noise.source,
        noise_samples=noise.samples,
        misfit=misfit,
        expected=level,
        p_value=p_value,
        p_overall=whole,
        tolerance=tolerance,
        image_tolerance=image_tolerance if of_images else 0.0,
        degrees_of_freedom=2 * mean**2 / variance,
        unexplained=unexplained,
        image_unexplained=_worst_image(energies, expected),
        samples=samples,
        planes=len(energies),
        measured_share=share_measured,
        axis=axis,
        findings=tuple(findings[:LISTED]),
        n_findings=len(findings),
        empty_lines=empty,
    )


def _worst_image(energies: Sequence[ResidualEnergy], expected: Sequence[ExpectedEnergy] | None) -> float | None:
    found = [
        sqrt(max(0.0, energy.image_energy - level.image_mean) / energy.image_data)
        for energy, level in zip(energies, expected or (), strict=expected is not None)
        if energy.image_energy is not None and level.image_mean is not None and energy.image_data
    ]
    return max(found, default=None)


def _numbered(finding: Finding, numbers: Sequence[int], *, p_value: float) -> Finding:
    index = numbers[finding.index] if finding.kind == "slice" else finding.index
    plane = None if finding.plane is None else numbers[finding.plane]
    return replace(finding, index=index, plane=plane, p_value=p_value)


def untested(reason: str, *, false_alarm_rate: float = 0.01, source: str = "unknown") -> CertificateResult:
    """The certificate of an image that cannot be tested, and why; it is no pass."""
    return CertificateResult("not tested", untested_sentence(reason), "", false_alarm_rate, noise_source=source)
