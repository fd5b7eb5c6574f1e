import shutil
import subprocess

import numpy as np
import pytest
import torch

from mrirecon.errors import ConfigError, FormatError, OutputError, ShapeError
from mrirecon.io.array import read_npy
from mrirecon.io.cfl import open_cfl, read_cfl, write_cfl
from mrirecon.linalg.fft import fft, ifft
from tests.io.shared_data import shared

needs_bart = pytest.mark.skipif(shutil.which("bart") is None, reason="BART is not installed")


def kspace(*shape, seed=0):
    """K-space of random smooth objects: energy is concentrated about the centre."""
    g = torch.Generator().manual_seed(seed)
    image = torch.randn(*shape, dtype=torch.complex64, generator=g)
    ny, nx = shape[-2:]
    y, x = torch.arange(ny) - ny // 2, torch.arange(nx) - nx // 2
    return image * torch.exp(-((y[:, None] / ny) ** 2 + (x / nx) ** 2) * 40)


def bart(*arguments, folder):
    return subprocess.run(["bart", *map(str, arguments)], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_round_trip_with_any_spelling_of_the_name(tmp_path):
    array = kspace(3, 20, 24)
    path = write_cfl(tmp_path / "a", array[:, None])
    assert path == tmp_path / "a.cfl"
    for name in ("a", "a.cfl", "a.hdr"):
        data, dims = open_cfl(tmp_path / name)
        assert dims[:4] == (24, 20, 1, 3)
        assert np.array_equal(np.squeeze(data), array.numpy())
        assert torch.equal(read_cfl(tmp_path / name).read(0), array)


def test_a_conjugated_tensor_is_written_as_it_looks(tmp_path):
    array = kspace(1, 20, 24)
    write_cfl(tmp_path / "a", array.conj())
    assert np.array_equal(np.squeeze(open_cfl(tmp_path / "a")[0]), array.numpy().conj()[0])


@needs_bart
def test_bart_reads_what_was_written_and_agrees_about_the_fourier_transform(tmp_path):
    array = kspace(3, 20, 24)
    write_cfl(tmp_path / "k", array[:, None])
    bart("fft", "-u", "-i", 3, "k", "image", folder=tmp_path)
    theirs = torch.from_numpy(np.squeeze(np.array(open_cfl(tmp_path / "image")[0])))
    assert float((theirs - ifft(array, (-2, -1))).abs().max()) < 1e-5


@needs_bart
def test_a_file_written_by_bart_reconstructs_its_phantom(tmp_path):
    bart("phantom", "-k", "-s", 4, "-x", 48, "k", folder=tmp_path)
    bart("phantom", "-s", 4, "-x", 48, "image", folder=tmp_path)
    scan = read_cfl(tmp_path / "k")
    assert (scan.n_coils, scan.grid_shape) == (4, (1, 48, 48))
    found = ifft(scan.read(0), (-2, -1))
    theirs = torch.from_numpy(np.squeeze(np.array(open_cfl(tmp_path / "image")[0])))

    def cosine(image):
        return float((image * theirs.conj()).sum().abs() / image.norm() / theirs.norm())

    assert cosine(found) > 0.94  # analytic k-space against a sampled phantom
    moved = [found.flip(-1), found.flip(-2), found.roll(1, -1), found.roll(1, -2), found.mT, found.conj()]
    assert cosine(found) > max(cosine(image) for image in moved) + 0.01


def test_slices_lie_in_dimension_13(tmp_path):
    array = kspace(5, 2, 20, 24)
    path = write_cfl(tmp_path / "s", array.reshape(5, *[1] * 9, 2, 1, 20, 24))
    scan = read_cfl(path)
    assert (scan.n_slices, scan.n_coils, scan.is_3d) == (5, 2, False)
    assert torch.equal(scan.read(3), array[3])


def volume_kspace(coils, nz, ny, nx):
    image = torch.zeros(coils, nz, ny, nx, dtype=torch.complex64)
    image[:, 2:5, 5:14, 6:18] = 1
    return fft(image, (-3, -2, -1))


def test_dimension_2_is_phase_encoded_unless_said_otherwise(tmp_path):
    array = volume_kspace(2, 8, 20, 24)
    path = write_cfl(tmp_path / "v", array)
    scan = read_cfl(path)
    assert scan.is_3d
    assert (scan.n_slices, scan.n_planes, scan.encoding.encoded_matrix) == (1, 8, (8, 20, 24))
    assert torch.equal(scan.read(3), array[:, 3])
    slices = read_cfl(path, third_axis="slice")
    assert (slices.n_slices, slices.is_3d) == (8, False)
    assert torch.equal(slices.read(3), array[:, 3])


def test_a_transformed_readout_leaves_a_plane_with_two_phase_encodings(tmp_path):
    array = kspace(3, 20, 24)
    sampled = torch.rand(20, 24, generator=torch.Generator().manual_seed(1)) < 0.4
    sampled[8:12, 10:14] = True
    path = write_cfl(tmp_path / "p", (array * sampled)[..., None])
    scan = read_cfl(path)
    assert scan.encoding.encoded_matrix == (1, 20, 24)
    assert torch.equal(scan.read(0), array * sampled)
    assert torch.equal(scan.mask[0], sampled)
    assert any("transformed before" in note for note in scan.notes)


def test_echo_and_time_are_chosen(tmp_path):
    array = kspace(3, 2, 1, 20, 24)  # time, echo
    stored = array.reshape(3, 1, 1, 1, 1, 2, 1, 1, 1, 20, 24)
    path = write_cfl(tmp_path / "t", stored)
    scan = read_cfl(path, contrast=1, repetition=2)
    assert torch.equal(scan.read(0), array[2, 1])
    assert (scan.details["contrasts"], scan.details["repetitions"]) == (2, 3)
    with pytest.raises(ConfigError, match="contrast 2 does not exist, choose one of 0 to 1"):
        read_cfl(path, contrast=2)


def test_unknown_geometry_is_declared(tmp_path):
    scan = read_cfl(write_cfl(tmp_path / "a", kspace(1, 20, 24)[:, None]))
    assert scan.geometry.nominal
    assert scan.geometry.voxel_size_mm == (1.0, 1.0, 1.0)
    assert any("nominal" in note for note in scan.notes)


def test_undersampled_lines_and_partial_fourier_are_seen(tmp_path):
    array = kspace(2, 40, 24)
    array[:, 1:16:2] = 0
    array[:, 30:] = 0
    scan = read_cfl(write_cfl(tmp_path / "u", array[:, None]))
    assert tuple(scan.mask.shape) == (1, 40, 1)
    assert torch.equal(scan.mask.flatten(), (array != 0).any(0).any(1))
    assert scan.encoding.partial_fourier == pytest.approx((1, 30 / 40, 1))


def test_other_dimensions_are_refused(tmp_path):
    array = kspace(2, 3, 20, 24)  # maps dimension
    with pytest.raises(FormatError, match=r"dimensions \{4: 2\}.*bart slice"):
        read_cfl(write_cfl(tmp_path / "m", array[:, :, None]))


def test_sizes_that_disagree_are_refused(tmp_path):
    path = write_cfl(tmp_path / "a", kspace(2, 20, 24)[:, None])
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    with pytest.raises(FormatError, match=r"\[24, 20, 1, 2\] need 7680 bytes, the file has 7672"):
        read_cfl(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("no dimensions here", "not a BART header"),
        ("# Dimensions\n", "not a BART header"),
        ("# Dimensions\na b c\n", "not a BART header"),
        ("# Dimensions\n24 0 1 2\n", "positive dimensions"),
    ],
)
def test_damaged_headers_are_refused(tmp_path, header, message):
    path = write_cfl(tmp_path / "a", kspace(2, 20, 24)[:, None])
    path.with_suffix(".hdr").write_text(header)
    with pytest.raises(FormatError, match=message):
        read_cfl(path)


