import pickle

import numpy as np
import pytest
import torch

from mrirecon.errors import ConfigError, FormatError
from mrirecon.linalg.fft import ifft
from mrirecon.transforms import LoadScand
from mrirecon.transforms.header import (
    describe_scan,
    encoding_of,
    geometry_of,
    notes_of,
    protocol_of,
    subject_of,
)
from tests.transforms.scans import analytic, simulated, write_npy_scan


def same_header(meta, scan, geometry=None):
    assert encoding_of(meta) == scan.encoding
    assert protocol_of(meta) == scan.protocol
    assert subject_of(meta) == scan.subject
    assert notes_of(meta) == scan.notes
    expected = geometry or scan.geometry
    found = geometry_of(meta)
    np.testing.assert_array_equal(found.affine, expected.affine)
    assert (found.nominal, found.slice_thickness_mm) == (expected.nominal, expected.slice_thickness_mm)
    assert found.frame_of_reference_uid == expected.frame_of_reference_uid


@pytest.mark.parametrize("scan", [simulated(), analytic()[0], analytic(is_3d=True)[0]], ids=["2d", "bare", "3d"])
def test_the_header_comes_back_as_it_was(scan):
    same_header(describe_scan(scan), scan)


def test_whole_volume_from_a_file(tmp_path):
    path, planes, scan = write_npy_scan(tmp_path, "one")
    item = LoadScand()({"scan": path, "weight": 3})
    assert item["kspace"].dtype == torch.complex64
    assert torch.equal(item["kspace"], torch.from_numpy(planes))
    assert item["mask"].dtype == torch.bool
    assert item["mask"].ndim == 4
    assert torch.equal(item["noise"], scan.noise)
    assert item["weight"] == 3
    assert "scan" not in item
    assert protocol_of(item["meta"]).echo_time_ms == 12.5
    assert protocol_of(item["meta"]).flip_angle_deg is None
    np.testing.assert_allclose(geometry_of(item["meta"]).affine, scan.geometry.affine)


def test_one_slice_with_its_own_position(tmp_path):
    path, planes, scan = write_npy_scan(tmp_path, "one")
    item = LoadScand()({"scan": str(path), "plane": 1})
    assert torch.equal(item["kspace"], torch.from_numpy(planes[1]))
    assert item["mask"].ndim == 3
    np.testing.assert_allclose(geometry_of(item["meta"]).position((0, 2, 3)), scan.geometry.position((1, 2, 3)))
    with pytest.raises(FormatError, match="slices 0 to 1, slice 2"):
        LoadScand()({"scan": path, "plane": 2})


def test_a_3d_scan_becomes_slices():
    scan, kspace = analytic((6, 16, 20), is_3d=True)
    item = LoadScand()({"scan": scan})
    expected = ifft(kspace, (-3, -2, -1)).transpose(0, 1)
    torch.testing.assert_close(ifft(item["kspace"], (-2, -1)), expected, atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match="kz partitions"):
        LoadScand()({"scan": scan, "plane": 0})
    mask = torch.ones(6, 1, 1, dtype=torch.bool)
    mask[1::2] = False
    with pytest.raises(ConfigError, match="undersampled along kz"):
        LoadScand()({"scan": analytic((6, 16, 20), is_3d=True, mask=mask)[0]})


def test_it_can_be_sent_to_workers():
    assert pickle.loads(pickle.dumps(LoadScand(contrast=1))).contrast == 1
    with pytest.raises(ConfigError, match="one key"):
        LoadScand(("a", "b"))
