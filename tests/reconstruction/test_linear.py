"""Matched filter and CG-SENSE against dense linear algebra."""

import pytest
import torch

from mrirecon.errors import ConfigError, ConvergenceError, ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.reconstruction.linear import LeastSquares, MatchedFilter
from tests.reconstruction.problems import dense, line_mask, mri_problem

EXACT = CGOptions(max_iterations=500, tolerance=1e-12)


@pytest.mark.parametrize("axis", [-1, -2])
def test_least_squares_equals_the_dense_solution(axis: int) -> None:
    operator, model, _, y = mri_problem(line_mask((12, 10), axis=axis), noise=0.05)
    matrix = dense(operator)
    rho = 0.03
    normal = matrix.mH @ matrix + rho * torch.eye(matrix.shape[1], dtype=matrix.dtype)
    expected = torch.linalg.solve(normal, matrix.mH @ y.reshape(-1)).reshape(operator.domain.shape)
    result = LeastSquares(rho, EXACT)(y, model)
    assert result.converged
    torch.testing.assert_close(result.image, expected, atol=1e-9, rtol=0)


def test_noiseless_overdetermined_data_give_the_image_back() -> None:
    _, model, image, y = mri_problem(line_mask((16, 16), keep=0.6), n_coils=6)
    result = LeastSquares(0.0, EXACT)(y, model)
    torch.testing.assert_close(result.image, image, atol=1e-6, rtol=0)


def test_iterations_and_residual_are_reported() -> None:
    _, model, _, y = mri_problem(line_mask((16, 16)), noise=0.1)
    short = LeastSquares(1e-4, CGOptions(max_iterations=2, tolerance=1e-10))(y, model)
    assert short.iterations == 2
    assert not short.converged
    assert short.residual > 1e-10


def test_matched_filter_is_the_adjoint() -> None:
    operator, model, _, y = mri_problem(line_mask((8, 6)))
    assert torch.equal(MatchedFilter()(y, model).image, operator.adjoint(y))


def test_single_coil_solve_is_exact_in_one_step() -> None:
    mask = line_mask((10, 12))
    _, model, _, y = mri_problem(mask, n_coils=1)
    result = LeastSquares(0.1, CGOptions(max_iterations=2, tolerance=1e-12))(y, model)
    assert result.converged


def test_batch_does_not_change_an_item() -> None:
    _, model, _, y = mri_problem(line_mask((12, 12)), noise=0.1)
    method = LeastSquares(1e-3, CGOptions(max_iterations=7, tolerance=0))
    other = torch.flip(y, (-1,)) * line_mask((12, 12))
    both = method(torch.stack([y, other]), model)
    torch.testing.assert_close(both.image[0], method(y, model).image)


def test_bad_input_is_refused() -> None:
    _, model, _, y = mri_problem(line_mask((8, 8)))
    with pytest.raises(ShapeError, match="coil=3"):
        LeastSquares()(y[:, :4], model)
    with pytest.raises(ConfigError, match="not negative"):
        LeastSquares(-1.0)
    broken = y.clone()
    broken[0, 4, 4] = torch.nan
    with pytest.raises(ConvergenceError, match="NaN"):
        LeastSquares()(broken, model)
