"""Encoded and reconstructed grids."""

import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import centre_slice, fft, ifft
from mrirecon.scan import Encoding


def encoding(axis, n_readout, oversampling=2.0):
    """A grid of `n_readout` samples along the readout and 30 phase-encoding lines; 0.8 mm and 1.2 mm voxels."""
    full, kept = 0.8 * n_readout, 0.8 * n_readout / oversampling
    if axis == "x":
        return Encoding((1, 30, n_readout), (1, 30, n_readout // 2), (4.0, 36.0, full), (4.0, 36.0, kept))
    return Encoding((1, n_readout, 30), (1, n_readout // 2, 30), (4.0, full, 36.0), (4.0, kept, 36.0), readout_axis="y")


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(("n", "oversampling", "size"), [(64, 2.0, 32), (66, 2.0, 33), (90, 6.0, 15), (51, 1.0, 51)])
def test_removing_oversampling_changes_matrix_and_field_of_view_together(axis, n, oversampling, size):
    before = encoding(axis, n, oversampling)
    after = before.without_readout_oversampling()
    dim = before.readout_dim
    other = -3 - dim
    assert before.oversampling == pytest.approx(oversampling)
    assert before.readout_size == size == after.encoded_matrix[dim]
    assert after.voxel_size_mm == pytest.approx(before.voxel_size_mm)
    assert after.encoded_fov_mm[dim] == pytest.approx(0.8 * size)
    assert after.encoded_matrix[other] == before.encoded_matrix[other]
    assert after.encoded_fov_mm[other] == before.encoded_fov_mm[other]
    assert after.readout_axis == axis
    assert after.without_readout_oversampling() == after


def test_the_readout_dim_is_the_axis_that_a_crop_must_cut():
    before = encoding("y", 64)
    rows, columns = before.encoded_matrix[1:]
    image = torch.zeros(1, rows, columns, dtype=torch.complex64)
    image[:, rows // 2 + 3, columns // 2 - 2] = 1
    kspace = fft(image, (-2, -1))
    cropped = ifft(kspace, (-2, -1)).narrow(before.readout_dim, centre_slice(rows, before.readout_size).start, 32)
    assert tuple(cropped.shape[-2:]) == before.without_readout_oversampling().encoded_matrix[1:]
    assert cropped.abs().argmax() == (16 + 3) * 30 + 15 - 2


def test_a_reconstructed_field_of_view_larger_than_the_encoded_one_keeps_all_samples():
    e = Encoding((1, 32, 32), (1, 40, 40), (4.0, 32.0, 32.0), (4.0, 40.0, 40.0))
    assert e.readout_size == 32
    assert e.without_readout_oversampling() == e


@pytest.mark.parametrize("change", [{"readout_axis": "z"}, {"encoded_matrix": (1, 0, 4)}, {"recon_fov_mm": (1.0, 2.0)}])
def test_impossible_encodings_are_refused(change):
    arguments = {
        "encoded_matrix": (1, 4, 4), "recon_matrix": (1, 4, 4), "encoded_fov_mm": (1.0, 4.0, 4.0),
        "recon_fov_mm": (1.0, 4.0, 4.0),
    }  # fmt: skip
    with pytest.raises(ShapeError):
        Encoding(**(arguments | change))
