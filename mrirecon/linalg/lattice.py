"""Orthogonal two-channel filter banks as lattices of plane rotations.

A filter bank with 2 K taps is a cascade of K rotations of (even, odd) sample pairs with one delay between neighbours.
It needs half the multiplications of the convolutions and is orthonormal by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pywt
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError

Filters = NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """The rotations of an orthogonal filter bank, ``(a, b) -> (c a + s b, c b - s a)``, first stage first.

    Between stage k - 1 and stage k, b is advanced by one sample of its own grid.

    Parameters
    ----------
    cosines, sines
        c and s of every stage.
    high_sign
        Sign with which the last b becomes the high-pass output.

    References
    ----------
    .. [1] P. P. Vaidyanathan, P.-Q. Hoang, "Lattice structures for optimal design and robust implementation of
       two-channel perfect-reconstruction QMF banks", IEEE Trans. Acoust. Speech Signal Process. 36 (1988) 81-94.
    """

    cosines: tuple[float, ...]
    sines: tuple[float, ...]
    high_sign: float = 1.0

    @property
    def n_stages(self) -> int:
        """K, half the number of taps."""
        return len(self.cosines)

    def filters(self) -> Filters:
        """Low-pass and high-pass taps, shape (2, 2 K): ``output[o] = sum_m filter[m] x[2 o + m - (K - 1)]``."""
        taps = _rotation(self.cosines[0], self.sines[0])[None]  # power of the advance, output, (even, odd)
        for c, s in zip(self.cosines[1:], self.sines[1:], strict=True):
            longer = np.zeros((len(taps) + 1, 2, 2))
            longer[:-1, 0], longer[1:, 1] = taps[:, 0], taps[:, 1]
            taps = _rotation(c, s) @ longer
        taps[:, 1] *= self.high_sign
        return taps.transpose(1, 0, 2).reshape(2, -1)

    def analyse(self, even: Tensor, odd: Tensor, *, axis: int, delay: int = 1) -> tuple[Tensor, Tensor]:
        """Low and high band of polyphase components; each stage shortens `axis` by `delay`.

        Parameters
        ----------
        even, odd
            Samples ``x[2 o - (K - 1)]`` and ``x[2 o + 1 - (K - 1)]``, of one length along `axis`.
        axis
            Where to filter.
        delay
            Advance between stages, in samples of `axis`; 1 unless the transform is undecimated.
        """
        a, b, scales = even, odd, (1.0, 1.0)
        for stage, (c, s) in enumerate(zip(self.cosines, self.sines, strict=True)):
            if stage:
                length = a.shape[axis] - delay
                a, b = a.narrow(axis, 0, length), b.narrow(axis, delay, length)
            a, b, scales = _rotate(a, b, scales, c, s)
        return a.mul_(scales[0]), b.mul_(scales[1] * self.high_sign)

    def synthesise(self, low: Tensor, high: Tensor, *, axis: int, delay: int = 1) -> tuple[Tensor, Tensor]:
        """Adjoint and inverse cascade: polyphase components; each stage but one shortens `axis` by `delay`."""
        a, b, scales = low, high, (1.0, self.high_sign)
        for stage in range(self.n_stages - 1, -1, -1):
            a, b, scales = _rotate(a, b, scales, self.cosines[stage], -self.sines[stage])
            if stage:  # b was advanced: line both up again
                length = a.shape[axis] - delay
                a, b = a.narrow(axis, delay, length), b.narrow(axis, 0, length)
        return a.mul_(scales[0]), b.mul_(scales[1])


def _rotate(
    a: Tensor, b: Tensor, scales: tuple[float, float], c: float, s: float
) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Rotation of (A a, B b) for scales (A, B) of equal modulus, in one fused pass per output.

    Dividing by the larger of |c| and |s| leaves one factor in [-1, 1] per output; the rest goes to the new scales.
    """
    sign = 1.0 if scales[0] * scales[1] > 0 else -1.0
    if abs(c) >= abs(s):
        t = sign * s / c
        return torch.add(a, b, alpha=t), torch.sub(b, a, alpha=t), (c * scales[0], c * scales[1])
    t = sign * c / s
    return torch.add(b, a, alpha=t), torch.sub(a, b, alpha=t), (s * scales[1], -s * scales[0])


def wavelet_lattice(name: str) -> Lattice:
    """Factor the filters of an orthogonal wavelet.

    Parameters
    ----------
    name
        A discrete wavelet known to PyWavelets: "haar", "db4", "sym8", "coif2" ...

    Raises
    ------
    ConfigError
        If the name is unknown, or rotations do not reproduce its filters to 1e-6: the wavelet is not orthogonal, or
        (from db20 on) the factorisation loses too many digits.

    Notes
    -----
    Stage by stage from the last: the rotation is undone that leaves the lowest power of the advance out of b and the
    highest out of a, in the least-squares sense.

    Examples
    --------
    >>> wavelet_lattice("haar").n_stages, wavelet_lattice("db4").n_stages
    (1, 4)
    """
    if name not in pywt.wavelist(kind="discrete"):
        raise ConfigError(f"`wavelet` must be a discrete wavelet of PyWavelets such as 'haar' or 'db4', got {name!r}")
    wavelet = pywt.Wavelet(name)
    filters = np.array([wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]], dtype=np.float64)
    if wavelet.orthogonal:
        for high_sign in (1.0, -1.0):  # a cascade of rotations has determinant one, so it fixes this sign
            found = _factor(filters, high_sign)
            if np.allclose(found.filters(), filters, atol=1e-6):
                return found
    raise ConfigError(
        f"`wavelet` must be orthogonal and factor into rotations to 1e-6, {name!r} does not; take 'db1' to 'db19', "
        "'sym2' to 'sym20' or 'coif1' to 'coif17'"
    )


def _factor(filters: Filters, high_sign: float) -> Lattice:
    n_stages = filters.shape[1] // 2
    rest = (filters * np.array([[1.0], [high_sign]])).reshape(2, n_stages, 2).transpose(1, 0, 2)
    cosines, sines = [], []
    for _ in range(n_stages - 1):
        first, last = rest[0], rest[-1]
        by_cosine = np.concatenate([first[1], last[0]])
        by_sine = np.concatenate([first[0], -last[1]])
        c, s = np.linalg.svd(np.stack([by_cosine, by_sine], axis=1))[2][-1]
        turned = _rotation(c, s).T @ rest
        rest = np.stack([turned[:-1, 0], turned[1:, 1]], axis=1)
        cosines.append(float(c))
        sines.append(float(s))
    length = float(np.hypot(*rest[0, 0]))
    cosines.append(float(rest[0, 0, 0]) / length)
    sines.append(float(rest[0, 0, 1]) / length)
    return Lattice(tuple(reversed(cosines)), tuple(reversed(sines)), high_sign)


def _rotation(c: float, s: float) -> Filters:
    return np.array([[c, s], [-s, c]])
