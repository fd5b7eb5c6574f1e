"""What is found once per volume, from acquired data only: noise, virtual coils, intensity scale."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import log2

import torch
from torch import Tensor

from mrirecon.config.schema import Preparation
from mrirecon.errors import ConfigError, FormatError, ShapeError
from mrirecon.jobs.planes import PlaneStack
from mrirecon.jobs.reporting import Reporter
from mrirecon.linalg.fft import ifft
from mrirecon.memory import release_freed_memory
from mrirecon.metrics.residual_noise import ResidualNoise
from mrirecon.mri.coils import apply_coil_matrix, coil_gram, compression_matrix, retained_energy, root_sum_of_squares
from mrirecon.mri.whitening import noise_covariance, noise_from_edges, whitening_matrix
from mrirecon.scan import Scan

SURVEYED_PLANES = 32
"""Planes read for the statistics of a volume: enough for a percentile, bounded for a volume of any size."""


@dataclass(frozen=True)
class Calibration:
    """Per-volume constants, applied to every plane.

    Parameters
    ----------
    coil_matrix
        (virtual coil, coil): whitening, then compression.
    scale
        K-space is divided by it, so that the 99th percentile of the zero-filled magnitude is 1.
    whitening
        Where the noise statistics came from: "noise-scan", "edges" or "none".
    noise_sigma
        Standard deviation per real component of the scaled data, None without whitening.
    noise_bound
        Without whitening, an upper estimate of the same, the root mean square of the edges of k-space over all coils;
        0 where they hold no noise. None with whitening.
    notes, record
        Sentences and numbers for the provenance record.
    noise_samples
        Complex samples per coil behind the whitening, None without.
    """

    coil_matrix: Tensor
    scale: float
    whitening: str
    noise_sigma: float | None
    notes: tuple[str, ...] = ()
    record: dict[str, object] = field(default_factory=dict)
    noise_bound: float | None = None
    noise_samples: int | None = None

    def with_binary_scale(self) -> Calibration:
        """The same with the nearest power of two as its scale, which changes no digit of the data.

        The scale depends on the planes that were surveyed. For methods that normalise every plane by itself this makes
        a plane the same to the last bit whatever is reconstructed with it.
        """
        scale = 2.0 ** round(log2(self.scale))
        ratio = self.scale / scale
        return replace(
            self,
            scale=scale,
            noise_sigma=None if self.noise_sigma is None else 1.0 / scale,
            noise_bound=None if self.noise_bound is None else self.noise_bound * ratio,
        )

    @property
    def residual_noise(self) -> ResidualNoise:
        """The noise of the calibrated data, as certificates need it; unknown without whitening."""
        if self.noise_sigma is None:
            return ResidualNoise()
        unmixing = torch.linalg.pinv(self.coil_matrix.to(torch.complex128))
        return ResidualNoise(
            sigma=self.noise_sigma, unmixing=unmixing, samples=self.noise_samples, source=self.whitening
        )

    def apply(self, kspace: Tensor) -> Tensor:
        """Whitened, compressed, scaled k-space of one plane."""
        return apply_coil_matrix(self.coil_matrix, kspace) / self.scale


def calibrate(scan: Scan, stack: PlaneStack, preparation: Preparation, reporter: Reporter) -> Calibration:
    """Survey at most `SURVEYED_PLANES` evenly spaced planes, twice: noise and coils, then the scale.

    Raises
    ------
    ConfigError
        If a noise scan is demanded and there is none, or more virtual coils than coils are asked for.
    FormatError
        If the data are all zero.
    """
    wanted = preparation.virtual_coils
    if wanted is not None and wanted > scan.n_coils:
        raise ConfigError(f"{wanted} virtual coils from {scan.n_coils} coils; choose at most {scan.n_coils}")
    step = max(1, -(-stack.n_planes // SURVEYED_PLANES))
    surveyed = range(step // 2 if stack.n_planes > step else 0, stack.n_planes, step)
    source = _noise_source(scan, preparation)
    gram = torch.zeros(scan.n_coils, scan.n_coils, dtype=torch.complex128)
    edges: list[Tensor] = []
    if source == "edges" or wanted is not None:
        for index in reporter.track(surveyed, total=len(surveyed), label="survey of coils and noise"):
            plane = stack.read(index)
            gram += coil_gram(plane)
            if source == "edges":
                edges.append(noise_from_edges(plane, stack.mask))
    whitener, source, notes, n_samples = _whitener(scan, source, edges)
    matrix = whitener
    record: dict[str, object] = {}
    if wanted is not None:
        whitened_gram = whitener.to(gram.dtype) @ gram @ whitener.to(gram.dtype).mH
        matrix = compression_matrix(whitened_gram, wanted).to(whitener.dtype) @ whitener
        kept = retained_energy(whitened_gram, wanted)
        record["retained_energy"] = kept
        notes += (f"{scan.n_coils} coils compressed to {wanted}, {100 * kept:.2f} % of the energy kept.",)
    peaks, powers = [], []
    for index in reporter.track(surveyed, total=len(surveyed), label="survey of the intensity scale"):
        plane = apply_coil_matrix(matrix, stack.read(index))
        peaks.append(root_sum_of_squares(ifft(plane, (-2, -1))).flatten())
        if source == "none":
            powers.append(_edge_power(plane, stack.mask))
    release_freed_memory()
    scale = float(torch.quantile(_thinned(torch.cat(peaks)), 0.99))
    if not scale > 0:
        raise FormatError(scan.source, "the k-space is zero almost everywhere; there is nothing to reconstruct")
    sigma = 1.0 / scale if source != "none" else None
    bound = (sum(powers) / len(powers) / 2) ** 0.5 / scale if powers else None
    return Calibration(matrix, scale, source, sigma, notes, record, bound, n_samples)


def _edge_power(plane: Tensor, mask: Tensor) -> float:
    """Mean |n|^2 at the edges of a plane, whatever the coils; 0 where there is nothing."""
    try:
        return float(noise_from_edges(plane, mask).abs().square().mean())
    except ShapeError:  # too few samples that are not zero
        return 0.0


def _thinned(values: Tensor, limit: int = 1 << 23) -> Tensor:
    """At most `limit` evenly spaced values: torch's quantile takes no more than 2^24."""
    return values[:: max(1, -(-values.numel() // limit))]


def _noise_source(scan: Scan, preparation: Preparation) -> str:
    if preparation.whitening == "auto":
        return "noise-scan" if scan.noise is not None else "edges"
    if preparation.whitening == "noise-scan" and scan.noise is None:
        raise ConfigError(f"{scan.source.name} holds no noise scan; use whitening 'edges', 'none' or 'auto'")
    return preparation.whitening


def _whitener(scan: Scan, source: str, edges: list[Tensor]) -> tuple[Tensor, str, tuple[str, ...], int | None]:
    """The whitening matrix, its source, notes, and how many samples are behind it."""
    identity = torch.eye(scan.n_coils, dtype=torch.complex64)
    if source == "none":
        return identity, "none", ("Coils were not whitened; the noise level is unknown.",), None
    try:
        if source == "noise-scan" and scan.noise is not None:
            covariance = noise_covariance(scan.noise, bandwidth_ratio=scan.noise_bandwidth_ratio)
            notes: tuple[str, ...] = ("Coils were whitened with the noise scan.",)
            return whitening_matrix(covariance), source, notes, scan.noise.shape[-1]
        samples = torch.cat(edges, dim=-1)
        covariance = noise_covariance(samples)
        return (
            whitening_matrix(covariance),
            source,
            ("There is no noise scan: the noise covariance was estimated from the edges of k-space.",),
            samples.shape[-1],
        )
    except ShapeError as error:
        note = f"The noise statistics are unusable ({error}); coils were not whitened and the noise level is unknown."
        return identity, "none", (note,), None
