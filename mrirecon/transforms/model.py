"""A reconstruction method as a dictionary transform."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import Transform
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.base import Reconstructor
from mrirecon.transforms.keys import KSPACE, MAPS, MASK, NOISE_SIGMA, RECONSTRUCTION, RECORD


class Reconstructd(Transform):  # type: ignore[misc]
    """Reconstruct every slice with a `Reconstructor` and store the images under "reconstruction".

    Also stores a JSON text under "reconstruction_record" with iterations, residual and convergence of every slice.

    Parameters
    ----------
    reconstructor
        The method, with its settings.
    seed
        For methods that draw; slice i uses ``seed + i``.

    Raises
    ------
    ConfigError
        If there are no maps.
    """

    def __init__(self, reconstructor: Reconstructor, *, seed: int = 0) -> None:
        if not isinstance(reconstructor, Reconstructor):
            raise ConfigError(f"`reconstructor` must be a Reconstructor, got {type(reconstructor).__name__}")
        self.reconstructor = reconstructor
        self.seed = seed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        kspace: Tensor = out[KSPACE]
        planes = kspace.reshape(-1, *kspace.shape[-3:])
        images, records = [], []
        for index, y in enumerate(planes):
            model = measurement_model(out, index)
            result = self.reconstructor(y, model, generator=torch.Generator().manual_seed(self.seed + index))
            images.append(result.image)
            records.append(
                {"iterations": result.iterations, "residual": result.residual, "converged": result.converged}
            )
        stacked = torch.stack(images)
        out[RECONSTRUCTION] = stacked.reshape(*kspace.shape[:-3], *stacked.shape[1:])
        out[RECORD] = json.dumps({"method": repr(self.reconstructor), "seed": self.seed, "slices": records})
        return out


def measurement_model(data: Mapping[Hashable, Any], index: int = 0) -> MeasurementModel:
    """Mask, maps and noise level of slice `index` of an item as one measurement model.

    The noise is Gaussian of the level under "noise_sigma", or none where that is unknown.

    Raises
    ------
    ConfigError
        If there are no maps.
    ShapeError
        If maps and k-space disagree.
    """
    if MAPS not in data:
        raise ConfigError("a multi-coil reconstruction needs maps; put EstimateSensitivitiesd before it")
    kspace, maps, mask = data[KSPACE], data[MAPS], data[MASK]
    if maps.ndim == kspace.ndim:
        maps = maps.unsqueeze(-4)
    if maps.shape[-3:] != kspace.shape[-3:] or maps.ndim != kspace.ndim + 1:
        raise ShapeError(
            f"maps {tuple(maps.shape)} and k-space {tuple(kspace.shape)} must agree in slices, coils, y and x; "
            "estimate the maps after the last change of k-space"
        )
    own = maps.reshape(-1, *maps.shape[-4:])[index]
    n_sets = own.shape[0]
    operator = cartesian_mri(mask.reshape(mask.shape[-2:]), own if n_sets > 1 else own[0], n_sets=n_sets)
    sigma = data.get(NOISE_SIGMA)
    return MeasurementModel(operator, Noiseless() if sigma is None else GaussianNoise(float(sigma)))
