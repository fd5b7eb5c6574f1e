"""Coil mixing, compression and combination, against the SVD of the stacked data and written-out sums."""

import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import fft
from mrirecon.mri.coils import (
    apply_coil_matrix,
    coil_gram,
    compression_matrix,
    matched_filter,
    retained_energy,
    root_sum_of_squares,
)


def complex_randn(*shape, seed=0, dtype=torch.complex64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def correlated_kspace(n_batch=3, n_coils=8, size=(20, 24)):
    """Coils that are mixtures of three strong and five weak sources."""
    strength = torch.tensor([5.0, 3.0, 2.0, 0.3, 0.2, 0.1, 0.05, 0.02]).to(torch.complex64)
    sources = complex_randn(n_batch, n_coils, *size, seed=1) * strength[:, None, None]
    return apply_coil_matrix(complex_randn(n_coils, n_coils, seed=2), sources)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_apply_coil_matrix_is_the_written_out_sum(batch):
    kspace = complex_randn(*batch, 4, 5, 6)
    matrix = complex_randn(3, 4, seed=1)
    expected = torch.stack(
        [sum(matrix[o, i] * kspace[..., i, :, :] for i in range(4)) for o in range(3)],
        dim=-3,
    )
    torch.testing.assert_close(apply_coil_matrix(matrix, kspace), expected)


def test_apply_coil_matrix_commutes_with_the_fourier_transform():
    images, matrix = complex_randn(4, 7, 8), complex_randn(2, 4, seed=1)
    torch.testing.assert_close(
        fft(apply_coil_matrix(matrix, images), (-2, -1)), apply_coil_matrix(matrix, fft(images, (-2, -1)))
    )


def test_gram_of_a_volume_is_the_sum_over_its_planes():
    kspace = correlated_kspace()
    accumulated = sum(coil_gram(plane) for plane in kspace)
    torch.testing.assert_close(accumulated, coil_gram(kspace))
    stacked = kspace.transpose(0, 1).flatten(1).to(torch.complex128)
    torch.testing.assert_close(coil_gram(kspace), stacked @ stacked.mH)


@pytest.mark.parametrize("n_coils", [1, 3, 8])
def test_compression_equals_the_svd_of_the_stacked_data(n_coils):
    kspace = correlated_kspace()
    stacked = kspace.transpose(0, 1).flatten(1).to(torch.complex128)
    u, s, _ = torch.linalg.svd(stacked, full_matrices=False)
    matrix = compression_matrix(coil_gram(kspace), n_coils)
    assert matrix.shape == (n_coils, 8)
    # rows are determined up to a phase: each must be parallel to the conjugated singular vector
    overlap = (matrix.to(torch.complex128) @ u[:, :n_coils]).abs()
    torch.testing.assert_close(overlap, torch.eye(n_coils, dtype=torch.float64), atol=1e-5, rtol=0)
    compressed = apply_coil_matrix(matrix, kspace)
    energies = compressed.abs().square().sum(dim=(0, 2, 3)).to(torch.float64)
    torch.testing.assert_close(energies, s[:n_coils].square(), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("n_coils", [1, 2, 3, 5])
def test_compression_keeps_the_energy_it_claims(n_coils):
    kspace = correlated_kspace()
    gram = coil_gram(kspace)
    kept = apply_coil_matrix(compression_matrix(gram, n_coils), kspace).abs().square().sum()
    claimed = retained_energy(gram, n_coils)
    assert float(kept / kspace.abs().square().sum()) == pytest.approx(claimed, rel=1e-5)
    assert claimed < 1.0


def test_compression_to_all_coils_is_unitary_and_loses_nothing():
    kspace = correlated_kspace()
    gram = coil_gram(kspace)
    matrix = compression_matrix(gram, 8)
    torch.testing.assert_close(matrix @ matrix.mH, torch.eye(8, dtype=torch.complex64), atol=1e-5, rtol=0)
    assert retained_energy(gram, 8) == pytest.approx(1.0)
    torch.testing.assert_close(apply_coil_matrix(matrix.mH, apply_coil_matrix(matrix, kspace)), kspace)


def test_compression_fixes_the_phase_of_its_rows():
    """Data multiplied by a phase have the same Gram matrix up to rounding, and must give the same virtual coils."""
    kspace = correlated_kspace()
    a = compression_matrix(coil_gram(kspace), 3)
    b = compression_matrix(coil_gram(kspace * torch.exp(torch.tensor(0.7j))), 3)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
    largest = a.gather(1, a.abs().argmax(dim=1, keepdim=True))
    assert bool((largest.real > 0).all())
    assert float(largest.imag.abs().max()) < 1e-6


def test_root_sum_of_squares():
    images = complex_randn(2, 3, 4, 5)
    expected = torch.stack([(i.real**2 + i.imag**2).sum(dim=0, keepdim=True).sqrt() for i in images])
    torch.testing.assert_close(root_sum_of_squares(images), expected)
    assert root_sum_of_squares(images).shape == (2, 1, 4, 5)
    assert not root_sum_of_squares(images).is_complex()


def test_matched_filter_recovers_the_image_and_is_zero_outside_the_maps():
    image = complex_randn(1, 6, 7)
    maps = complex_randn(4, 6, 7, seed=1)
    maps[:, 0] = 0
    combined = matched_filter(maps * image, maps)
    torch.testing.assert_close(combined[:, 1:], image[:, 1:])
    assert bool((combined[:, 0] == 0).all())


def test_matched_filter_separates_orthogonal_sets_with_batches():
    q, _ = torch.linalg.qr(complex_randn(6, 7, 4, 2, seed=3))
    maps = q.permute(3, 2, 0, 1).contiguous()
    image = complex_randn(5, 2, 6, 7)
    coils = torch.einsum("bsyx,scyx->bcyx", image, maps)
    torch.testing.assert_close(matched_filter(coils, maps), image, atol=1e-5, rtol=1e-5)


def test_matched_filter_has_the_best_signal_to_noise_ratio():
    """Brute force: no random combination with unit gain has less noise."""
    maps = complex_randn(4, 1, 1, seed=5)[:, 0, 0]
    weights = maps.conj() / maps.abs().square().sum()
    others = complex_randn(1000, 4, seed=6)
    others = others / (others @ maps)[:, None]
    assert float(others.norm(dim=1).min()) >= float(weights.norm())
    unit = torch.eye(4, dtype=torch.complex64).reshape(4, 4, 1, 1)
    applied = torch.stack([matched_filter(e, maps.reshape(4, 1, 1)).squeeze() for e in unit])
    torch.testing.assert_close(applied, weights)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: apply_coil_matrix(torch.eye(3, dtype=torch.complex64), complex_randn(4, 5, 5)), "in=4"),
        (lambda: apply_coil_matrix(torch.eye(4), torch.zeros(4, 5, 5)), "complex"),
        (lambda: coil_gram(torch.zeros(5, 5, dtype=torch.complex64)), "coil"),
        (lambda: compression_matrix(torch.eye(4), 5), "between 1 and the 4 coils"),
        (lambda: compression_matrix(torch.eye(4), 0), "between 1 and the 4 coils"),
        (lambda: compression_matrix(torch.full((4, 4), float("nan")), 2), "finite"),
        (lambda: compression_matrix(torch.zeros(4, 3), 2), "coil_gram"),
        (lambda: matched_filter(complex_randn(4, 6, 6), complex_randn(4, 6, 5)), "crop the maps"),
    ],
)
def test_errors_name_the_problem(call, words):
    with pytest.raises(ShapeError, match=words):
        call()
