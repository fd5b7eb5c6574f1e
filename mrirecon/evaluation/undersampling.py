"""One slice of undersampled multi-coil MRI with a known answer.

As for a user, the sensitivity maps are estimated by ESPIRiT from the calibration lines of the undersampled data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mrirecon.data.coil_maps import birdcage_maps, loop_maps
from mrirecon.data.random_coils import unit_maps
from mrirecon.data.simulation import smooth_phase
from mrirecon.errors import ConfigError
from mrirecon.evaluation.problems import Problem
from mrirecon.linalg.fft import fft
from mrirecon.mri.calibration import calibration_size, kernel_size
from mrirecon.mri.masks import sampling_mask
from mrirecon.mri.sensitivities import espirit
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI, cartesian_mri
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.normalisation import intensity_scale

CALIBRATION = 24  # of ESPIRiT, the default of the command line
_COARSE = 96  # loops are computed on this grid and enlarged: their maps are smooth


@dataclass(frozen=True)
class MRISetting:
    """How data are undersampled.

    Parameters
    ----------
    mask
        Kind, see `mri.masks.sampling_mask`; lines along x and y by turns.
    acceleration
        Nominal.
    centre
        Fully sampled share of the phase-encoding axis, at least `min_centre_lines` of the problems.
    coils
        Their numbers, taken by turns; None for those of the problems, ``[1]`` for a single coil of sensitivity one.
    """

    mask: Literal["random", "equispaced", "equispaced-fraction", "gaussian", "poisson-disc"] = "random"
    acceleration: float = 4.0
    centre: float = 0.08
    coils: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.acceleration >= 1 or not 0 < self.centre <= 1:
            raise ConfigError(
                f"`acceleration` must be at least 1 and 0 < `centre` <= 1, got {self.acceleration} and {self.centre}"
            )
        if self.coils is not None and (not self.coils or min(self.coils) < 1):
            raise ConfigError(f"`coils` must be positive numbers, got {self.coils}")

    @property
    def family(self) -> str:
        """The mask's kind, or "single-coil"."""
        return "single-coil" if self.coils == (1,) else self.mask

    @property
    def name(self) -> str:
        """For example "random R4" or "random R4 of 4 coils"."""
        coils = ""
        if self.coils is not None:
            coils = " single coil" if self.coils == (1,) else f" of {'-'.join(map(str, self.coils))} coils"
        return f"{self.mask} R{self.acceleration:g}{coils}"


def simulated_problem(
    magnitude: Tensor,
    setting: MRISetting,
    *,
    n_coils: int,
    coils: Literal["loops", "birdcage"],
    sigma: float,
    axis: Literal["x", "y"],
    min_centre_lines: int = 8,
    seed: int,
) -> Problem:
    """Undersampled data of one slice, maps estimated from them, and the magnitude as reference.

    Parameters
    ----------
    magnitude
        (y, x), 99th percentile 1.
    sigma
        Of the noise per real component, white over the coils.
    axis
        Phase-encoding axis of masks of lines.
    """
    shape = (magnitude.shape[0], magnitude.shape[1])
    complete = simulated_kspace(magnitude, n_coils=n_coils, coils=coils, sigma=sigma, seed=seed)
    mask = drawn_mask(setting, shape, axis, min_centre_lines=min_centre_lines, seed=seed)
    kspace = torch.where(mask, complete, 0)
    return normalised_problem(magnitude, kspace, cartesian_mri(mask, maps_of(kspace, mask)), sigma=sigma)


def simulated_kspace(
    magnitude: Tensor, *, n_coils: int, coils: Literal["loops", "birdcage"], sigma: float, seed: int
) -> Tensor:
    """Fully sampled, noisy k-space (coil, ky, kx) of a slice; parameters as for `simulated_problem`.

    The coils have unit root-sum-of-squares, so that of the noise-free coil images is the magnitude.
    """
    shape = (magnitude.shape[0], magnitude.shape[1])
    generator = torch.Generator().manual_seed(seed)
    phase = smooth_phase(shape, generator=generator, correlation_length=0.4)
    image = torch.polar(magnitude.float(), phase).unsqueeze(0)
    maps = simulated_maps(shape, n_coils, coils, generator)
    noise = torch.view_as_complex(torch.randn(n_coils, *shape, 2, generator=generator))
    return fft(maps * image, (-2, -1)) + sigma * noise


