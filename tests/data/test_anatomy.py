import importlib.util

import nibabel
import numpy as np
import pytest

import mrirecon.data.anatomy as anatomy_module
from mrirecon.data.anatomy import load_anatomy
from mrirecon.errors import FormatError, MissingDependencyError


def test_anatomy_is_a_brain_where_the_scanner_saw_it():
    anatomy = load_anatomy()
    assert anatomy.volume.shape == (24, 96, 128)
    assert anatomy.volume.dtype == np.float32
    assert anatomy.volume.min() == 0
    np.testing.assert_allclose(anatomy.geometry.voxel_size_mm, (2.2, 2.0, 2.0), atol=1e-3)
    assert not anatomy.geometry.nominal
    assert anatomy.geometry.column_direction[1] > 0.9  # rows towards the back
    assert anatomy.geometry.row_direction[0] > 0.9  # columns towards the left
    assert "MIT" in anatomy.licence


def test_every_voxel_keeps_its_place():
    """NiBabel's own resampling-free look-up: the same LPS point holds the same value."""
    anatomy = load_anatomy()
    path = importlib.util.find_spec("nibabel").submodule_search_locations[0] + "/tests/data/example4d.nii.gz"
    image = nibabel.load(path)
    values = np.asarray(image.dataobj)[..., 0]
    rng = np.random.default_rng(0)
    for _ in range(200):
        k, j, i = (int(rng.integers(n)) for n in anatomy.volume.shape)
        ras = anatomy.geometry.position((k, j, i)) * [-1, -1, 1]
        voxel = np.linalg.solve(image.affine, [*ras, 1])[:3]
        np.testing.assert_allclose(voxel, np.round(voxel), atol=1e-3)
        assert anatomy.volume[k, j, i] == values[tuple(np.round(voxel).astype(int))]


def test_what_is_missing_or_changed_is_said(monkeypatch):
    monkeypatch.setattr(anatomy_module, "_FILE", ("tests", "data", "nothing.nii.gz"))
    with pytest.raises(MissingDependencyError, match=r"mrirecon\[demo\]"):
        load_anatomy()
    monkeypatch.setattr(anatomy_module, "_FILE", ("tests", "data", "anatomical.nii"))
    with pytest.raises(FormatError, match="SHA-256"):
        load_anatomy()
