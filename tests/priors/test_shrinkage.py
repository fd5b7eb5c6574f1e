import pytest
import torch

from mrirecon.linalg.channels import from_planes, to_planes
from mrirecon.priors.shrinkage import clip_modulus, modulus, soft_threshold


def random(*shape, dtype):
    x = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    x.view(-1)[:3] = 0
    return x


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("radius", [0.0, 0.4, torch.tensor([[0.0], [0.3], [2.0]], dtype=torch.float64)])
def test_clip_and_threshold_split_a_number(dtype, radius):
    x = random(3, 50, dtype=dtype)
    clipped = from_planes(clip_modulus(to_planes(x), radius))
    expected = torch.where(x.abs() > radius, x / x.abs().clamp_min(1e-300) * radius, x)
    torch.testing.assert_close(clipped, expected, atol=1e-14, rtol=0)
    torch.testing.assert_close(from_planes(soft_threshold(to_planes(x), radius)), x - expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_joint_clip_projects_vectors(dtype):
    x = random(4, 3, 7, dtype=dtype)
    clipped = from_planes(clip_modulus(to_planes(x), 0.9, joint=-2))
    norms = torch.linalg.vector_norm(x, dim=-2, keepdim=True)
    torch.testing.assert_close(clipped, x * (0.9 / norms).clamp_max(1.0), atol=1e-14, rtol=0)
    torch.testing.assert_close(modulus(to_planes(x), joint=-2), norms)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("joint", [None, -2])
def test_reusing_memory_changes_nothing_else(dtype, joint):
    planes = to_planes(random(4, 3, 7, dtype=dtype)).clone()
    expected = clip_modulus(planes, 0.4, joint=joint)
    buffer = planes.clone()
    assert torch.equal(clip_modulus(buffer, 0.4, joint=joint, overwrite=True), expected)
    assert torch.equal(buffer, expected)
    tracked = planes.clone().requires_grad_()
    clip_modulus(tracked, 0.4, joint=joint, overwrite=True).sum().backward()
    assert torch.isfinite(tracked.grad).all()
    shrunk = soft_threshold(planes, 0.4)
    assert torch.equal(soft_threshold(planes.clone(), 0.4, overwrite=True), shrunk)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_derivatives(dtype):
    planes = to_planes(torch.randn(3, 4, dtype=dtype, generator=torch.Generator().manual_seed(1)))
    planes = planes.clone().requires_grad_()
    for function in (
        lambda t: clip_modulus(t, 0.5),
        lambda t: clip_modulus(t, 0.5, joint=-1),
        lambda t: soft_threshold(t, 0.5),
        lambda t: modulus(t, joint=-1),
    ):
        assert torch.autograd.gradcheck(function, planes)


@pytest.mark.parametrize("n_planes", [1, 2])
def test_derivatives_at_zero_are_finite_and_zero_outside_the_identity(n_planes):
    planes = torch.zeros(n_planes, 5, requires_grad=True)
    modulus(planes, joint=-1).sum().backward()
    assert torch.equal(planes.grad, torch.zeros_like(planes))
    planes.grad = None
    soft_threshold(planes, 0.5).sum().backward()
    assert torch.equal(planes.grad, torch.zeros_like(planes))
    planes.grad = None
    clip_modulus(planes, 0.5).sum().backward()
    assert torch.equal(planes.grad, torch.ones_like(planes))