def test_half_a_pair_is_refused(tmp_path):
    path = write_cfl(tmp_path / "a", kspace(2, 20, 24)[:, None])
    path.with_suffix(".hdr").unlink()
    with pytest.raises(FormatError, match=r"a\.hdr: there is no such file"):
        read_cfl(path)


def test_zeros_and_values_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(FormatError, match="only zeros"):
        read_cfl(write_cfl(tmp_path / "z", torch.zeros(1, 1, 20, 24, dtype=torch.complex64)))
    array = kspace(1, 20, 24)
    array[0, 3, 4] = float("nan")
    with pytest.raises(FormatError, match="not finite"):
        read_cfl(write_cfl(tmp_path / "n", array[:, None]))


def test_spokes_are_refused(tmp_path):
    image = torch.zeros(1, 64, 64, dtype=torch.complex64)
    image[:, 20:50, 15:40] = 1
    k = torch.arange(64) - 32
    spokes = []
    for angle in torch.arange(16) * torch.pi / 16:
        phase = k[:, None, None] * (torch.cos(angle) * k[None, :, None] + torch.sin(angle) * k[None, None, :]) / 64
        spokes.append((image[0] * torch.exp(-2j * torch.pi * phase)).sum((1, 2)))
    data = torch.stack(spokes)[None, None]
    with pytest.raises(FormatError, match="looks non-Cartesian"):
        read_cfl(write_cfl(tmp_path / "radial", data))


