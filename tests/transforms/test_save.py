"""Written series are read back by somebody else's reader: pixels and positions."""

import nibabel
import numpy as np
import pydicom
import pytest
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.transforms import CombineCoilsd, LoadScand, RemoveOversamplingd, SaveDicomd, SaveNiftid, ScaleKSpaced
from tests.transforms.scans import simulated, write_npy_scan


def combined(scan):
    item = ScaleKSpaced()(RemoveOversamplingd()(LoadScand()({"scan": scan})))
    return CombineCoilsd("root-sum-of-squares")(item)


def test_nifti_holds_the_image_in_source_units_where_it_was(tmp_path):
    scan = simulated()
    item = combined(scan)
    out = SaveNiftid("image", output_dir=tmp_path, method="root sum of squares", kind="linear")(item)
    assert torch.equal(out["image"], item["image"])
    image = nibabel.load(tmp_path / "simulated-simulated" / "image.nii.gz")
    values = image.get_fdata().transpose(2, 1, 0)
    np.testing.assert_allclose(values, item["image"][:, 0].numpy() * item["scale"], rtol=1e-5)
    for index in [(0, 0, 0), (2, 10, 30)]:
        k, j, i = index
        lps = (image.affine @ [i, j, k, 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(lps, scan.geometry.position((k, j, i + 20)), atol=1e-3)


def test_dicom_series_per_item_with_positions(tmp_path):
    path, _, scan = write_npy_scan(tmp_path, "one")
    item = combined(path)
    SaveDicomd("image", output_dir=tmp_path / "out", method="root sum of squares", kind="linear")(item)
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(files) == 2
    assert files[0].parts[-3].startswith("one-")
    datasets = sorted((pydicom.dcmread(f) for f in files), key=lambda d: d.InstanceNumber)
    for k, dataset in enumerate(datasets):
        np.testing.assert_allclose(dataset.ImagePositionPatient, scan.geometry.position((k, 0, 0)), atol=1e-3)
        stored = dataset.pixel_array.astype(float)
        image = item["image"][k, 0].numpy()
        assert np.corrcoef(stored.ravel(), image.ravel())[0, 1] > 0.9999
    assert datasets[0].SyntheticData == "YES"
    assert "one.npy" not in str(datasets[0])


def test_slices_do_not_overwrite_each_other(tmp_path):
    path, _, scan = write_npy_scan(tmp_path, "one")
    for plane in range(2):
        item = LoadScand()({"scan": path, "plane": plane, "scale": 1.0})
        item = CombineCoilsd("root-sum-of-squares")(ScaleKSpaced()(item))
        SaveNiftid("image", output_dir=tmp_path / "out", method="rss")(item)
    files = sorted((tmp_path / "out").rglob("*.nii.gz"))
    assert len(files) == 2
    affines = [nibabel.load(f).affine for f in files]
    step = (affines[1] - affines[0])[:3, 3] * [-1, -1, 1]
    np.testing.assert_allclose(step, scan.geometry.affine[:3, 0], atol=1e-3)


def test_batches_and_several_sets_are_refused(tmp_path):
    item = combined(simulated())
    save = SaveNiftid("image", output_dir=tmp_path, method="rss")
    with pytest.raises(ShapeError, match="root-sum-of-squares first"):
        save({**item, "image": item["image"].expand(-1, 2, -1, -1)})
    with pytest.raises(ConfigError, match="decollate_batch"):
        save({**item, "meta": {**item["meta"], "path": ["a", "b"]}})
