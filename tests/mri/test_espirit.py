"""ESPIRiT against true maps, against its definition in dense algebra, and against BART and sigpy."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import ifft
from mrirecon.mri import eigenmaps
from mrirecon.mri.coils import coil_gram, compression_matrix
from mrirecon.mri.sensitivities import espirit
from tests.benchmarks.phantom import Phantom, folded_phantom, make_phantom

DATA = Path(os.environ.get("MRIRECON_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = DATA / "kspace" / "sigpy_tutorial" / "cartesian_ksp.npy"


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom((96, 80), 8, noise=1e-3)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """|<a, b>| over the coils, per voxel; both of unit norm or zero."""
    return (a.conj() * b).sum(dim=-3).abs()


@pytest.mark.parametrize("shape", [(96, 80), (81, 95), (64, 111)])
@pytest.mark.parametrize("calibration", [(24, 24), (21, 25)])
def test_maps_reproduce_the_true_ones(shape: tuple[int, int], calibration: tuple[int, int]) -> None:
    p = make_phantom(shape, 8, noise=1e-3)
    result = espirit(p.kspace, calibration=calibration)
    assert result.maps.shape == (1, 8, *shape)
    assert result.maps.dtype == torch.complex64
    assert result.eigenvalues.shape == (1, *shape)
    assert result.eigenvalues.dtype == torch.float32
    deviation = 1 - correlation(result.maps[0], p.maps)[p.support]
    assert float(deviation.mean()) < 1e-4
    assert float(deviation.max()) < 5e-3
    assert float(result.eigenvalues[0][p.support].mean()) > 0.995
    assert float(result.eigenvalues.max()) < 1.001


def test_maps_explain_the_data(phantom: Phantom) -> None:
    maps = espirit(phantom.kspace).maps[0]
    images = ifft(phantom.kspace, (-2, -1))
    residual = (images - maps * (maps.conj() * images).sum(0))[:, phantom.support]
    # One of eight complex components is explained by the image; the rest must be noise of 1e-3 per real component.
    expected = 1e-3 * math.sqrt(2 * 7 / 8)
    assert float(residual.abs().square().mean().sqrt()) < 1.5 * expected


def test_agrees_with_dense_algebra_in_double_precision() -> None:
    """Kernels transformed one by one, G(r) summed over kernels, and an eigendecomposition in every voxel."""
    shape, size, kernel = (30, 36), (16, 18), (4, 5)
    p = make_phantom(shape, 4, noise=5e-3)
    block = p.kspace.numpy().astype(complex)[:, 15 - 8 : 15 + 8, 18 - 9 : 18 + 9]
    patches = np.array(
        [
            block[:, y : y + kernel[0], x : x + kernel[1]].ravel()
            for y in range(size[0] - kernel[0] + 1)
            for x in range(size[1] - kernel[1] + 1)
        ]
    )
    _, s, vh = np.linalg.svd(patches, full_matrices=False)
    kernels = vh[s**2 > 1e-3 * s[0] ** 2].reshape(-1, 4, *kernel)
    y, x = (np.arange(n) - n // 2 for n in shape)
    ky, kx = (np.arange(n) for n in kernel)
    to_y, to_x = np.exp(2j * np.pi * np.outer(y, ky) / 30), np.exp(2j * np.pi * np.outer(x, kx) / 36)
    fields = np.einsum("jcab,ya,xb->jcyx", kernels, to_y, to_x, optimize=True)
    matrices = np.einsum("jcyx,jdyx->yxcd", fields, fields.conj()) / np.prod(kernel)
    values, vectors = np.linalg.eigh(matrices)

    result = espirit(p.kspace, calibration=size, kernel=kernel, n_maps=2, crop=0.0, max_iterations=200)
    for rank in range(2):
        np.testing.assert_allclose(result.eigenvalues[rank].numpy(), values[..., -1 - rank], atol=5e-3)
    gap = values[..., -1] - values[..., -2] > 0.2
    exact = torch.from_numpy(vectors[..., -1].transpose(2, 0, 1).astype(np.complex64))
    assert gap.mean() > 0.5
    assert float(correlation(result.maps[0], exact)[torch.from_numpy(gap)].min()) > 0.999
    identity = torch.einsum("scyx,tcyx->yxst", result.maps.conj(), result.maps)
    torch.testing.assert_close(identity, torch.eye(2, dtype=torch.complex64).expand_as(identity), atol=1e-5, rtol=0)


def test_support_does_not_depend_on_stopping_early(phantom: Phantom) -> None:
    cropped = espirit(phantom.kspace, max_iterations=30)
    patient = espirit(phantom.kspace, crop=0.0, max_iterations=500)
    support = cropped.eigenvalues >= 0.8
    assert int((support ^ (patient.eigenvalues >= 0.8)).sum()) <= 2
    assert bool((cropped.eigenvalues <= patient.eigenvalues + 1e-3).all())


def test_unit_norm_on_the_support_and_zero_elsewhere(phantom: Phantom) -> None:
    result = espirit(phantom.kspace, n_maps=2)
    norm = torch.linalg.vector_norm(result.maps, dim=-3)
    support = result.eigenvalues >= 0.8
    torch.testing.assert_close(norm, support.float(), atol=1e-5, rtol=0)
    assert 0.3 < float(support[0].float().mean()) < 0.95
    assert bool(support[0][phantom.support].all())
    everywhere = torch.linalg.vector_norm(espirit(phantom.kspace, crop=0.0).maps, dim=-3)
    torch.testing.assert_close(everywhere, torch.ones_like(everywhere), atol=1e-5, rtol=0)


def test_phase_is_that_of_the_first_virtual_coil(phantom: Phantom) -> None:
    maps = espirit(phantom.kspace).maps[0]
    weights = compression_matrix(coil_gram(phantom.kspace[:, 36:60, 28:52]), 1)
    virtual = torch.einsum("c,cyx->yx", weights[0], maps)
    assert float(virtual.imag.abs().max()) < 1e-5
    assert float(virtual.real.min()) > -1e-6
    assert float(virtual.real[phantom.support].median()) > 0.5


def test_repeats_and_ignores_global_phase_and_scale(phantom: Phantom) -> None:
    maps = espirit(phantom.kspace).maps
    assert torch.equal(maps, espirit(phantom.kspace).maps)
    turned = espirit(phantom.kspace * (1e-6 * complex(math.cos(2), math.sin(2)))).maps
    both = (maps != 0) & (turned != 0)
    assert float((both == (maps != 0)).float().mean()) > 0.999
    assert float((maps - turned)[both].abs().max()) < 2e-3


def test_follows_the_order_of_the_coils(phantom: Phantom) -> None:
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    maps, permuted = espirit(phantom.kspace).maps, espirit(phantom.kspace[order]).maps
    assert float((maps[:, order] - permuted)[..., phantom.support].abs().max()) < 1e-3


def test_does_not_depend_on_the_size_of_the_blocks(phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = espirit(phantom.kspace)
    monkeypatch.setattr(eigenmaps, "CPU_BLOCK_BYTES", 7 * 8 * 8 * 8 * 80)
    blocks = espirit(phantom.kspace)
    torch.testing.assert_close(blocks.eigenvalues, whole.eigenvalues, atol=1e-4, rtol=0)
    torch.testing.assert_close(blocks.maps[..., phantom.support], whole.maps[..., phantom.support], atol=1e-4, rtol=0)


def test_memory_of_a_block_is_bounded() -> None:
    for n_coils in (1, 8, 32, 64):
        rows = eigenmaps.rows_per_block(n_coils, 320, 8, torch.device("cpu"))
        assert rows >= 1
        assert rows == 1 or rows * n_coils**2 * 320 * 8 <= 8 << 20


def test_single_coil_is_one_on_its_support() -> None:
    p = make_phantom((48, 40), 1, noise=1e-3)
    result = espirit(p.kspace)
    inside = result.eigenvalues >= 0.8
    assert bool(inside[0][p.support].all())
    torch.testing.assert_close(result.maps[:, 0], inside.to(torch.complex64), atol=1e-5, rtol=0)


def test_batch_items_are_calibrated_on_their_own(phantom: Phantom) -> None:
    other = make_phantom((96, 80), 8, noise=1e-2, seed=1)
    batch = torch.stack([phantom.kspace, other.kspace]).reshape(2, 1, 8, 96, 80)
    result = espirit(batch, n_maps=2)
    assert result.maps.shape == (2, 1, 2, 8, 96, 80)
    assert result.eigenvalues.shape == (2, 1, 2, 96, 80)
    for index, item in enumerate((phantom, other)):
        alone = espirit(item.kspace, n_maps=2)
        assert torch.equal(result.maps[index, 0], alone.maps)
        assert torch.equal(result.eigenvalues[index, 0], alone.eigenvalues)


def test_double_precision(phantom: Phantom) -> None:
    single, double = espirit(phantom.kspace), espirit(phantom.kspace.to(torch.complex128))
    assert double.maps.dtype == torch.complex128
    assert double.eigenvalues.dtype == torch.float64
    assert float((double.maps - single.maps)[..., phantom.support].abs().max()) < 1e-3


def test_takes_calibration_data_alone_on_any_grid(phantom: Phantom) -> None:
    full = espirit(phantom.kspace)
    block = phantom.kspace[:, 36:60, 28:52]
    alone = espirit(block, calibration=None, shape=(96, 80))
    assert torch.equal(alone.maps, full.maps)
    # The same field of view on half the matrix: every second voxel.
    half = espirit(block, calibration=None, shape=(48, 40))
    inside = phantom.support[::2, ::2]
    assert float((half.maps - full.maps[..., ::2, ::2])[..., inside].abs().max()) < 1e-4


def test_reads_nothing_but_the_calibration_region(phantom: Phantom) -> None:
    mask = torch.zeros(96, 80, dtype=torch.bool)
    mask[36:60, ::4] = mask[36:60, 28:52] = True
    assert torch.equal(espirit(phantom.kspace * mask).maps, espirit(phantom.kspace).maps)


@pytest.mark.parametrize("shape", [(96, 80), (81, 75)])
def test_two_sets_explain_a_folded_field_of_view(shape: tuple[int, int]) -> None:
    kspace, layers = folded_phantom(shape, 8)
    images = ifft(kspace, (-2, -1))
    energy = images.abs().square().sum(0)
    unexplained = []
    for n_maps in (1, 2):
        maps = espirit(kspace, n_maps=n_maps).maps
        projection = (maps * (maps.conj() * images).sum(1, keepdim=True)).sum(0)
        residual = (images - projection).abs().square().sum(0)
        unexplained.append(float((residual[layers == 2].sum() / energy[layers == 2].sum()).sqrt()))
    assert int((layers == 2).sum()) > 100
    assert unexplained[0] > 0.1
    assert unexplained[1] < 0.1 * unexplained[0]
    second = espirit(kspace, n_maps=2).eigenvalues[1]
    assert float((second[layers == 2] >= 0.8).float().mean()) > 0.9
    assert float((second[layers == 0] >= 0.8).float().mean()) < 0.2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"calibration": (24, 100)}, ShapeError, "calibration.*kx=80"),
        ({"calibration": (0, 24)}, ShapeError, "calibration"),
        ({"kernel": (30, 6)}, ShapeError, "smaller kernel"),
        ({"n_maps": 9}, ShapeError, "8 coils"),
        ({"n_maps": 0}, ShapeError, "n_maps"),
        ({"shape": (0, 80)}, ShapeError, "shape"),
        ({"threshold": 0.0}, ConfigError, "threshold"),
        ({"crop": 1.5}, ConfigError, "crop"),
        ({"max_iterations": 0}, ConfigError, "max_iterations"),
    ],
)
def test_impossible_options(phantom: Phantom, options: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        espirit(phantom.kspace, **options)  # type: ignore[arg-type]


def test_unusable_data(phantom: Phantom) -> None:
    undersampled = phantom.kspace.clone()
    undersampled[:, :, :34] = 0
    with pytest.raises(ShapeError, match=r"largest complete block is \(24, 13\)"):
        espirit(undersampled)
    with pytest.raises(ShapeError, match="complex"):
        espirit(phantom.kspace.abs())
    with pytest.raises(ShapeError, match=r"\(\*batch, coil, ky, kx\)"):
        espirit(phantom.kspace[0])
    broken = phantom.kspace.clone()
    broken[3, 48, 40] = complex("nan")
    with pytest.raises(ShapeError, match="NaN"):
        espirit(broken)


def write_cfl(path: Path, array: NDArray[np.complex64]) -> None:
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    array.ravel(order="F").tofile(path.with_suffix(".cfl"))


def read_cfl(path: Path) -> NDArray[np.complex64]:
    shape = [int(n) for n in path.with_suffix(".hdr").read_text().splitlines()[1].split()]
    return np.fromfile(path.with_suffix(".cfl"), np.complex64).reshape(shape, order="F")


def bart_ecalib(kspace: Tensor, folder: Path, n_maps: int) -> tuple[Tensor, Tensor]:
    """Maps (set, coil, y, x) and eigenvalues (set, y, x) by the command line of BART."""
    bart = shutil.which("bart")
    if bart is None:
        pytest.skip("BART's command line is not on PATH")
    write_cfl(folder / "kspace", kspace.numpy().transpose(1, 2, 0)[:, :, None, :])
    command = [bart, "ecalib", "-d0", f"-m{n_maps}", "-r24", "-k6", "kspace", "maps", "values"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    maps = read_cfl(folder / "maps")[:, :, 0, :].reshape(*kspace.shape[1:], kspace.shape[0], n_maps)
    values = read_cfl(folder / "values").reshape(*kspace.shape[1:], n_maps).real
    return torch.from_numpy(maps.transpose(3, 2, 0, 1).copy()), torch.from_numpy(values.transpose(2, 0, 1).copy())


@pytest.mark.parametrize("n_maps", [1, 2])
def test_agrees_with_bart(phantom: Phantom, tmp_path: Path, n_maps: int) -> None:
    theirs, values = bart_ecalib(phantom.kspace, tmp_path, n_maps)
    ours = espirit(phantom.kspace, n_maps=n_maps)
    support = values >= 0.8
    assert int((support ^ (ours.eigenvalues >= 0.8)).sum()) <= 0.01 * int(support.sum())
    assert float((ours.eigenvalues - values)[support].abs().max()) < 0.02
    inside = phantom.support
    assert float(correlation(ours.maps[0], theirs[0])[inside].min()) > 0.999
    phase = (theirs[0].conj() * ours.maps[0]).sum(0)[inside]
    # The phase reference is the same virtual coil; only its own global phase is BART's choice.
    assert float((phase / phase.mean()).angle().abs().max()) < 0.02


@pytest.mark.data
@pytest.mark.skipif(not REAL.exists(), reason=f"needs {REAL.name} under MRIRECON_DATA")
def test_agrees_with_bart_on_a_measured_brain(tmp_path: Path) -> None:
    kspace = torch.from_numpy(np.load(REAL).astype(np.complex64))
    theirs, values = bart_ecalib(kspace, tmp_path, 1)
    ours = espirit(kspace)
    support = values >= 0.8
    assert int((support ^ (ours.eigenvalues >= 0.8)).sum()) <= 0.01 * int(support.sum())
    bright = ifft(kspace, (-2, -1)).abs().square().sum(0).sqrt()
    inside = support[0] & (ours.eigenvalues[0] >= 0.8) & (bright > 0.1 * bright.max())
    assert float((correlation(ours.maps[0], theirs[0])[inside] > 0.999).float().mean()) > 0.999


def test_agrees_with_sigpy() -> None:
    apps = pytest.importorskip("sigpy.mri.app")
    p = make_phantom((48, 40), 6, noise=1e-3)
    # The same cut of the singular values, which sigpy gives as their ratio.
    theirs = apps.EspiritCalib(
        p.kspace.numpy(), calib_width=24, thresh=math.sqrt(1e-3), kernel_width=6, crop=0.8, show_pbar=False
    ).run()
    ours = espirit(p.kspace)
    inside = torch.from_numpy(np.abs(theirs).sum(0) > 0)
    assert int((inside ^ (ours.eigenvalues[0] >= 0.8)).sum()) <= 0.01 * int(inside.sum())
    assert float(correlation(ours.maps[0], torch.from_numpy(theirs))[p.support].min()) > 0.999