@needs_bart
def test_a_trajectory_beside_the_data_is_refused(tmp_path):
    bart("traj", "-r", "-x", 32, "-y", 12, "trajectory", folder=tmp_path)
    bart("phantom", "-k", "-t", "trajectory", "data", folder=tmp_path)
    with pytest.raises(FormatError, match=r"trajectory\.hdr"):
        read_cfl(tmp_path / "data")


def test_only_complex_arrays_are_written_and_nothing_is_overwritten(tmp_path):
    with pytest.raises(ShapeError, match="complex"):
        write_cfl(tmp_path / "r", np.ones((2, 2)))
    write_cfl(tmp_path / "a", kspace(1, 20, 24))
    with pytest.raises(OutputError, match="exists already"):
        write_cfl(tmp_path / "a", kspace(1, 20, 24))
    write_cfl(tmp_path / "a", kspace(1, 20, 24, seed=1), overwrite=True)
    assert np.array_equal(np.squeeze(open_cfl(tmp_path / "a")[0]), kspace(1, 20, 24, seed=1).numpy()[0])


@pytest.mark.data
def test_brain_with_transformed_readout_has_the_orientation_of_the_same_scan_in_npy():
    cfl = read_cfl(shared("kspace/bart_pics_brain/ksp.cfl"))
    npy = read_npy(shared("kspace/sigpy_tutorial/cartesian_ksp.npy"))
    assert cfl.grid_shape == npy.grid_shape == (1, 230, 180)
    assert float(cfl.mask.float().mean()) == pytest.approx(0.1266, abs=1e-3)
    peaks = [np.unravel_index(int(s.read(0).abs().sum(0).argmax()), (230, 180)) for s in (cfl, npy)]
    assert np.abs(np.subtract(*peaks)).max() <= 1
    images = [ifft(s.read(0), (-2, -1)).abs().square().sum(0).sqrt() for s in (cfl, npy)]
    flips = [(), (0,), (1,), (0, 1)]
    scores = [
        float(torch.corrcoef(torch.stack([images[0].flip(f).flatten(), images[1].flatten()]))[0, 1]) for f in flips
    ]
    assert max(scores) > 0.9  # the file has one axis reversed; it cannot be known which way is right


@pytest.mark.data
@pytest.mark.parametrize("name", ["kMB1_bottom_SP29", "kMB1_top_SP29"])
def test_radial_data_without_a_trajectory_are_recognised(name):
    with pytest.raises(FormatError, match="looks non-Cartesian"):
        read_cfl(shared(f"kspace/sms_nlinv_radial/{name}.cfl"))