def normalised_problem(
    magnitude: Tensor, kspace: Tensor, operator: CartesianMRI, *, sigma: float, inside: Tensor | None = None
) -> Problem:
    """A problem whose data are divided by their `intensity_scale`.

    Parameters
    ----------
    magnitude
        Reference (y, x) in the units of `kspace`.
    sigma
        Of the noise per real component; 0 where it is not known.
    inside
        Bool (y, x): where alone images are compared; the whole picture when omitted, references and estimates being 0
        where every map vanishes.
    """
    scale = float(intensity_scale(kspace, operator))
    support = operator.sensitivities.support[0] if inside is None else inside
    reference = torch.where(support, magnitude / scale, 0).unsqueeze(0)
    grid = operator.codomain.shape[1] * operator.codomain.shape[2]
    sampled = operator.mask.expand(operator.codomain.shape[1:]).sum()
    facts = {
        "effective_acceleration": float(grid / sampled),
        "coils": float(operator.sensitivities.n_coils),
        "sigma": sigma / scale,
        "scale": scale,
    }
    model = MeasurementModel(operator, GaussianNoise(sigma / scale) if sigma > 0 else Noiseless())
    return Problem(reference, kspace / scale, model, 0.0, float(reference.max()), support, inside is not None, facts)


def simulated_maps(
    shape: tuple[int, int], n_coils: int, family: Literal["loops", "birdcage"], generator: torch.Generator
) -> Tensor:
    """Sensitivities (coil, y, x) of unit root-sum-of-squares with random gains and receiver phases."""
    if n_coils == 1:
        return torch.ones(1, *shape, dtype=torch.complex64)
    if family == "loops":
        coarse = tuple(max(2, round(_COARSE * n / max(shape))) for n in shape)
        small = torch.view_as_real(loop_maps(coarse, n_coils, generator=generator)).movedim(-1, 1)
        large = interpolate(small, size=shape, mode="bicubic", align_corners=True)
        maps = torch.complex(large[:, 0], large[:, 1])
    else:
        maps = birdcage_maps(shape, n_coils, radius=1.45 + 0.35 * float(torch.rand((), generator=generator)))
    gain = torch.exp(0.2 * torch.randn(n_coils, 1, 1, generator=generator))
    phase = 2 * math.pi * torch.rand(n_coils, 1, 1, generator=generator)
    return unit_maps(maps * torch.polar(gain, phase))


def drawn_mask(
    setting: MRISetting, shape: tuple[int, int], axis: Literal["x", "y"], *, min_centre_lines: int, seed: int
) -> Tensor:
    """Bool (1, kx), (ky, 1) or (ky, kx)."""
    length = {"x": shape[1], "y": shape[0]}[axis]
    length = min(shape) if setting.mask == "poisson-disc" else length
    return sampling_mask(
        setting.mask,
        shape,
        acceleration=setting.acceleration,
        phase_encoding_axis="yx" if setting.mask == "poisson-disc" else axis,
        seed=seed,
        centre_lines=max(min_centre_lines, round(setting.centre * length)),
    ).mask


def maps_of(kspace: Tensor, mask: Tensor) -> Tensor:
    """Maps (coil, y, x) of undersampled data: one for a single coil, else `estimated_maps`."""
    if kspace.shape[-3] == 1:
        return torch.ones(1, *kspace.shape[-2:], dtype=torch.complex64)
    return estimated_maps(kspace, mask)


def estimated_maps(kspace: Tensor, mask: Tensor) -> Tensor:
    """ESPIRiT maps (coil, y, x) from the fully sampled centre of undersampled data."""
    available = calibration_size(mask, shape=(kspace.shape[-2], kspace.shape[-1]))
    size = min(CALIBRATION, available[0]), min(CALIBRATION, available[1])
    return espirit(kspace, calibration=size, kernel=kernel_size(size)).maps[0]
