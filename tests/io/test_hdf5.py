"""Opening HDF5 files and taking one field out of compound records."""

import h5py
import numpy as np
import pytest

from mrirecon.errors import FormatError
from mrirecon.io.hdf5 import dataset, has_dataset, open_hdf5, read_field, text_of

HEAD = np.dtype([("flags", "<u8"), ("count", "<u2"), ("position", "<f4", 3)])
RECORD = np.dtype([("before", "<u2"), ("head", HEAD), ("data", h5py.special_dtype(vlen=np.float32))])


def records(n):
    rng = np.random.default_rng(5)
    out = np.zeros(n, RECORD)
    out["head"]["flags"] = rng.integers(0, 2**63, n)
    out["head"]["count"] = np.arange(n)
    out["head"]["position"] = rng.standard_normal((n, 3))
    for i in range(n):
        out["data"][i] = np.ones(i % 4, np.float32)
    return out


@pytest.mark.parametrize(
    "storage",
    [{"chunks": (1,)}, {"chunks": (7,)}, {"chunks": (40,)}, {"chunks": (7,), "compression": "gzip"}, {}],
    ids=["chunks of 1", "chunks of 7", "one chunk", "compressed", "contiguous"],
)
@pytest.mark.parametrize(("start", "stop"), [(0, 40), (0, 7), (3, 5), (6, 22), (14, 21), (39, 40), (5, 5)])
def test_a_field_of_some_records(tmp_path, storage, start, stop):
    expected = records(40)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=expected, dtype=RECORD, **storage)
    with open_hdf5(tmp_path / "a.h5") as file:
        found = read_field(file["data"], "head", start, stop)
    assert found.shape == (stop - start,)
    for name in HEAD.names:
        np.testing.assert_array_equal(found[name], expected["head"][start:stop][name])


def test_records_that_were_never_written_are_zero(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        target = file.create_dataset("data", (20,), dtype=RECORD, chunks=(4,))
        target[:4] = records(4)
    with open_hdf5(tmp_path / "a.h5") as file:
        found = read_field(file["data"], "head", 0, 20)
    np.testing.assert_array_equal(found["count"], [0, 1, 2, 3] + [0] * 16)


@pytest.mark.parametrize("value", [b"<a/>", "<a/>", np.bytes_(b"<a/>"), [b"<a/>"], np.array(["<a/>"], dtype=object)])
def test_text_however_it_is_stored(tmp_path, value):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["xml"] = value
        assert text_of(file["xml"]) == b"<a/>"


def test_a_group_is_not_a_data_set(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = 1
    with open_hdf5(tmp_path / "a.h5") as file:
        assert has_dataset(file, "group/data")
        assert not has_dataset(file, "group")
        with pytest.raises(FormatError, match="is a group"):
            dataset(file, "group", tmp_path)
        with pytest.raises(FormatError, match="group 'group' holds: data"):
            dataset(file, "group/xml", tmp_path)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(FormatError, match="folder"), open_hdf5(tmp_path):
        pass
