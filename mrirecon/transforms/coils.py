"""Coil compression, sensitivity maps and coil combination as dictionary transforms."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import torch
from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform, Transform
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import ifft
from mrirecon.mri import sensitivities
from mrirecon.mri.calibration import calibration_size
from mrirecon.mri.coils import (
    apply_coil_matrix,
    coil_gram,
    compression_matrix,
    matched_filter,
    retained_energy,
    root_sum_of_squares,
)
from mrirecon.transforms.header import with_note
from mrirecon.transforms.keys import COMPRESSION, IMAGE, KSPACE, MAPS, MASK, META, NOISE


class CompressCoilsd(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """Compress the coils to the virtual coils of greatest energy; best after whitening.

    The matrix is stored under "compression"; if it is there already (one for all slices of a volume) it is used. The
    inverse goes back to the physical coils, which restores what the virtual coils hold of them.

    Parameters
    ----------
    keys
        K-space, one key.
    n_coils
        Virtual coils; scans with no more coils than that are rotated only.
    """

    def __init__(self, keys: KeysCollection = KSPACE, *, n_coils: int) -> None:
        super().__init__(keys)
        if n_coils < 1:
            raise ConfigError(f"`n_coils` must be at least 1, got {n_coils}")
        self.n_coils = n_coils

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        kspace: Tensor = out[self.keys[0]]
        if COMPRESSION not in out:
            gram = coil_gram(kspace)
            n_coils = min(self.n_coils, kspace.shape[-3])
            out[COMPRESSION] = compression_matrix(gram, n_coils).to(torch.complex64)
            kept = 100 * retained_energy(gram, n_coils)
            out[META] = with_note(
                out[META], f"{kspace.shape[-3]} coils were compressed to {n_coils}, {kept:.2f} % of the energy kept."
            )
        for key in self.key_iterator(out):
            out[key] = apply_coil_matrix(out[COMPRESSION], out[key])
        if NOISE in out:
            out[NOISE] = out[COMPRESSION] @ out[NOISE]
        return out

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the physical coils."""
        out = dict(data)
        back = out.pop(COMPRESSION).mH
        for key in self.key_iterator(out):
            out[key] = apply_coil_matrix(back, out[key])
        if NOISE in out:
            out[NOISE] = back @ out[NOISE]
        return out


class EstimateSensitivitiesd(MapTransform):  # type: ignore[misc]
    """Estimate sensitivity maps from the fully sampled centre of k-space and store them under "maps".

    Parameters
    ----------
    keys
        K-space, one key.
    kind
        "espirit" or "walsh".
    calibration
        Largest side of the region to use; what the mask allows may be less.
    n_maps
        Sets of maps (ESPIRiT); with more than one, maps have a set axis before the coils.

    Raises
    ------
    ConfigError
        If the fully sampled centre is too small.
    """

    def __init__(
        self,
        keys: KeysCollection = KSPACE,
        *,
        kind: Literal["espirit", "walsh"] = "espirit",
        calibration: int = 24,
        n_maps: int = 1,
    ) -> None:
        super().__init__(keys)
        if kind not in ("espirit", "walsh"):
            raise ConfigError(f"`kind` must be 'espirit' or 'walsh', got {kind!r}")
        if n_maps < 1 or (kind == "walsh" and n_maps != 1):
            raise ConfigError(f"`n_maps` must be at least 1, and 1 for walsh, got {n_maps}")
        self.kind = kind
        self.calibration = calibration
        self.n_maps = n_maps

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        kspace: Tensor = out[self.keys[0]]
        grid = (kspace.shape[-2], kspace.shape[-1])
        available = calibration_size(out[MASK].reshape(out[MASK].shape[-2:]).expand(grid))
        size = min(self.calibration, available[0]), min(self.calibration, available[1])
        if min(size) < min(8, *grid):
            raise ConfigError(
                f"{out[META]['path']}: the fully sampled centre of k-space is {available[0]} x {available[1]}, "
                "maps need at least 8 x 8; keep more centre lines"
            )
        planes = kspace.reshape(-1, *kspace.shape[-3:])
        maps = torch.stack([self._estimate(plane, size) for plane in planes])
        out[MAPS] = maps.reshape(*kspace.shape[:-3], *maps.shape[1:])
        return out

    def _estimate(self, kspace: Tensor, size: tuple[int, int]) -> Tensor:
        if self.kind == "walsh":
            walsh: Tensor = sensitivities.walsh(kspace, calibration=size)
            return walsh
        kernel = min(6, size[0]), min(6, size[1])
        maps = sensitivities.espirit(kspace, calibration=size, kernel=kernel, n_maps=self.n_maps).maps
        return maps if self.n_maps > 1 else maps[0]


class CombineCoilsd(Transform):  # type: ignore[misc]
    """Combine the coils of zero-filled k-space to one image, stored under "image".

    Parameters
    ----------
    method
        "matched-filter" with the maps: complex64 (slice, set, y, x); "root-sum-of-squares": float32 (slice, 1, y, x).
    kspace_key, image_key
        Where from and where to.
    """

    def __init__(
        self,
        method: Literal["matched-filter", "root-sum-of-squares"] = "matched-filter",
        *,
        kspace_key: str = KSPACE,
        image_key: str = IMAGE,
    ) -> None:
        if method not in ("matched-filter", "root-sum-of-squares"):
            raise ConfigError(f"`method` must be 'matched-filter' or 'root-sum-of-squares', got {method!r}")
        self.method = method
        self.kspace_key = kspace_key
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        images = ifft(out[self.kspace_key], (-2, -1))
        if self.method == "root-sum-of-squares":
            out[self.image_key] = root_sum_of_squares(images)
            return out
        if MAPS not in out:
            raise ConfigError("CombineCoilsd('matched-filter') needs maps; put EstimateSensitivitiesd before it")
        maps: Tensor = out[MAPS]
        with_sets = maps if maps.ndim == images.ndim + 1 else maps.unsqueeze(-4)
        out[self.image_key] = matched_filter(images, with_sets)
        return out
