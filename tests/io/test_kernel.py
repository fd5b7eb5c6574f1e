"""Kernels from files: NumPy, MATLAB, pictures; scaled to the sum 1."""

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mrirecon.errors import FormatError
from mrirecon.io.kernel import read_kernel, read_kernels
from tests.io.shared_data import shared

KERNEL = np.array([[0, 1, 2], [3, 4, 5], [0, 1, 0], [9, 0, 0.0]])


def test_numpy(tmp_path):
    np.save(tmp_path / "one.npy", KERNEL)
    np.save(tmp_path / "two.npy", np.stack([KERNEL.T, 2 * KERNEL.T]).astype(np.float32))
    found = read_kernel(tmp_path / "one.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, KERNEL / 25)
    np.testing.assert_allclose(read_kernel(tmp_path / "two.npy", number=1), KERNEL.T / 25)


def test_matlab_matrices_and_cells(tmp_path):
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = KERNEL, KERNEL[:2]
    savemat(tmp_path / "cells.mat", {"kernels": cells, "scale": 3.0})
    np.testing.assert_allclose(read_kernel(tmp_path / "cells.mat"), KERNEL / 25)
    np.testing.assert_allclose(read_kernel(tmp_path / "cells.mat", number=1), KERNEL[:2] / 15)
    with pytest.raises(FormatError, match="holds 2 kernels"):
        read_kernel(tmp_path / "cells.mat", number=2)


def test_matlab_of_version_7_3(tmp_path):
    """Stored as HDF5: axes the other way round, cells by reference; text and empty arrays beside them."""
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:
        store = file.create_group("#refs#")
        first, second = (store.create_dataset(n, data=k.T) for n, k in (("a", KERNEL), ("b", KERNEL[:2])))
        empty = store.create_dataset("e", data=np.zeros((1, 2), np.uint64))
        empty.attrs["MATLAB_empty"] = np.uint8(1)
        cells = file.create_dataset("kernels", (3, 1), dtype=h5py.ref_dtype)
        cells[:, 0] = [first.ref, empty.ref, second.ref]
        text = file.create_dataset("note", data=np.ones((4, 2), np.uint16))
        text.attrs["MATLAB_class"] = np.bytes_("char")
    one, two = read_kernels(tmp_path / "new.mat")
    np.testing.assert_allclose(one, KERNEL / 25)
    np.testing.assert_allclose(two, KERNEL[:2] / 15)
    np.testing.assert_array_equal(read_kernel(tmp_path / "new.mat", number=1), two)


def test_a_picture(tmp_path):
    Image.fromarray(np.uint8(KERNEL * 20)).save(tmp_path / "psf.png")
    np.testing.assert_allclose(read_kernel(tmp_path / "psf.png"), KERNEL / 25)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("zero.npy", np.zeros((3, 3)), "positive sum"),
        ("nan.npy", np.full((3, 3), np.nan), "finite"),
        ("line.npy", np.ones(3), "shape"),
        ("complex.npy", np.ones((3, 3), complex), "real numbers"),
        ("many.npy", np.ones((0, 3, 3)), "no matrix"),
    ],
)
def test_arrays_that_are_no_kernels(tmp_path, name, array, message):
    np.save(tmp_path / name, array)
    with pytest.raises(FormatError, match=message):
        read_kernel(tmp_path / name)


@pytest.mark.parametrize("name", ["k.npy", "k.mat", "k.png"])
def test_files_that_are_something_else(tmp_path, name):
    with pytest.raises(FormatError, match="no such file"):
        read_kernel(tmp_path / name)
    (tmp_path / name).write_bytes(b"hello, this is no kernel" * 20)
    with pytest.raises(FormatError, match="cannot be read"):
        read_kernel(tmp_path / name)


def test_pickles_are_never_opened(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="cannot be read"):
        read_kernel(tmp_path / "objects.npy")


@pytest.mark.data
def test_published_kernels():
    folder = shared("images/kernels")
    for number in range(12):
        kernel = read_kernel(folder / "kernels_12.mat", number=number)
        assert kernel.shape == (25, 25)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
    sizes = [kernel.shape[0] for kernel in read_kernels(folder / "Levin09.mat")]
    assert sizes == [19, 17, 15, 27, 13, 21, 23, 23]
