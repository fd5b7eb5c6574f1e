"""One intensity scale per volume, from acquired data only."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import ifft
from mrirecon.mri.coils import root_sum_of_squares
from mrirecon.transforms.header import ALL_PLANES
from mrirecon.transforms.keys import IMAGE, KSPACE, META, NOISE, NOISE_SIGMA, RECONSTRUCTION, SCALE

PERCENTILE = 0.99
_MOST_VALUES = 1 << 23


class ScaleKSpaced(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """Divide k-space by the 99th percentile of its zero-filled, coil-combined magnitude, so that this becomes 1.

    Put it after everything that changes the data (whitening, compression, undersampling): the scale comes from the
    samples that are there. It is stored under "scale", and the noise level and noise scan are divided with it. The
    inverse multiplies k-space and all images back.

    Parameters
    ----------
    keys
        K-space, one key.
    image_keys
        What the inverse scales besides, where present.

    Raises
    ------
    ConfigError
        If the item is one slice of several and has no "scale" of its volume (`volume_scale`).
    """

    def __init__(self, keys: KeysCollection = KSPACE, *, image_keys: tuple[str, ...] = (IMAGE, RECONSTRUCTION)) -> None:
        super().__init__(keys)
        self.image_keys = image_keys

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        if SCALE not in out:
            meta = out[META]
            if int(meta["plane"]) != ALL_PLANES and int(meta["n_planes"]) > 1:
                raise ConfigError(
                    f"{meta['path']}: one slice cannot set the scale of its volume; put the volume's scale into the "
                    "item under 'scale' (mrirecon.transforms.volume_scale of the whole k-space), or load whole volumes"
                )
            out[SCALE] = volume_scale(out[self.keys[0]])
        return _multiplied(out, [*self.key_iterator(out), NOISE, NOISE_SIGMA], 1.0 / float(out[SCALE]))

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the units of the source."""
        out = dict(data)
        keys = [*self.key_iterator(out), *self.image_keys, NOISE, NOISE_SIGMA]
        return _multiplied(out, keys, float(out.pop(SCALE)))


def volume_scale(kspace: Tensor) -> float:
    """The 99th percentile of the root-sum-of-squares magnitude of zero-filled k-space (*batch, coil, ky, kx).

    Raises
    ------
    ShapeError
        If it is zero: there is nothing in the data.
    """
    magnitude = root_sum_of_squares(ifft(kspace, (-2, -1))).flatten()
    thinned = magnitude[:: max(1, -(-magnitude.numel() // _MOST_VALUES))]  # torch.quantile takes no more than 2^24
    scale = float(torch.quantile(thinned, PERCENTILE))
    if not scale > 0:
        raise ShapeError("the k-space is zero almost everywhere, it sets no scale; leave this item out")
    return scale


def _multiplied(out: dict[Hashable, Any], keys: list[Hashable], factor: float) -> dict[Hashable, Any]:
    for key in keys:
        if key in out:
            out[key] = out[key] * factor
    return out
