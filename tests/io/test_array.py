import json

import numpy as np
import pytest
import torch

from mrirecon.errors import FormatError
from mrirecon.io.array import read_npy
from mrirecon.linalg.fft import fft, ifft
from tests.io.shared_data import shared


def kspace(*shape):
    image = torch.zeros(*shape, dtype=torch.complex64)
    image[..., 6:14, 8:16] = 1 + 0.5j
    image[..., 8, 20] = 2
    return fft(image, (-2, -1))


def save(tmp_path, array, **card):
    path = tmp_path / "scan.npy"
    np.save(path, np.asarray(array))
    if card:
        path.with_suffix(".json").write_text(json.dumps(card))
    return path


def test_coils_and_slices(tmp_path):
    k = kspace(3, 2, 20, 24)
    one = read_npy(save(tmp_path, k[0].numpy()))
    assert (one.format, one.n_slices, one.n_coils) == ("npy", 1, 2)
    assert torch.equal(one.read(0), k[0])
    several = read_npy(save(tmp_path, k.numpy()))
    assert (several.n_slices, several.n_coils, several.is_3d) == (3, 2, False)
    assert torch.equal(several.read(2), k[2])
    assert several.geometry.nominal


def test_double_precision_arrives_in_single(tmp_path):
    k = kspace(2, 20, 24)
    assert torch.equal(read_npy(save(tmp_path, k.to(torch.complex128).numpy())).read(0), k)


def test_partitions(tmp_path):
    image = torch.zeros(2, 6, 20, 24, dtype=torch.complex64)
    image[:, 2:4, 6:14, 8:16] = 1
    k = fft(image, (-3, -2, -1))
    card = {"axes": ["coil", "kz", "ky", "kx"], "voxel_size_mm": [4, 2, 1]}
    scan = read_npy(save(tmp_path, k.numpy(), **card))
    assert scan.is_3d
    assert scan.encoding.encoded_fov_mm == (24.0, 40.0, 24.0)
    assert torch.equal(scan.read(1), k[:, 1])


def test_the_card_gives_geometry_protocol_noise_and_oversampling(tmp_path):
    angle = 0.4
    affine = np.eye(4)
    affine[:3, 0] = np.array([0, 0, 5.0])
    affine[:3, 1] = 1.5 * np.array([-np.sin(angle), np.cos(angle), 0])
    affine[:3, 2] = 0.8 * np.array([np.cos(angle), np.sin(angle), 0])
    affine[:3, 3] = [10, 20, 30]
    noise = (np.random.default_rng(0).standard_normal((2, 50)) + 0j).astype(np.complex64)
    np.save(tmp_path / "noise.npy", noise)
    path = save(
        tmp_path,
        kspace(3, 2, 20, 24).numpy(),
        affine_lps=affine.tolist(),
        slice_thickness_mm=4.0,
        readout_oversampling=2.0,
        noise="noise.npy",
        echo_time_ms=30,
        field_strength_t=1.5,
        body_part="BRAIN",
        simulated=True,
    )
    scan = read_npy(path)
    assert not scan.geometry.nominal
    assert np.allclose(scan.geometry.affine, affine)
    assert scan.geometry.slice_thickness_mm == 4.0
    assert scan.encoding.recon_matrix == (1, 20, 12)
    assert scan.encoding.oversampling == pytest.approx(2.0)
    assert torch.equal(scan.noise, torch.from_numpy(noise))
    assert (scan.protocol.echo_time_ms, scan.protocol.field_strength_t) == (30.0, 1.5)
    assert scan.simulated


def test_phase_encoding_along_x_makes_y_the_readout(tmp_path):
    path = save(tmp_path, kspace(2, 20, 24).numpy(), phase_encoding_axis="x", readout_oversampling=2)
    scan = read_npy(path)
    assert (scan.protocol.phase_encoding_axis, scan.encoding.readout_axis) == ("x", "y")
    assert scan.encoding.recon_matrix == (1, 10, 24)


def test_zeros_are_not_sampled(tmp_path):
    k = kspace(2, 20, 24)
    k[:, 1::3] = 0
    scan = read_npy(save(tmp_path, k.numpy()))
    assert tuple(scan.mask.shape) == (1, 20, 1)
    assert torch.equal(scan.mask.flatten(), torch.arange(20) % 3 != 1)


def test_slices_sampled_differently_are_refused(tmp_path):
    k = kspace(2, 1, 20, 24)
    k[0, :, 3] = 0
    with pytest.raises(FormatError, match="sampled differently"):
        read_npy(save(tmp_path, k.numpy()))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, 20, 24)), "expected complex k-space, got float64"),
        (np.ones((20, 24), complex), r"expected shape \(coil, ky, kx\)"),
        (np.ones((0, 20, 24), complex), "empty"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    with pytest.raises(FormatError, match=message):
        read_npy(save(tmp_path, array))


def test_pickled_truncated_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "o.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="not a complete NumPy array file"):
        read_npy(path)
    whole = save(tmp_path, kspace(2, 20, 24).numpy())
    path.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(FormatError, match="not a complete NumPy array file"):
        read_npy(path)
    np.savez(tmp_path / "a.npz", k=kspace(2, 20, 24).numpy())
    with pytest.raises(FormatError, match="archive"):
        read_npy(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"voxelsize": [1, 1, 1]}, r"\[voxelsize\]: unknown key, did you mean 'voxel_size_mm'"),
        ({"voxel_size_mm": [1, 2]}, r"\[voxel_size_mm\]: expected numbers of shape \(3,\)"),
        ({"voxel_size_mm": [1, 2, "a"]}, "expected numbers"),
        ({"voxel_size_mm": [1, 2, -1]}, "must be positive"),
        ({"axes": ["ky", "kx", "coil"]}, r"\[axes\]"),
        ({"phase_encoding_axis": "z"}, "expected x or y"),
        ({"readout_oversampling": 0.5}, "at least 1"),
        ({"affine_lps": np.eye(4).tolist(), "voxel_size_mm": [2, 1, 1]}, "contradicts"),
        ({"affine_lps": np.ones((4, 4)).tolist()}, "orthogonal"),
        ({"noise": "../noise.npy"}, "beside it"),
        ({"noise": "absent.npy"}, "no such file"),
    ],
)
def test_wrong_cards_are_refused(tmp_path, card, message):
    with pytest.raises(FormatError, match=message):
        read_npy(save(tmp_path, kspace(2, 20, 24).numpy(), **card))


def test_a_card_that_is_not_json_is_refused(tmp_path):
    path = save(tmp_path, kspace(2, 20, 24).numpy())
    for content, message in (("{", "not readable JSON"), ("[1]", "expected an object")):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(FormatError, match=message):
            read_npy(path)


@pytest.mark.data
def test_brain_with_poisson_disc_sampling():
    scan = read_npy(shared("kspace/sigpy_tutorial/cartesian_ksp.npy"))
    assert (scan.n_coils, scan.grid_shape) == (8, (1, 230, 180))
    assert tuple(scan.mask.shape) == (1, 230, 180)
    assert float(scan.mask.float().mean()) == pytest.approx(0.1243, abs=1e-3)
    image = ifft(scan.read(0), (-2, -1)).abs().square().sum(0).sqrt()
    assert float(image[60:170, 40:140].mean() / image[:10].mean()) > 3
