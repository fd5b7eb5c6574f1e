import numpy as np
import pytest
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.gradient import divergence, gradient

SHAPES = {1: (7,), 2: (6, 5), 3: (4, 3, 5)}


def random(*shape, dtype=torch.complex128, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def difference_matrix(n, boundary):
    matrix = np.roll(np.eye(n), 1, axis=1) - np.eye(n)
    if boundary == "replicate":
        matrix[-1] = 0
    return matrix


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradient_multiplies_by_the_difference_matrix(boundary, ndim, dtype):
    x = random(2, 3, *SHAPES[ndim], dtype=dtype)
    result = gradient(x, spatial_ndim=ndim, boundary=boundary)
    assert result.shape == (2, 3, ndim, *SHAPES[ndim])
    assert result.dtype == dtype
    for direction in range(ndim):
        axis = 2 + direction
        matrix = difference_matrix(x.shape[axis], boundary)
        expected = np.moveaxis(np.tensordot(matrix, x.numpy(), axes=(1, axis)), 0, axis)
        np.testing.assert_allclose(result.select(2, direction).numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_divergence_is_minus_the_adjoint(boundary, batch, ndim):
    x, p = random(*batch, *SHAPES[ndim]), random(*batch, ndim, *SHAPES[ndim], seed=1)
    forward = torch.vdot(gradient(x, spatial_ndim=ndim, boundary=boundary).flatten(), p.flatten())
    adjoint = -torch.vdot(x.flatten(), divergence(p, spatial_ndim=ndim, boundary=boundary).flatten())
    assert abs(forward - adjoint) <= 1e-14 * x.norm() * p.norm() * 4


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
def test_axes_of_length_one_and_two(boundary):
    single = random(1, 1)
    assert torch.equal(gradient(single, boundary=boundary), torch.zeros(2, 1, 1, dtype=single.dtype))
    assert torch.equal(divergence(random(2, 1, 1), boundary=boundary), torch.zeros(1, 1, dtype=single.dtype))
    x, p = random(2, 1), random(2, 2, 1, seed=1)
    forward = torch.vdot(gradient(x, boundary=boundary).flatten(), p.flatten())
    assert abs(forward + torch.vdot(x.flatten(), divergence(p, boundary=boundary).flatten())) < 1e-13


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_norm_bound_is_attained_by_the_checkerboard(ndim):
    index = torch.stack(torch.meshgrid(*[torch.arange(4)] * ndim, indexing="ij")).sum(0)
    x = (1.0 - 2.0 * (index % 2)).double()
    assert gradient(x, spatial_ndim=ndim, boundary="circular").square().sum() == 4 * ndim * x.square().sum()


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_derivatives_of_first_and_second_order(boundary, dtype):
    x, p = random(3, 4, dtype=dtype).requires_grad_(), random(2, 3, 4, dtype=dtype).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: gradient(t, boundary=boundary), x)
    assert torch.autograd.gradcheck(lambda t: divergence(t, boundary=boundary), p)
    assert torch.autograd.gradgradcheck(lambda t: gradient(t, boundary=boundary).abs().square().sum(), x)
    assert torch.autograd.gradgradcheck(lambda t: divergence(t, boundary=boundary).abs().square().sum(), p)


def test_lazy_conjugates_and_views_are_resolved():
    x = random(5, 6)
    torch.testing.assert_close(gradient(x.conj()), gradient(x).conj())
    torch.testing.assert_close(gradient(x.mT), gradient(x.mT.contiguous()))
    torch.testing.assert_close(gradient(x.conj().imag), gradient(-x.imag.clone()))


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match="boundary"):
        gradient(random(4, 4), boundary="reflect")
    with pytest.raises(ConfigError, match="spatial_ndim"):
        gradient(random(4, 4), spatial_ndim=0)
    with pytest.raises(ShapeError, match="at least 2"):
        gradient(random(4))
    with pytest.raises(ShapeError, match="direction=2"):
        divergence(random(3, 4, 4))
