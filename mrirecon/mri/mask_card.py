"""The identity card of a sampling mask: everything needed to make it again, and a checksum to prove it is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
from torch import Tensor

from mrirecon.errors import ConfigError

PhaseEncodingAxis = Literal["x", "y", "yx"]

GENERATOR_VERSION = 1
"""Raised whenever the same arguments would give another mask than before."""


@dataclass(frozen=True)
class MaskCard:
    """What a mask is. All counts are of phase encodings: lines of a 1D mask, grid points of a 2D one.

    Parameters
    ----------
    kind
        Pattern, a key of `mrirecon.mri.masks.KINDS`.
    seed
        Seed of the private generator: one integer, or several, such as the code points of a file name.
    generator_version
        Version of the drawing algorithms.
    shape
        k-space grid (ky, kx).
    phase_encoding_axis
        "x" or "y" for lines, "yx" where both axes are phase encoded.
    nominal_acceleration
        The acceleration that was asked for.
    centre_lines
        Lines (2D: side of the square) sampled completely at the centre, as used.
    parameters
        Further arguments of the pattern, offsets as drawn.
    n_phase_encodings, n_sampled
        Phase encodings of the whole grid, and those of them that are sampled.
    effective_acceleration
        ``n_phase_encodings / n_sampled``.
    effective_acceleration_outside_centre
        The same without the centre on either side of the fraction; None if nothing is sampled outside.
    acquired_sha256
        Checksum of the acquired mask to which the pattern was restricted; None if it was not.
    sha256
        Checksum of the mask, by `mask_sha256`.
    """

    kind: str
    seed: int | tuple[int, ...]
    generator_version: int
    shape: tuple[int, int]
    phase_encoding_axis: PhaseEncodingAxis
    nominal_acceleration: float
    centre_lines: int
    parameters: dict[str, int | float]
    n_phase_encodings: int
    n_sampled: int
    effective_acceleration: float
    effective_acceleration_outside_centre: float | None
    sha256: str
    acquired_sha256: str | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is the inverse, also after a round trip through a JSON file."""
        values = asdict(self)
        values["shape"] = list(self.shape)
        values["seed"] = list(self.seed) if isinstance(self.seed, tuple) else self.seed
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MaskCard:
        """The card that `to_dict` described; `ConfigError` if keys are missing or unknown."""
        expected = {f.name for f in fields(cls)}
        if set(values) != expected:
            missing, unknown = sorted(expected - set(values)), sorted(set(values) - expected)
            raise ConfigError(
                f"a mask card must have the keys {sorted(expected)}; missing: {missing}, unknown: {unknown}; "
                "use a card written by MaskCard.to_dict"
            )
        seed = values["seed"]
        ny, nx = values["shape"]
        converted = {
            "shape": (int(ny), int(nx)),
            "seed": int(seed) if isinstance(seed, int) else tuple(int(s) for s in seed),
            "parameters": dict(values["parameters"]),
        }
        return cls(**{**values, **converted})


def mask_sha256(mask: Tensor) -> str:
    """Checksum of a bool mask (ky, kx), 1 along an axis where it is constant.

    SHA-256 in hexadecimal of the samples in C order (kx fastest), eight to a byte, the first in the most significant
    bit, zero bits filling the last byte. The shape is not part of it.
    """
    return hashlib.sha256(np.packbits(mask.cpu().numpy().astype(np.bool_), bitorder="big").tobytes()).hexdigest()
