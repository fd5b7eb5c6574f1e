"""Retrospective undersampling as dictionary transforms."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.mri.masks import SamplingMask, sampling_mask
from mrirecon.transforms.header import protocol_of, with_note
from mrirecon.transforms.keys import KSPACE, MASK, MASK_CARD, META


class SamplingMaskd(MapTransform):  # type: ignore[misc]
    """Keep only the samples of a drawn mask; the mask's card goes to "mask_card" as JSON text.

    All slices of an item share the mask. Samples that were never acquired stay missing: the mask is restricted to
    what there is.

    Parameters
    ----------
    keys
        K-space.
    kind, acceleration, centre_lines, centre_fraction
        As in `mrirecon.mri.masks.sampling_mask`.
    seed
        The same mask for every item of equal size.
    seed_key
        Key of an integer in the item that is used together with `seed`, for a mask of its own for every item.
    """

    def __init__(
        self,
        keys: KeysCollection = KSPACE,
        *,
        kind: str = "equispaced",
        acceleration: float = 4,
        centre_lines: int | None = None,
        centre_fraction: float | None = None,
        seed: int = 0,
        seed_key: str | None = None,
    ) -> None:
        super().__init__(keys)
        self.kind = kind
        self.acceleration = acceleration
        self.centre_lines = centre_lines
        self.centre_fraction = centre_fraction
        self.seed = seed
        self.seed_key = seed_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        seed = self.seed if self.seed_key is None else (self.seed, int(data[self.seed_key]))
        return undersample(
            data,
            self.key_iterator(data),
            kind=self.kind,
            acceleration=self.acceleration,
            centre_lines=self.centre_lines,
            centre_fraction=self.centre_fraction,
            seed=seed,
        )


class RandSamplingMaskd(MapTransform, Randomizable):  # type: ignore[misc]
    """As `SamplingMaskd`, with another mask every time it is called: for training.

    Seeded as MONAI's random transforms are: by `set_random_state`, `monai.utils.set_determinism`, and once per worker
    by `monai.data.DataLoader`. The seed drawn is in the card, so every mask can be made again.

    Parameters
    ----------
    keys
        K-space.
    kind, centre_lines, centre_fraction
        As in `mrirecon.mri.masks.sampling_mask`.
    accelerations
        One is drawn for every call.
    """

    def __init__(
        self,
        keys: KeysCollection = KSPACE,
        *,
        kind: str = "random",
        accelerations: Sequence[float] = (4,),
        centre_lines: int | None = None,
        centre_fraction: float | None = None,
    ) -> None:
        super().__init__(keys)
        if not accelerations:
            raise ConfigError("`accelerations` must name at least one")
        self.kind = kind
        self.accelerations = tuple(accelerations)
        self.centre_lines = centre_lines
        self.centre_fraction = centre_fraction

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        acceleration = self.accelerations[int(self.R.randint(len(self.accelerations)))]
        return undersample(
            data,
            self.key_iterator(data),
            kind=self.kind,
            acceleration=acceleration,
            centre_lines=self.centre_lines,
            centre_fraction=self.centre_fraction,
            seed=int(self.R.randint(2**31 - 1)),
        )


def undersample(
    data: Mapping[Hashable, Any],
    keys: Any,
    *,
    kind: str,
    acceleration: float,
    centre_lines: int | None,
    centre_fraction: float | None,
    seed: int | Sequence[int],
) -> dict[Hashable, Any]:
    """Draw one mask within the acquired samples and apply it to every key; mask, card and note are replaced."""
    out = dict(data)
    acquired: Tensor = out[MASK]
    plane_mask = acquired.reshape(acquired.shape[-2:])
    for number, key in enumerate(keys):
        kspace: Tensor = out[key]
        if number == 0:
            drawn = sampling_mask(
                kind,
                (kspace.shape[-2], kspace.shape[-1]),
                acceleration=acceleration,
                phase_encoding_axis="yx" if kind == "poisson-disc" else protocol_of(out[META]).phase_encoding_axis,
                seed=seed,
                centre_lines=centre_lines,
                centre_fraction=centre_fraction,
                acquired=None if bool(plane_mask.all()) else plane_mask,
            )
            out = _noted(out, drawn, kspace.ndim)
        out[key] = torch.where(out[MASK], kspace, 0)
    return out


def _noted(out: dict[Hashable, Any], drawn: SamplingMask, ndim: int) -> dict[Hashable, Any]:
    card = drawn.card
    out[MASK] = drawn.mask.reshape(*[1] * (ndim - 2), *drawn.mask.shape[-2:])
    out[MASK_CARD] = json.dumps(card.to_dict(), sort_keys=True)
    out[META] = with_note(
        out[META],
        f"Undersampled afterwards by {card.effective_acceleration:.2f} ({card.kind}, seed {card.seed}), "
        f"{card.n_sampled} of {card.n_phase_encodings} phase encodings kept.",
    )
    return out
