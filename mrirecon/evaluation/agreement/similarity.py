"""How alike two volumes are once brightness and smooth shading are allowed for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ShapeError

_FOREGROUND = 0.1  # of the 99th percentile
_LEAST_VOXELS = 50


def foreground(*volumes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where any of the volumes is above a tenth of its 99th percentile."""
    found = np.zeros(volumes[0].shape, bool)
    for volume in volumes:
        found |= volume > _FOREGROUND * np.percentile(volume, 99)
    return found


def fitted_correlation(
    image: NDArray[np.float32], reference: NDArray[np.float32], *, mask: NDArray[np.bool_], shading_order: int
) -> float:
    """Correlation of `reference` with the best ``g image + c`` over `mask`.

    g is a polynomial of total degree `shading_order` in z, y, x (0: one factor) and c a constant, both by least
    squares, so that receive shading and its correction on the scanner do not count as a difference.

    Returns
    -------
        Square root of the explained variance, in [0, 1]; negative (the plain correlation) where the mean of g is
        negative, because dark for bright is no agreement; 0 where there is too little to compare.

    Raises
    ------
    ShapeError
        If the shapes differ.
    """
    if not image.shape == reference.shape == mask.shape:
        raise ShapeError(f"shapes must agree, got {image.shape}, {reference.shape} and {mask.shape}")
    x, y = image[mask].astype(np.float64), reference[mask].astype(np.float64)
    if x.size < _LEAST_VOXELS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    plain = float(np.corrcoef(x, y)[0, 1])
    if plain <= 0 or shading_order == 0:
        return plain
    terms = [np.ones(x.size)]
    places = [
        np.linspace(-1, 1, n)[i] if n > 1 else np.zeros(x.size)
        for n, i in zip(mask.shape, np.nonzero(mask), strict=True)
    ]
    columns = [x * term for term in _monomials(places, shading_order)]
    design = np.stack([*terms, *columns], axis=1)
    gram, right = design.T @ design, design.T @ y
    solution = np.linalg.lstsq(gram, right, rcond=1e-12)[0]
    rest = y - design @ solution
    explained = 1.0 - float(rest @ rest) / float(((y - y.mean()) ** 2).sum())
    return max(plain, float(np.sqrt(max(explained, 0.0))))


def _monomials(places: list[NDArray[np.float64]], order: int) -> list[NDArray[np.float64]]:
    found = []
    z, y, x = places
    for a in range(order + 1):
        for b in range(order + 1 - a):
            for c in range(order + 1 - a - b):
                if any(power and not place.any() for power, place in ((a, z), (b, y), (c, x))):
                    continue
                found.append(z**a * y**b * x**c)
    return found
