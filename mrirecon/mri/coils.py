"""Receive coils as one axis: linear mixing, SVD compression, and combination into an image."""

from __future__ import annotations

import torch
from torch import Tensor

from mrirecon.errors import ShapeError


def apply_coil_matrix(matrix: Tensor, kspace: Tensor) -> Tensor:
    """Mix the coils: ``out[o] = sum_i matrix[o, i] kspace[i]``, for k-space or coil images alike.

    Parameters
    ----------
    matrix
        Shape (out, in), complex; cast to the dtype of `kspace`.
    kspace
        Shape (*batch, coil=in, ky, kx), complex.

    Returns
    -------
        Shape (*batch, out, ky, kx), dtype of `kspace`.

    Raises
    ------
    ShapeError
        If `matrix` is not a matrix, `kspace` is not complex with a coil axis, or their coils disagree.
    """
    _check_coils(kspace)
    if matrix.ndim != 2 or matrix.shape[1] != kspace.shape[-3]:
        raise ShapeError(
            f"`matrix` must have shape (out, in={kspace.shape[-3]}) for k-space {tuple(kspace.shape)}, "
            f"got {tuple(matrix.shape)}; build it from the same coils"
        )
    mixed: Tensor = matrix.to(kspace.device, kspace.dtype) @ kspace.flatten(-2)
    return mixed.reshape(*mixed.shape[:-1], *kspace.shape[-2:])


def coil_gram(kspace: Tensor) -> Tensor:
    """The coil Gram matrix ``G[i, j] = sum kspace[i] conj(kspace[j])`` over every other axis.

    Gram matrices of parts add up to that of the whole, so a volume can be accumulated plane by plane.

    Parameters
    ----------
    kspace
        Shape (*batch, coil, ky, kx), complex; samples that were not acquired are zero and do not contribute.

    Returns
    -------
        Shape (coil, coil), complex128, Hermitian, positive semi-definite, units of `kspace` squared.

    Raises
    ------
    ShapeError
        If `kspace` is not complex with a coil axis.
    """
    _check_coils(kspace)
    n_coils = kspace.shape[-3]
    gram = torch.zeros(n_coils, n_coils, dtype=torch.complex128, device=kspace.device)
    for item in kspace.reshape(-1, n_coils, kspace.shape[-2] * kspace.shape[-1]):
        samples = item.to(torch.complex128)
        gram += samples @ samples.mH
    return gram


def compression_matrix(gram: Tensor, n_coils: int) -> Tensor:
    """The matrix that maps the coils to the `n_coils` virtual coils of greatest energy.

    Its rows are the conjugated leading left singular vectors of the stacked data (coil, samples), obtained as
    eigenvectors of the Gram matrix; they are orthonormal, so white noise stays white. The phase of each row is fixed
    by making its largest entry real and positive.

    Parameters
    ----------
    gram
        Accumulated `coil_gram`, shape (coil, coil).
    n_coils
        Virtual coils to keep, from 1 to the number of coils.

    Returns
    -------
        Shape (n_coils, coil), complex64, for `apply_coil_matrix`; virtual coils in descending order of energy.

    Raises
    ------
    ShapeError
        If `gram` is not a finite square matrix or `n_coils` is out of range.

    Notes
    -----
    Whiten first: the energies of coils with unequal or correlated noise are not comparable.

    References
    ----------
    .. [1] Huang et al., A software channel compression technique for faster reconstruction with many channels,
       Magn. Reson. Imaging 26, 2008, doi:10.1016/j.mri.2007.04.010.
    """
    _check_gram(gram)
    _check_count(gram, n_coils)
    _, vectors = torch.linalg.eigh(gram.to(torch.complex128))
    rows = vectors.flip(-1)[:, :n_coils].mH
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    matrix: Tensor = rows * (largest.abs() / largest)
    return matrix.to(torch.complex64)


def retained_energy(gram: Tensor, n_coils: int) -> float:
    """The share of the signal energy, from 0 to 1, that `compression_matrix` of the same arguments keeps.

    Raises
    ------
    ShapeError
        As `compression_matrix`.
    """
    _check_gram(gram)
    _check_count(gram, n_coils)
    values = torch.linalg.eigvalsh(gram.to(torch.complex128)).clamp_min(0.0)
    total = float(values.sum())
    return float(values[-n_coils:].sum()) / total if total > 0 else 1.0


def root_sum_of_squares(images: Tensor, *, dim: int = -3) -> Tensor:
    """``sqrt(sum |images|^2)`` over the coils, the coil axis kept with length 1: (*batch, coil, y, x) to (*batch, 1,
    y, x), real.

    References
    ----------
    .. [1] Roemer et al., The NMR phased array, Magn. Reson. Med. 16, 1990, doi:10.1002/mrm.1910160203.
    """
    combined: Tensor = torch.linalg.vector_norm(images, dim=dim, keepdim=True)
    return combined


def matched_filter(images: Tensor, maps: Tensor) -> Tensor:
    """Combine coil images with known sensitivities: ``sum conj(maps) images / sum |maps|^2``, zero where maps are zero.

    For white noise this is the combination of greatest signal-to-noise ratio [1]_; for several map sets it is exact
    where the sets are orthogonal in every voxel, as those of ESPIRiT are.

    Parameters
    ----------
    images
        Coil images, shape (*batch, coil, y, x), complex.
    maps
        Sensitivities, shape (coil, y, x) or (*batch, set, coil, y, x).

    Returns
    -------
        Image, shape (*batch, set, y, x), where set is 1 for maps without that axis.

    Raises
    ------
    ShapeError
        If coil, y or x of the two disagree.

    References
    ----------
    .. [1] Roemer et al., The NMR phased array, Magn. Reson. Med. 16, 1990, doi:10.1002/mrm.1910160203.
    """
    _check_coils(images)
    if maps.ndim < 3 or maps.shape[-3:] != images.shape[-3:]:
        coil, y, x = images.shape[-3:]
        raise ShapeError(
            f"`maps` must have shape (*batch, [set,] coil={coil}, y={y}, x={x}), got {tuple(maps.shape)}; "
            "crop the maps or estimate them again after the last change of size or coils"
        )
    sets = maps.unsqueeze(0) if maps.ndim == 3 else maps
    energy = sets.abs().square().sum(dim=-3)
    projected = (sets.conj() * images.unsqueeze(-4)).sum(dim=-3)
    combined: Tensor = torch.where(energy > 0, projected / energy.clamp_min(torch.finfo(energy.dtype).tiny), 0.0)
    return combined


def _check_coils(kspace: Tensor) -> None:
    if kspace.ndim < 3 or not kspace.is_complex():
        raise ShapeError(
            f"coil data must be complex with shape (*batch, coil, ky, kx), got {tuple(kspace.shape)} {kspace.dtype}"
        )


def _check_gram(gram: Tensor) -> None:
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ShapeError(f"`gram` must have shape (coil, coil), got {tuple(gram.shape)}; take it from coil_gram")
    if not bool(torch.isfinite(torch.view_as_real(gram.to(torch.complex128))).all()):
        raise ShapeError("`gram` must be finite, got NaN or infinity; check the k-space it was accumulated from")


def _check_count(gram: Tensor, n_coils: int) -> None:
    if not 1 <= n_coils <= gram.shape[0]:
        raise ShapeError(f"`n_coils` must be between 1 and the {gram.shape[0]} coils there are, got {n_coils}")
