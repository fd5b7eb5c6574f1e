"""A scan made from an image: the whole acquisition simulated, said so, and repeatable from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.data.coil_maps import birdcage_maps, loop_maps
from mrirecon.data.simulation import correlated_noise, random_noise_covariance, simulate_kspace, smooth_phase
from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import crop_or_pad
from mrirecon.scan import Encoding, Geometry, Protocol, Scan, Subject


def simulate_scan(
    volume: NDArray[np.float32],
    geometry: Geometry,
    *,
    source: str,
    n_coils: int = 8,
    snr: float = 30.0,
    oversampling: int = 2,
    coils: Literal["loops", "birdcage"] = "loops",
    noise_samples: int = 4096,
    protocol: Protocol = Protocol(),
    seed: int = 0,
) -> Scan:
    """A fully sampled 2D multi-slice scan of `volume` with simulated phase, coils and correlated noise.

    Parameters
    ----------
    volume
        Magnitude (z, y, x), not negative, arbitrary units.
    geometry
        Its grid.
    source
        Where the anatomy comes from; goes into the notes.
    n_coils
        Receive channels.
    snr
        99th percentile of the magnitude over the noise standard deviation per real component of one coil's image
        (root mean square over the coils), which with maps of unit norm is about that of the combined image.
    oversampling
        Readout oversampling: the field of view along x is that many times larger and empty.
    coils
        "loops" (Biot-Savart) or "birdcage".
    noise_samples
        Length of the noise scan; 0 for none.
    protocol
        Acquisition parameters to carry.
    seed
        Of everything random.

    Returns
    -------
        `Scan` with ``simulated=True``; planes are computed when read, each with its own noise.

    Raises
    ------
    ShapeError
        If the volume is not (z, y, x), negative, not finite or empty of signal, or `oversampling` below 1.
    """
    if volume.ndim != 3 or not np.isfinite(volume).all() or volume.min() < 0 or volume.max() == 0:
        raise ShapeError(f"`volume` must be a finite magnitude (z, y, x) with signal, got shape {volume.shape}")
    if oversampling < 1 or not snr > 0:
        raise ShapeError(f"`oversampling` must be at least 1 and `snr` positive, got {oversampling} and {snr}")
    z, y, x = volume.shape
    generator = torch.Generator().manual_seed(seed)
    image = torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32))
    image = torch.polar(image, smooth_phase((z, y, x), generator=generator))
    maps = loop_maps((z, y, x), n_coils, generator=generator) if coils == "loops" else birdcage_maps((z, y, x), n_coils)
    sigma = float(np.percentile(volume[volume > 0], 99)) / snr
    covariance = random_noise_covariance(n_coils, sigma=sigma, generator=generator)
    noise = correlated_noise(covariance, (noise_samples,), generator=generator) if noise_samples else None
    encoded = (1, y, x * oversampling)
    steps = geometry.voxel_size_mm

    def read(index: int) -> Tensor:
        wide = crop_or_pad(image[index][None], -1, encoded[2])
        wide_maps = crop_or_pad(maps[:, index], -1, encoded[2])
        own = torch.Generator().manual_seed(seed * 1_000_003 + index + 1)
        return simulate_kspace(wide, wide_maps, covariance=covariance, generator=own)

    return Scan(
        source=Path("simulated"),
        format="simulated",
        n_slices=z,
        n_coils=n_coils,
        encoding=Encoding(
            encoded_matrix=encoded,
            recon_matrix=(1, y, x),
            encoded_fov_mm=(geometry.slice_thickness_mm, y * steps[1], x * steps[2] * oversampling),
            recon_fov_mm=(geometry.slice_thickness_mm, y * steps[1], x * steps[2]),
        ),
        geometry=geometry.centred_crop((z, y, x), (z, y, encoded[2])),
        protocol=protocol,
        subject=Subject("simulated"),
        mask=torch.ones(1, 1, 1, dtype=torch.bool),
        reader=read,
        noise=noise,
        simulated=True,
        notes=(f"simulated coils, phase and noise from {source}; nothing here was measured as k-space",),
        details={"seed": seed, "snr": snr, "coils": coils, "sigma": sigma},
    )
