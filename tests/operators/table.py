"""The table of operators: one row here, and the property suite tests the operator.

All in double precision and small, so that every property can be checked against a dense matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.linalg.space import Space
from mrirecon.operators import image
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.coisometry import Crop
from mrirecon.operators.elementary import Diagonal, Fourier, Identity, sampling
from mrirecon.operators.extension import Extension
from mrirecon.operators.external import ExternalOperator
from mrirecon.operators.kernels import gaussian_kernel, motion_kernel
from mrirecon.operators.mri import Sensitivities, cartesian_mri
from mrirecon.operators.separable import Separable

FREE = ((), (2,), (2, 3))
BATCHED = ((3,), (2, 3))  # for operators whose parameters have batch shape (3,)


@dataclass(frozen=True)
class Row:
    """An operator under test.

    `batches` are the batch shapes it is tested with; `movable` says whether `to` reaches everything it is made of.
    """

    name: str
    build: Callable[[], LinearOperator]
    batches: tuple[tuple[int, ...], ...] = FREE
    movable: bool = True

    @property
    def has_batched_parameters(self) -> bool:
        return () not in self.batches


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _photo(channels: int = 2, height: int = 8, width: int = 6) -> Space:
    return image.image_space(channels, height, width, dtype=torch.float64)


def _complex(*shape: int) -> Space:
    return Space(("channel", "z", "y", "x")[:1] + ("z", "y", "x")[-len(shape) + 1 :], shape, torch.complex128)


def _real(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_rng(1), dtype=torch.float64)


def _cplx(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_rng(2), dtype=torch.complex128)


def _mask(*shape: int, kept: float = 0.5) -> Tensor:
    return torch.rand(shape, generator=_rng(3)) < kept


def _asymmetric(*leading: int) -> Tensor:
    """A small kernel without symmetry and without zeros in its spectrum."""
    kernel = torch.rand((*leading, 3, 4), generator=_rng(4), dtype=torch.float64) * 0.1
    kernel[..., 1, 2] += 1.0
    return kernel


def _external() -> LinearOperator:
    matrix = _cplx(5, 12)
    domain, codomain = Space(("y", "x"), (3, 4), torch.complex128), Space(("sample",), (5,), torch.complex128)
    return ExternalOperator(
        domain, codomain, lambda x: x.reshape(-1, 12) @ matrix.T, lambda y: (y @ matrix.conj()).reshape(-1, 3, 4)
    )


def _real_part() -> LinearOperator:
    """A real-linear operator from complex to real numbers."""
    complex_space, real_space = _complex(1, 3, 4), Space(("channel", "y", "x"), (1, 3, 4), torch.float64)
    phase = torch.exp(1j * _real(3, 4))
    return ExternalOperator(complex_space, real_space, lambda x: (phase * x).real, lambda y: phase.conj() * y)


def _mri(mask: Tensor, *maps: int, n_sets: int = 1, spatial_ndim: int = 2) -> LinearOperator:
    return cartesian_mri(mask, _cplx(*maps) / maps[-spatial_ndim - 1] ** 0.5, n_sets=n_sets, spatial_ndim=spatial_ndim)


ROWS = (
    Row("identity", lambda: Identity(_photo())),
    Row("diagonal real", lambda: Diagonal(_real(8, 6), _photo())),
    Row("diagonal complex", lambda: Diagonal(_cplx(8, 1), _complex(1, 8, 6))),
    Row("diagonal with zeros", lambda: Diagonal(_cplx(8, 6) * _mask(8, 6), _complex(1, 8, 6))),
    Row("diagonal batched", lambda: Diagonal(_real(3, 1, 8, 6), _photo()), BATCHED),
    Row("sampling", lambda: sampling(_mask(6), _complex(1, 8, 6))),
    Row("fourier even", lambda: Fourier(_complex(1, 8, 6))),
    Row("fourier odd, 3D", lambda: Fourier(_complex(1, 3, 4, 5), ("z", "y", "x"))),
    Row("fourier along x", lambda: Fourier(_complex(2, 3, 5), ("x",))),
    Row("adjoint", lambda: image.block_average(_photo(), 2).H),
    Row("sampling of fourier", lambda: sampling(_mask(8, 6), _complex(1, 8, 6)) @ Fourier(_complex(1, 8, 6))),
    Row("fourier of diagonal", lambda: Fourier(_complex(1, 8, 6)) @ Diagonal(_cplx(8, 6), _complex(1, 8, 6))),
    Row("scaled", lambda: (0.5 - 2j) * Diagonal(_cplx(8, 6), _complex(1, 8, 6))),
    Row("sum", lambda: Diagonal(_real(8, 6), _photo()) + image.gaussian_blur(_photo(), 0.8, size=5)),
    Row("external", _external, movable=False),
    Row("external real part", _real_part, movable=False),
    Row("blur", lambda: image.blur(_photo(), _asymmetric(), cutoff=1e-8)),
    Row("blur odd width", lambda: image.blur(_photo(2, 6, 7), _asymmetric(), cutoff=1e-8)),
    Row("blur per channel", lambda: image.blur(_photo(), _asymmetric(2), cutoff=1e-8)),
    Row("blur batched", lambda: image.blur(_photo(), _asymmetric(3, 1), cutoff=1e-8), BATCHED),
    Row("blur with zeros", lambda: image.blur(_photo(), torch.ones(1, 3, dtype=torch.float64), cutoff=1e-8)),
    Row("blur complex", lambda: image.blur(_complex(1, 5, 6), _cplx(3, 3), cutoff=1e-8)),
    Row("blur valid", lambda: image.blur(_photo(), _asymmetric(), boundary="valid")),
    Row("blur symmetric", lambda: image.blur(_photo(), _asymmetric(), boundary="symmetric")),
    Row("gaussian blur", lambda: image.gaussian_blur(_photo(), 1.0, size=5, cutoff=1e-8)),
    Row("gaussian blur symmetric", lambda: image.gaussian_blur(_photo(), 0.6, boundary="symmetric", cutoff=1e-8)),
    Row(
        "motion blur",
        lambda: image.blur(
            _photo(), motion_kernel(5, intensity=0.5, generator=_rng(), dtype=torch.float64), cutoff=1e-8
        ),
    ),
    Row("block average", lambda: image.block_average(_photo(2, 8, 12), 4)),
    Row("bicubic", lambda: image.bicubic_downsampling(_photo(1, 12, 16), 4)),
    Row("bicubic odd factor", lambda: image.bicubic_downsampling(_photo(1, 9, 12), 3)),
    Row("bicubic circular", lambda: image.bicubic_downsampling(_photo(1, 12, 16), 4, boundary="circular")),
    Row(
        "gaussian downsampling",
        lambda: image.blurred_downsampling(_photo(), gaussian_kernel(0.7, size=5, dtype=torch.float64), 2, cutoff=1e-8),
    ),
    Row("complex downsampling", lambda: image.blurred_downsampling(_complex(1, 4, 6), _cplx(3, 3), 2, cutoff=1e-8)),
    Row(
        "downsampling batched",
        lambda: image.blurred_downsampling(_photo(), _asymmetric(3, 1), 2, cutoff=1e-8),
        BATCHED,
    ),
    Row(
        "downsampling with zeros",
        lambda: image.blurred_downsampling(_photo(1, 12, 6), torch.ones(6, 2, dtype=torch.float64), 2, cutoff=1e-7),
    ),
    Row("inpainting box", lambda: image.inpainting(_photo(), image.box_mask((8, 6), (4, 2)))),
    Row(
        "inpainting random",
        lambda: image.inpainting(_photo(), image.random_mask((8, 6), missing=0.7, generator=_rng())),
    ),
    Row("denoising", lambda: image.denoising(_photo())),
    Row("crop", lambda: Crop(_photo(), (1, 2), (4, 3))),
    Row("extension symmetric", lambda: Extension(_photo(2, 4, 5), (1, 2, 6, 0), "symmetric")),
    Row("extension reflect", lambda: Extension(_photo(2, 4, 5), (1, 2, 3, 0), "reflect")),
    Row("extension edge", lambda: Extension(_photo(2, 4, 5), (1, 2, 3, 0), "edge")),
    Row("separable wide", lambda: Separable(_real(3, 6), _real(4, 5), _photo(2, 6, 5), 1e-8)),
    Row("separable tall", lambda: Separable(_real(7, 4), _real(4, 5), _photo(2, 4, 5), 1e-8)),
    Row("sensitivities", lambda: Sensitivities(_cplx(1, 3, 4, 5))),
    Row("sensitivities, two sets", lambda: Sensitivities(_cplx(2, 3, 4, 5))),
    Row("MRI one coil", lambda: cartesian_mri(_mask(6, 5), torch.ones(1, 6, 5, dtype=torch.complex128))),
    Row("MRI mask along x", lambda: _mri(_mask(1, 6), 4, 5, 6)),
    Row("MRI mask along y", lambda: _mri(_mask(5, 1).expand(5, 6), 4, 5, 6)),
    Row("MRI mask over both axes", lambda: _mri(_mask(5, 6), 4, 5, 6)),
    Row("MRI full mask", lambda: _mri(torch.ones(5, 6, dtype=torch.bool), 4, 5, 6)),
    Row("MRI two sets", lambda: _mri(_mask(1, 6), 2, 4, 5, 6, n_sets=2)),
    Row("MRI 3D", lambda: _mri(_mask(3, 4, 1), 3, 3, 4, 4, spatial_ndim=3)),
    Row("MRI batched maps", lambda: _mri(_mask(1, 6), 3, 4, 5, 6), BATCHED),
    Row("MRI batched maps and masks", lambda: _mri(_mask(3, 1, 6), 3, 4, 5, 6), BATCHED),
)
