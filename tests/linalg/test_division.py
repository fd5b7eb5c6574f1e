"""Division in which nothing comes back from zero."""

from __future__ import annotations

import torch

from mrirecon.linalg.division import above, divide_or_zero


def test_divide_or_zero() -> None:
    a = torch.tensor([1.0, 2.0, 3.0 + 1j])
    torch.testing.assert_close(divide_or_zero(a, torch.tensor([2.0, 0.0, 1.0])), torch.tensor([0.5, 0.0, 3.0 + 1j]))
    torch.testing.assert_close(divide_or_zero(a, 2.0), a / 2)
    assert not divide_or_zero(a, 0.0).any()
    assert divide_or_zero(a, torch.tensor(0.0)).dtype == a.dtype


def test_gradients_stay_finite() -> None:
    a = torch.tensor([1.0, 2.0], requires_grad=True)
    b = torch.tensor([2.0, 0.0], requires_grad=True)
    gradients = torch.autograd.grad(divide_or_zero(a, b).sum(), (a, b))
    torch.testing.assert_close(gradients, (torch.tensor([0.5, 0.0]), torch.tensor([-0.25, 0.0])))


def test_above_is_relative_to_the_largest_of_each_item() -> None:
    values = torch.tensor([[1.0, 0.1, 0.01], [100.0, 10.0, 0.0]])
    kept = above(values, 0.05, (-1,))
    assert kept.tolist() == [[True, True, False], [True, True, False]]
    assert not above(torch.zeros(3), 0.0, (-1,)).any()
