"""The families of tests of a certificate: which slices, lines and coils disagree with the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrirecon.metrics.residual_energy import ResidualEnergy

Floats = NDArray[np.float64]
Planes: TypeAlias = Literal["slices", "readout"]
Tail: TypeAlias = Callable[[Floats, Floats, Floats, int], Floats]
"""``tail(energy, mean, variance, channels)``: probability of at least this energy."""


@dataclass(frozen=True)
class Finding:
    """A part of k-space whose misfit noise does not explain.

    Parameters
    ----------
    kind
        ``slice``, ``line``, ``coil``, or ``image``: what the residual leaves in the image, A^H r.
    index
        0 is the first; of a line, its position on the axis `CertificateResult.axis`; 0 of images.
    plane
        Slice of a line or image; None where they are summed over all planes.
    ratio
        Misfit over its expectation.
    p_value
        Corrected for the family (Holm) and for its share of the false-alarm rate.
    """

    kind: Literal["slice", "line", "coil", "image"]
    index: int
    plane: int | None
    ratio: float
    p_value: float


@dataclass(frozen=True)
class ExpectedEnergy:
    """Mean and variance that the sums of one plane have when nothing but noise is left; ready for JSON.

    Parameters
    ----------
    mean, variance
        Of the whole plane.
    line_mean, line_variance, coil_mean, coil_variance
        Of its lines and of its coils.
    replicas
        Draws behind the means; None if they are known.
    image_mean, image_variance
        Of A^H of the residual; None where it is not tested.
    """

    mean: float
    variance: float
    line_mean: tuple[float, ...]
    line_variance: tuple[float, ...]
    coil_mean: tuple[float, ...]
    coil_variance: tuple[float, ...]
    replicas: int | None = None
    image_mean: float | None = None
    image_variance: float | None = None

    @classmethod
    def of_noise(cls, energy: ResidualEnergy) -> ExpectedEnergy:
        """Of white noise: 2 N and 4 N for N complex samples."""
        lines = tuple(2.0 * n for n in energy.line_samples)
        coils = (2.0 * energy.coil_samples,) * len(energy.coil_energy)
        return cls(sum(lines), 2 * sum(lines), lines, _times(2, lines), coils, _times(2, coils))

    def with_tolerance(self, energy: ResidualEnergy, tolerance: float, image_tolerance: float = 0.0) -> ExpectedEnergy:
        """The same with a systematic misfit of a share `tolerance` of the data in the plane and in each of its parts.

        A fixed misfit of energy e makes chi-square noncentral: it adds e to the mean and 4 e to the variance. Weak
        lines and coils are allowed what average ones are, as errors of smooth maps spread over neighbouring lines.
        """
        line, coil = (np.asarray(v, dtype=np.float64) for v in (energy.line_data, energy.coil_data))
        line, coil = (tolerance**2 * np.maximum(v, v.mean()) for v in (line, coil))
        whole = tolerance**2 * energy.data_energy
        image_mean, image_variance = self.image_mean, self.image_variance
        if image_mean is not None and image_variance is not None and energy.image_data is not None:
            allowed = image_tolerance**2 * energy.image_data
            image_mean, image_variance = image_mean + allowed, image_variance + 4 * allowed
        return replace(
            self,
            mean=self.mean + whole,
            variance=self.variance + 4 * whole,
            line_mean=_plus(self.line_mean, line),
            line_variance=_plus(self.line_variance, 4 * line),
            coil_mean=_plus(self.coil_mean, coil),
            coil_variance=_plus(self.coil_variance, 4 * coil),
            image_mean=image_mean,
            image_variance=image_variance,
        )


def _plus(values: tuple[float, ...], more: Floats) -> tuple[float, ...]:
    return tuple((np.asarray(values, dtype=np.float64) + more).tolist())


def _times(factor: float, values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(factor * value for value in values)


def lines(
    energies: Sequence[ResidualEnergy], expected: Sequence[ExpectedEnergy], tail: Tail, *, planes: Planes
) -> list[Finding]:
    """Every line of every slice or, where planes are positions along the readout, every line of the volume."""
    places = [(i, line) for i, energy in enumerate(energies) for line in energy.lines]
    channels = energies[0].samples // energies[0].coil_samples
    values = np.array(
        [
            np.concatenate([np.asarray(e.line_energy, dtype=np.float64) for e in energies]),
            np.concatenate([np.asarray(r.line_mean, dtype=np.float64) for r in expected]),
            np.concatenate([np.asarray(r.line_variance, dtype=np.float64) for r in expected]),
        ]
    )
    if planes == "readout":
        positions, where = np.unique([line for _, line in places], return_inverse=True)
        values = np.array([np.bincount(where, weights=row) for row in values])
        named: list[tuple[int | None, int]] = [(None, int(line)) for line in positions]
    else:
        named = [(i if len(energies) > 1 else None, line) for i, line in places]
    found = tail(values[0], values[1], values[2], channels)
    return [
        Finding("line", line, plane, float(value / mean), float(p))
        for (plane, line), value, mean, p in zip(named, values[0], values[1], found, strict=True)
    ]


def coils(energies: Sequence[ResidualEnergy], expected: Sequence[ExpectedEnergy], tail: Tail) -> list[Finding]:
    """Every receive coil over all planes; each was normalised by its own noise alone."""
    values = np.sum([e.coil_energy for e in energies], axis=0)
    mean, variance = (
        np.sum([r.coil_mean for r in expected], axis=0),
        np.sum([r.coil_variance for r in expected], axis=0),
    )
    found = tail(values, mean, variance, 1)
    return [Finding("coil", i, None, float(values[i] / mean[i]), float(p)) for i, p in enumerate(found)]


def slices(energies: Sequence[ResidualEnergy], expected: Sequence[ExpectedEnergy], tail: Tail) -> list[Finding]:
    """Every slice as a whole."""
    values = np.array([e.energy for e in energies])
    mean, variance = np.array([r.mean for r in expected]), np.array([r.variance for r in expected])
    found = tail(values, mean, variance, energies[0].samples // energies[0].coil_samples)
    return [Finding("slice", i, None, float(values[i] / mean[i]), float(p)) for i, p in enumerate(found)]


def images(
    energies: Sequence[ResidualEnergy], expected: Sequence[ExpectedEnergy], tail: Tail, *, planes: Planes
) -> list[Finding]:
    """What the residual leaves in the image of every slice, or in the volume; nothing where it was not computed."""
    found = [(e.image_energy, r.image_mean, r.image_variance) for e, r in zip(energies, expected, strict=True)]
    known = [(energy, mean, variance) for energy, mean, variance in found
             if energy is not None and mean is not None and variance is not None]  # fmt: skip
    if len(known) < len(found):
        return []
    values = np.array(known, dtype=np.float64).T
    if planes == "readout":
        values = values.sum(axis=1, keepdims=True)
    single = values.shape[1] == 1
    p_values = tail(values[0], values[1], values[2], energies[0].samples // energies[0].coil_samples)
    return [
        Finding("image", 0, None if single else i, float(value / mean), float(p))
        for i, (value, mean, p) in enumerate(zip(values[0], values[1], p_values, strict=True))
    ]


def holm(p_values: Floats) -> Floats:
    """Holm's adjusted p-values, not cut at 1 so that they can be divided by a share of the error rate."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(p_values.size, 0, -1))
    return adjusted
