"""Whitening, readout oversampling and Fourier transforms as dictionary transforms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import crop_or_pad, fft, ifft
from mrirecon.mri.coils import apply_coil_matrix
from mrirecon.mri.oversampling import remove_readout_oversampling
from mrirecon.mri.whitening import noise_covariance, noise_from_edges, whitening_matrix
from mrirecon.transforms.header import encoding_of, geometry_of, with_encoding, with_note
from mrirecon.transforms.keys import IMAGE, KSPACE, MASK, META, NOISE, NOISE_SIGMA, WHITENING


class Prewhitend(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """Whiten the coils, so that real and imaginary part of every sample carry independent noise of unit variance.

    Stores the matrix under "whitening" and 1 under "noise_sigma"; uses up the noise scan. The inverse restores the
    coils, not the noise scan.

    Parameters
    ----------
    keys
        K-space, one key.
    noise
        "noise-scan" needs one; "edges" estimates the covariance from the corners of k-space; "auto" takes the noise
        scan if there is one. What was done is noted in the header.

    Raises
    ------
    ConfigError
        If there is no noise scan where one is needed.
    """

    def __init__(
        self, keys: KeysCollection = KSPACE, *, noise: Literal["auto", "noise-scan", "edges"] = "noise-scan"
    ) -> None:
        super().__init__(keys)
        if noise not in ("auto", "noise-scan", "edges"):
            raise ConfigError(f"`noise` must be 'auto', 'noise-scan' or 'edges', got {noise!r}")
        self.noise = noise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        samples: Tensor | None = out.pop(NOISE, None)
        if samples is None and self.noise == "noise-scan":
            raise ConfigError(
                f"{out[META]['path']} holds no noise scan; use Prewhitend(noise='edges') to estimate the noise, "
                "or leave Prewhitend out"
            )
        if samples is None or self.noise == "edges":
            kspace, mask = out[self.keys[0]], out[MASK]
            covariance = noise_covariance(noise_from_edges(kspace, mask.reshape(mask.shape[-2:])))
            note = "The noise covariance was estimated from the edges of k-space."
        else:
            covariance = noise_covariance(samples, bandwidth_ratio=float(out[META]["noise_bandwidth_ratio"]))
            note = "Coils were whitened with the noise scan."
        matrix = whitening_matrix(covariance)
        for key in self.key_iterator(out):
            out[key] = apply_coil_matrix(matrix, out[key])
        out[WHITENING], out[NOISE_SIGMA] = matrix, 1.0
        out[META] = with_note(out[META], note)
        return out

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Undo the whitening."""
        out = dict(data)
        matrix = torch.linalg.inv(out.pop(WHITENING).to(torch.complex128))
        for key in self.key_iterator(out):
            out[key] = apply_coil_matrix(matrix, out[key])
        out.pop(NOISE_SIGMA, None)
        return out


class RemoveOversamplingd(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """Crop the readout to the protocol's field of view, k-space, encoding and geometry together.

    The inverse pads the image with zeros: what lay outside the field of view is gone.

    Parameters
    ----------
    keys
        K-space.
    """

    def __init__(self, keys: KeysCollection = KSPACE) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        before = encoding_of(out[META])
        after = before.without_readout_oversampling()
        size, dim = after.encoded_matrix[before.readout_dim], before.readout_dim
        for key in self.key_iterator(out):
            out[key] = remove_readout_oversampling(out[key], size, axis=dim)
        if size != before.encoded_matrix[dim]:
            out[MASK] = out[MASK].any(dim=dim, keepdim=True)
        return self._regrid(out, after.encoded_matrix[dim], dim)

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Pad the readout to what was encoded."""
        out = dict(data)
        previous = out[META]["oversampled_readout"]
        dim, size = encoding_of(out[META]).readout_dim, int(previous)
        for key in self.key_iterator(out):
            out[key] = fft(crop_or_pad(ifft(out[key], (dim,)), dim, size), (dim,))
        out = self._regrid(out, size, dim)
        del out[META]["oversampled_readout"]
        return out

    def _regrid(self, out: dict[Hashable, Any], size: int, dim: int) -> dict[Hashable, Any]:
        meta = out[META]
        encoding, geometry = encoding_of(meta), geometry_of(meta)
        matrix, fov = list(encoding.encoded_matrix), list(encoding.encoded_fov_mm)
        old = (1, matrix[1], matrix[2])
        previous = matrix[dim]
        fov[dim] *= size / matrix[dim]
        matrix[dim] = size
        changed = replace(
            encoding, encoded_matrix=(matrix[0], matrix[1], matrix[2]), encoded_fov_mm=(fov[0], fov[1], fov[2])
        )
        out[META] = with_encoding(meta, changed, geometry.centred_crop(old, (1, matrix[1], matrix[2])))
        out[META].setdefault("oversampled_readout", previous)
        return out


class CentredFFTd(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """Images to k-space over the last two axes: centred, orthonormal, complex64 throughout."""

    def __init__(self, keys: KeysCollection = IMAGE) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return _transformed(self, data, fft)

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """K-space to images."""
        return _transformed(self, data, ifft)


class CentredIFFTd(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """K-space to (coil) images over the last two axes, the inverse of `CentredFFTd`."""

    def __init__(self, keys: KeysCollection = KSPACE) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return _transformed(self, data, ifft)

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Images to k-space."""
        return _transformed(self, data, fft)


def _transformed(
    transform: MapTransform, data: Mapping[Hashable, Any], function: Callable[[Tensor, tuple[int, int]], Tensor]
) -> dict[Hashable, Any]:
    out = dict(data)
    for key in transform.key_iterator(out):
        out[key] = function(out[key], (-2, -1))
    return out
