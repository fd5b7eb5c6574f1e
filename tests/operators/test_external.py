"""Adapters: gradients by the adjoint, SigPy and DeepInverse operators beside our own."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from mrirecon.errors import MissingDependencyError, ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.space import Space
from mrirecon.operators import image
from mrirecon.operators.external import ExternalOperator, from_deepinv, from_sigpy
from mrirecon.operators.kernels import gaussian_kernel
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise
from tests.torchvision_shim import ensure_torchvision


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def through_numpy(matrix: Tensor) -> ExternalOperator:
    """A matrix applied by NumPy, where automatic differentiation cannot follow."""
    rows, columns = matrix.shape
    domain, codomain = Space(("x",), (columns,), matrix.dtype), Space(("y",), (rows,), matrix.dtype)
    return ExternalOperator(
        domain,
        codomain,
        lambda x: torch.from_numpy(x.numpy() @ matrix.numpy().T),
        lambda y: torch.from_numpy(y.resolve_conj().numpy() @ matrix.numpy().conj()),
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_of_first_and_second_order(dtype: torch.dtype) -> None:
    A = through_numpy(torch.randn(4, 6, generator=rng(), dtype=dtype))
    x = A.domain.randn(2, generator=rng(1)).requires_grad_(True)

    def energy(x: Tensor) -> Tensor:
        return A(x).abs().square().sum()

    assert torch.autograd.gradcheck(energy, x)
    assert torch.autograd.gradgradcheck(energy, x)


def test_wrong_result_of_the_foreign_function_is_named() -> None:
    domain, codomain = Space(("x",), (3,), torch.float64), Space(("y",), (2,), torch.float64)
    A = ExternalOperator(domain, codomain, lambda x: x, lambda y: y)
    with pytest.raises(ShapeError, match="external function must return"):
        A(torch.zeros(5, 3, dtype=torch.float64))


def test_identity_function_does_not_alias_its_input() -> None:
    space = Space(("x",), (3,), torch.float64)
    x = torch.zeros(3, dtype=torch.float64)
    ExternalOperator(space, space, lambda x: x, lambda y: y)(x).add_(1)
    assert not x.any()


def test_sigpy_sense_is_our_mri() -> None:
    """SigPy's multi-coil Cartesian operator, adapted, against ours: forward, adjoint and a solve."""
    pytest.importorskip("sigpy")
    import sigpy.mri.linop

    maps = torch.randn(4, 12, 10, generator=rng(), dtype=torch.complex64)
    maps = maps / maps.abs().square().sum(0, keepdim=True).sqrt()
    mask = torch.rand(1, 10, generator=rng(1)) < 0.5
    weights = mask.expand(4, 12, 10).numpy().astype(np.float32)
    linop = sigpy.mri.linop.Sense(maps.numpy(), weights=weights)
    theirs = from_sigpy(linop, domain_axes=("y", "x"), codomain_axes=("coil", "ky", "kx"))
    ours = cartesian_mri(mask, maps)
    x = ours.domain.randn(2, 3, generator=rng(2))
    y = ours.codomain.randn(2, 3, generator=rng(3))
    torch.testing.assert_close(theirs(x[:, :, 0]), ours(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(theirs.adjoint(y), ours.adjoint(y)[:, :, 0], rtol=1e-5, atol=1e-5)
    solved = theirs.solve_normal(x[:, :, 0], 0.1, cg=CGOptions(100, 1e-6))
    expected = ours.solve_normal(x, 0.1, cg=CGOptions(100, 1e-6))[:, :, 0]
    torch.testing.assert_close(solved, expected, rtol=1e-3, atol=1e-4)
    leaf = x[:, :, 0].clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(theirs(leaf), leaf, y)
    torch.testing.assert_close(gradient, theirs.adjoint(y))


def test_from_sigpy_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sigpy")
    with pytest.raises(TypeError, match=r"sigpy\.linop\.Linop"):
        from_sigpy(np.eye(3))
    monkeypatch.setitem(sys.modules, "sigpy.linop", None)
    with pytest.raises(MissingDependencyError, match=r"mrirecon\[sigpy\]"):
        from_sigpy(None)  # type: ignore[arg-type]


@pytest.fixture
def physics() -> ModuleType:
    if find_spec("deepinv") is None or find_spec("torchvision") is None:
        pytest.skip("deepinv is not installed")
    ensure_torchvision()
    return importlib.import_module("deepinv.physics")


def test_from_deepinv_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepinv.physics", None)
    with pytest.raises(MissingDependencyError, match=r"mrirecon\[peers\]"):
        from_deepinv(None, image.image_space(1, 4, 4))  # type: ignore[arg-type]


def test_deepinv_blur_is_our_blur(physics: ModuleType) -> None:
    space = image.image_space(3, 16, 12, dtype=torch.float64)
    kernel = torch.rand(5, 3, generator=rng(), dtype=torch.float64)
    theirs = from_deepinv(physics.Blur(filter=kernel[None, None], padding="circular"), space)
    ours = image.blur(space, kernel)
    x, y = space.randn(2, 3, generator=rng(1)), space.randn(2, 3, generator=rng(2))
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(theirs.adjoint(y), ours.adjoint(y), rtol=1e-10, atol=1e-10)
    iterated = theirs.solve_normal(x, 0.3, cg=CGOptions(300, 1e-12))
    torch.testing.assert_close(ours.solve_normal(x, 0.3), iterated, rtol=1e-8, atol=1e-8)
    leaf = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(theirs(leaf), leaf, y)
    torch.testing.assert_close(gradient, ours.adjoint(y), rtol=1e-10, atol=1e-10)


def test_deepinv_super_resolution_prox_is_ours(physics: ModuleType) -> None:
    """Two codings of the closed form of Zhao et al. 2016."""
    space = image.image_space(3, 24, 16, dtype=torch.float64)
    kernel = gaussian_kernel(1.5, size=7, dtype=torch.float64)
    theirs = physics.Downsampling(img_size=space.shape, filter=kernel[None, None], factor=4, padding="circular")
    ours = MeasurementModel(image.blurred_downsampling(space, kernel, 4), GaussianNoise(1.0))
    x, z = space.randn(2, generator=rng(1)), space.randn(2, generator=rng(2))
    y = theirs.A(x)
    torch.testing.assert_close(ours.operator(x), y, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.prox(z, y, 0.2), theirs.prox_l2(z, y, gamma=5.0), rtol=1e-8, atol=1e-8)


def test_deepinv_bicubic_is_ours_but_for_the_origin(physics: ModuleType) -> None:
    """DeepInverse samples its 16-tap kernel one pixel off the centre of the block for factor 4."""
    space = image.image_space(1, 32, 24, dtype=torch.float64)
    theirs = physics.Downsampling(img_size=space.shape, filter="bicubic", factor=4, padding="circular").double()
    ours = image.bicubic_downsampling(space, 4, boundary="circular")
    x = space.randn(2, generator=rng(1))
    torch.testing.assert_close(ours(x), theirs.A(x.roll((-1, -1), dims=(-2, -1))), rtol=1e-6, atol=1e-6)


def test_deepinv_inpainting_and_measurement_space(physics: ModuleType) -> None:
    space = image.image_space(3, 8, 6)
    mask = image.box_mask((8, 6), (4, 2))
    theirs = from_deepinv(physics.Inpainting(img_size=space.shape, mask=mask.float()[None]), space)
    x = space.randn(2, generator=rng(1))
    torch.testing.assert_close(theirs(x), image.inpainting(space, mask)(x))
    small = from_deepinv(physics.Downsampling(img_size=space.shape, filter="bilinear", factor=2), space)
    assert small.codomain == image.image_space(3, 4, 3)
    with pytest.raises(TypeError, match="LinearPhysics"):
        from_deepinv(mask, space)  # type: ignore[arg-type]
