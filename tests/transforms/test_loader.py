"""The transforms as a stranger uses them: MONAI's Compose, Dataset and DataLoader, with workers."""

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, Dataset, decollate_batch
from monai.transforms import Compose

from mrirecon.reconstruction.linear import LeastSquares
from mrirecon.transforms import (
    CentredFFTd,
    CentredIFFTd,
    CompressCoilsd,
    EstimateSensitivitiesd,
    LoadScand,
    Prewhitend,
    RandSamplingMaskd,
    Reconstructd,
    RemoveOversamplingd,
    SamplingMaskd,
    SaveNiftid,
    ScaleKSpaced,
    ToReconMatrixd,
)
from mrirecon.transforms.header import encoding_of, geometry_of, protocol_of
from tests.transforms.scans import write_npy_scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans")
    return path, [write_npy_scan(path, f"scan{seed}", seed=seed) for seed in (1, 2)]


def chain():
    return Compose(
        [
            LoadScand(),
            Prewhitend(),
            RemoveOversamplingd(),
            CompressCoilsd(n_coils=4),
            SamplingMaskd(acceleration=2, centre_lines=12),
            EstimateSensitivitiesd(calibration=12),
            ScaleKSpaced(),
            CentredIFFTd(),
            CentredFFTd("kspace"),
        ]
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_kspace_and_header_survive_compose_workers_and_collation(folder, workers):
    _, written = folder
    items = [{"scan": str(path)} for path, _, _ in written]
    dataset = Dataset(items, transform=chain())
    (batch,) = DataLoader(dataset, batch_size=2, num_workers=workers)
    assert batch["kspace"].shape == (2, 2, 4, 24, 28)
    assert batch["kspace"].dtype == torch.complex64
    assert batch["kspace"].imag.abs().max() > 0.1 * batch["kspace"].real.abs().max()
    assert batch["mask"].dtype == torch.bool
    assert batch["maps"].shape == (2, 2, 4, 24, 28)
    assert len(batch["mask_card"]) == 2
    for index, item in enumerate(decollate_batch(batch)):
        reference = dataset[index]
        assert torch.equal(item["kspace"], reference["kspace"])
        assert encoding_of(item["meta"]) == encoding_of(reference["meta"])
        assert protocol_of(item["meta"]) == protocol_of(reference["meta"])
        assert protocol_of(item["meta"]).echo_time_ms == 12.5
        scan = written[index][2]
        np.testing.assert_allclose(geometry_of(item["meta"]).affine, scan.geometry.affine, atol=1e-9)
        assert item["meta"]["path"] == items[index]["scan"]
        assert float(item["scale"]) == pytest.approx(reference["scale"])


def test_a_decollated_item_is_reconstructed_and_saved(folder, tmp_path):
    _, written = folder
    dataset = Dataset([{"scan": path} for path, _, _ in written], transform=chain())
    (batch,) = DataLoader(dataset, batch_size=2, num_workers=0)
    after = Compose(
        [
            Reconstructd(LeastSquares()),
            ToReconMatrixd("reconstruction"),
            SaveNiftid(output_dir=tmp_path, method="sense"),
        ]
    )
    for item in decollate_batch(batch):
        after(item)
    assert len(list(tmp_path.rglob("reconstruction.nii.gz"))) == 2


def test_random_masks_differ_between_workers_and_repeat_with_the_seed(folder):
    _, written = folder
    transform = Compose([LoadScand(), RandSamplingMaskd(centre_lines=4)])
    items = [{"scan": path} for path, _, _ in written] * 2

    def epoch(seed):
        transform.set_random_state(seed)
        loader = DataLoader(Dataset(items, transform=transform), batch_size=1, num_workers=2)
        torch.manual_seed(seed)
        return [batch["mask"] for batch in loader]

    first, again = epoch(3), epoch(3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({tuple(m.flatten().tolist()) for m in first}) > 1


def test_the_cache_does_not_change_items(folder):
    _, written = folder
    items = [{"scan": path} for path, _, _ in written]
    transform = Compose([LoadScand(), Prewhitend(), ScaleKSpaced()])
    cached = CacheDataset(items, transform=transform, progress=False, num_workers=1)
    for index, item in enumerate(items):
        torch.testing.assert_close(cached[index]["kspace"], transform(item)["kspace"])
        assert torch.equal(cached[index]["kspace"], cached[index]["kspace"])
