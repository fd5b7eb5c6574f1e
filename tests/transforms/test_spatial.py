"""Positions survive the change of matrix: the markers stay where they are in the patient."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrirecon.data.phantom import landmark_solids, voxel_positions
from mrirecon.errors import ShapeError
from mrirecon.transforms import CombineCoilsd, LoadScand, ToReconMatrixd
from mrirecon.transforms.header import geometry_of
from tests.transforms.scans import CENTRE, analytic


def centroid(image, geometry, near, radius=14.0):
    """Of the bright spot near a position, in excess of what surrounds it."""
    positions = voxel_positions(geometry, image.shape)
    weight = np.where(np.linalg.norm(positions - near, axis=-1) < radius, image, 0)
    weight = np.clip(weight - 0.5 * weight.max(), 0, None)
    return (positions * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum()


@pytest.mark.parametrize("recon", [(64, 60), (32, 40), (50, 30), (31, 41)])
@pytest.mark.parametrize("is_3d", [False, True])
def test_the_marker_stays_in_its_place(recon, is_3d):
    shape = (32, 32, 40)
    scan, _ = analytic(shape, is_3d=is_3d, voxel=(4.0, 4.0, 3.0))
    depth = 28 if is_3d else 1
    fov = scan.encoding.encoded_fov_mm
    target = replace(
        scan.encoding,
        recon_matrix=(depth, *recon),
        recon_fov_mm=(fov[0] * depth / 32 if is_3d else fov[0], fov[1] * 0.9, fov[2] * 1.05),
    )
    item = LoadScand()({"scan": replace(scan, encoding=target)})
    item = ToReconMatrixd()(CombineCoilsd("root-sum-of-squares")(item))
    assert item["image"].shape == (28 if is_3d else 32, 1, *recon)
    assert item["image"].dtype == torch.float32
    geometry = geometry_of(item["meta"], of="image_geometry")
    mark = landmark_solids(centre_mm=CENTRE, size_mm=80.0)["anterior"]
    before = CombineCoilsd("root-sum-of-squares")(LoadScand()({"scan": scan}))["image"][:, 0].numpy()
    expected = centroid(before, scan.geometry, mark.centre_mm)
    found = centroid(item["image"][:, 0].numpy(), geometry, mark.centre_mm)
    assert np.linalg.norm(found - expected) < 1.0  # a third of a voxel
    assert np.linalg.norm(found - mark.centre_mm) < 1.5


def test_the_grid_covers_the_field_of_view_it_should():
    scan, _ = analytic()
    target = replace(scan.encoding, recon_matrix=(1, 64, 80))
    item = ToReconMatrixd()(CombineCoilsd("root-sum-of-squares")(LoadScand()({"scan": replace(scan, encoding=target)})))
    geometry = geometry_of(item["meta"], of="image_geometry")
    np.testing.assert_allclose(geometry.voxel_size_mm, (8.0, 2.0, 1.5), rtol=1e-6)
    np.testing.assert_allclose(geometry.position((0, 32, 40)), scan.geometry.position((0, 16, 20)), atol=1e-9)


def test_an_image_on_another_grid_is_refused():
    item = CombineCoilsd("root-sum-of-squares")(LoadScand()({"scan": analytic()[0]}))
    with pytest.raises(ShapeError, match="encoded grid"):
        ToReconMatrixd()({**item, "image": torch.zeros(3, 1, 8, 8)})
