"""Sparsity in wavelets: soft thresholding of an orthonormal transform, and of its shift-invariant version."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.channels import from_planes, to_planes
from mrirecon.linalg.lattice import Lattice, wavelet_lattice
from mrirecon.linalg.wavelet import undecimated_analysis, undecimated_synthesis, wavelet_analysis, wavelet_synthesis
from mrirecon.priors.base import ProximalPrior, check_image, per_item
from mrirecon.priors.shrinkage import modulus, soft_threshold


@dataclass(frozen=True)
class Wavelet(ProximalPrior):
    """g(u) = weight * sum of the moduli of the detail coefficients of an orthonormal wavelet transform.

    The approximation is free. Boundaries are periodic, lengths arbitrary, the proximal map exact.

    Parameters
    ----------
    weight
        Non-negative factor of the sum.
    wavelet
        An orthogonal wavelet by its PyWavelets name: "haar", "db4", "sym8" ...
    n_levels
        How often the approximation is split again.
    spatial_ndim
        Number of trailing axes that are transformed.

    Raises
    ------
    ConfigError
        If a setting is out of range or the wavelet is not orthogonal.

    Notes
    -----
    Complex coefficients are shrunk by modulus. Channels are independent. The transform favours its own grid of
    blocks; give `prox` another `shift` in every iteration (`cycle_shift`) or take `UndecimatedWavelet` to avoid it.

    References
    ----------
    .. [1] M. Lustig, D. Donoho, J. M. Pauly, "Sparse MRI", Magn. Reson. Med. 58 (2007) 1182-1195.
    .. [2] M. A. T. Figueiredo, R. D. Nowak, "An EM algorithm for wavelet-based image restoration", IEEE Trans. Image
       Process. 12 (2003) 906-916 (random shifts).

    Examples
    --------
    >>> noisy = torch.tensor([[1.0, 3.0, 8.0, 8.0]])
    >>> Wavelet(0.5, wavelet="haar", n_levels=1, spatial_ndim=1).prox(noisy, 2.0)
    tensor([[1.7071, 2.2929, 8.0000, 8.0000]])
    """

    weight: float
    wavelet: str = "db4"
    n_levels: int = 4
    spatial_ndim: int = 2
    _lattice: Lattice = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.weight, self.n_levels, self.spatial_ndim)
        object.__setattr__(self, "_lattice", wavelet_lattice(self.wavelet))

    def value(self, x: Tensor) -> Tensor:
        """weight * sum of moduli of the details: real, shape (*batch)."""
        check_image(x, spatial_ndim=self.spatial_ndim)
        _, details = self._analyse(to_planes(x))
        return self.weight * sum((_total(d, self.spatial_ndim) for d in details), start=x.new_zeros(()).real)

    def prox(self, x: Tensor, step: Tensor | float, *, shift: tuple[int, ...] | None = None) -> Tensor:
        """argmin_u 1/2 ||u - x||^2 + step * value(u), exactly.

        Parameters
        ----------
        x
            Image, shape (*batch, channel, [z,] y, x), real or complex.
        step
            Non-negative step size: a number, or a tensor that broadcasts to the batch axes.
        shift
            Move the grid of the transform by this many pixels along each spatial axis; none when omitted.

        Raises
        ------
        ShapeError
            If an axis is shorter than ``2**n_levels`` or `shift` does not have one entry per axis.
        """
        check_image(x, spatial_ndim=self.spatial_ndim)
        threshold = _band_threshold(step, self.weight, x, self.spatial_ndim)
        if shift is None:
            return from_planes(self._shrink(to_planes(x), threshold))
        if len(shift) != self.spatial_ndim:
            raise ShapeError(f"`shift` must have {self.spatial_ndim} entries, one per spatial axis, got {shift}")
        axes = tuple(range(-self.spatial_ndim, 0))
        moved = torch.roll(to_planes(x), [-s for s in shift], axes)
        return from_planes(torch.roll(self._shrink(moved, threshold), list(shift), axes))

    def _analyse(self, planes: Tensor) -> tuple[Tensor, list[Tensor]]:
        return wavelet_analysis(planes, self._lattice, n_levels=self.n_levels, spatial_ndim=self.spatial_ndim)

    def _shrink(self, planes: Tensor, threshold: Tensor | float) -> Tensor:
        approximation, details = self._analyse(planes)
        shrunk = [_soft(d, threshold) for d in details]
        return wavelet_synthesis(approximation, shrunk, self._lattice, shape=planes.shape[-self.spatial_ndim :])


@dataclass(frozen=True)
class UndecimatedWavelet(ProximalPrior):
    """The average of `Wavelet` over all shifts of its grid; no preferred grid, several times the work.

    Its proximal map is the average of the shifted maps (Coifman and Donoho's translation-invariant denoising), in
    closed form by an undecimated transform. An average of proximal maps is the exact proximal map of their proximal
    average [2]_, which lies below `value`, the plain average of the functionals.

    Parameters
    ----------
    weight, wavelet, n_levels, spatial_ndim
        As for `Wavelet`.

    Notes
    -----
    The correspondence with shifts is exact where ``2**n_levels`` divides the lengths; other lengths are allowed.

    References
    ----------
    .. [1] R. R. Coifman, D. L. Donoho, "Translation-invariant de-noising", in Wavelets and Statistics, Springer,
       1995, 125-150.
    .. [2] H. H. Bauschke, R. Goebel, Y. Lucet, X. Wang, "The proximal average: basic theory", SIAM J. Optim. 19
       (2008) 766-785.
    """

    weight: float
    wavelet: str = "db4"
    n_levels: int = 4
    spatial_ndim: int = 2
    _lattice: Lattice = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.weight, self.n_levels, self.spatial_ndim)
        object.__setattr__(self, "_lattice", wavelet_lattice(self.wavelet))

    def value(self, x: Tensor) -> Tensor:
        """weight * average over shifts of the sum of moduli of the details: real, shape (*batch)."""
        check_image(x, spatial_ndim=self.spatial_ndim)
        _, details = self._analyse(to_planes(x))
        total = x.new_zeros(()).real
        for level, bands in enumerate(details, start=1):
            total = total + _total(bands, self.spatial_ndim) * self._scale(level)
        return self.weight * total

    def prox(self, x: Tensor, step: Tensor | float) -> Tensor:
        """Average over all shifts of ``Wavelet.prox``; see `ProximalPrior.prox` for the arguments."""
        check_image(x, spatial_ndim=self.spatial_ndim)
        threshold = _band_threshold(step, self.weight, x, self.spatial_ndim)
        approximation, details = self._analyse(to_planes(x))
        shrunk = [_soft(d, threshold * self._scale(level)) for level, d in enumerate(details, start=1)]
        planes = undecimated_synthesis(approximation, shrunk, self._lattice, spatial_ndim=self.spatial_ndim)
        return from_planes(planes)

    def _scale(self, level: int) -> float:
        """Coefficients of the frame over those of the orthonormal transform that they are copies of."""
        return float(2 ** (-level * self.spatial_ndim / 2))

    def _analyse(self, planes: Tensor) -> tuple[Tensor, list[Tensor]]:
        return undecimated_analysis(planes, self._lattice, n_levels=self.n_levels, spatial_ndim=self.spatial_ndim)


def cycle_shift(iteration: int, *, n_levels: int, spatial_ndim: int = 2) -> tuple[int, ...]:
    """A shift for `Wavelet.prox` that differs from iteration to iteration and covers all shifts evenly.

    Parameters
    ----------
    iteration
        Counts from 0, which is not shifted.
    n_levels
        The transform repeats itself under shifts by ``2**n_levels``.
    spatial_ndim
        Number of entries.

    Notes
    -----
    An additive recurrence with the generalised golden ratio (the positive root of ``r**(d + 1) = r + 1``), so that a
    run is reproducible without a random state.

    Examples
    --------
    >>> [cycle_shift(k, n_levels=3) for k in range(4)]
    [(0, 0), (6, 4), (4, 1), (2, 5)]
    """
    ratio = 2.0
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (spatial_ndim + 1))
    return tuple(int(2**n_levels * ((iteration * ratio ** -(axis + 1)) % 1.0)) for axis in range(spatial_ndim))


def _check(weight: float, n_levels: int, spatial_ndim: int) -> None:
    if not 0 <= weight < float("inf"):
        raise ConfigError(f"`weight` must be finite and not negative, got {weight}")
    if n_levels < 1:
        raise ConfigError(f"`n_levels` must be at least 1, got {n_levels}")
    if spatial_ndim < 1:
        raise ConfigError(f"`spatial_ndim` must be at least 1, got {spatial_ndim}")


def _band_threshold(step: Tensor | float, weight: float, x: Tensor, spatial_ndim: int) -> Tensor | float:
    return per_item(step, x, item_ndim=spatial_ndim + 1, name="step") * weight


def _soft(details: Tensor, threshold: Tensor | float) -> Tensor:
    """Shrink bands of shape (band, plane, *batch, channel, *size) by their moduli."""
    return soft_threshold(details.transpose(0, 1), threshold, overwrite=True).transpose(0, 1)


def _total(details: Tensor, spatial_ndim: int) -> Tensor:
    """Sum of moduli over bands, channels and space: shape (*batch)."""
    moduli = modulus(details.transpose(0, 1))
    return moduli.sum(dim=(0, *range(-spatial_ndim - 1, 0)))
