import gzip

import h5py
import nibabel
import numpy as np
import pytest
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.base import detect_format, open_scan
from mrirecon.io.cfl import write_cfl
from tests.io.shared_data import shared
from tests.io.twix_phantom import Line, header_text, protocol, write

NY, NX = 20, 24


def kspace():
    g = torch.Generator().manual_seed(0)
    y, x = torch.arange(NY) - NY // 2, torch.arange(NX) - NX // 2
    window = torch.exp(-((y[:, None] / NY) ** 2 + (x / NX) ** 2) * 40)
    return torch.randn(2, NY, NX, dtype=torch.complex64, generator=g) * window


def twix(path):
    k = kspace().numpy()
    lines = [Line(k[:, i], {"Lin": i}, (), NX // 2, NY // 2) for i in range(NY)]
    return write(path, [(header_text(protocol(base=NX, lines=NY)), lines)])


def nifti(path):
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), np.eye(4)), path)
    return path


def dicom(path):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName = "CANARY^NAME"
    dataset.Modality, dataset.Rows, dataset.Columns = "MR", 8, 9
    dataset.PixelSpacing, dataset.ImageOrientationPatient = [1.5, 0.75], [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient, dataset.SeriesInstanceUID = [0, 0, 3], "1.2.3"
    dataset.save_as(path, enforce_file_format=True)
    return path


def hdf5(path, *keys):
    with h5py.File(path, "w") as file:
        for key in keys:
            file[key] = np.zeros(3)
    return path


def npy(path):
    np.save(path, kspace().numpy())
    return path


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("misnamed.bin", twix, "twix"),
        ("misnamed.dat", npy, "npy"),
        ("a.nii", nifti, "nifti"),
        ("a.nii.gz", nifti, "nifti"),
        ("noending", dicom, "dicom"),
        ("a.h5", lambda p: hdf5(p, "kspace", "ismrmrd_header"), "fastmri"),
        ("a.mrd", lambda p: hdf5(p, "dataset/xml", "dataset/data"), "ismrmrd"),
        ("a.cfl", lambda p: write_cfl(p, kspace()), "cfl"),
    ],
)
def test_formats_are_recognised_by_content(tmp_path, name, make, expected):
    path = tmp_path / name
    if name == "misnamed.dat":
        np.save(tmp_path / "x.npy", kspace().numpy())
        (tmp_path / "x.npy").rename(path)
    else:
        make(path)
    assert detect_format(path) == expected


def test_the_three_spellings_of_a_cfl_pair(tmp_path):
    write_cfl(tmp_path / "k", kspace()[:, None])
    for name in ("k", "k.cfl", "k.hdr"):
        assert detect_format(tmp_path / name) == "cfl"
        assert open_scan(tmp_path / name).format == "cfl"


def test_a_folder_of_dicom_files(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "readme.txt").write_text("x")
    dicom(tmp_path / "inner" / "IM1")
    assert detect_format(tmp_path) == "dicom"


def test_all_readers_are_reached(tmp_path):
    k = kspace()
    np.save(tmp_path / "k.npy", k.numpy())
    assert torch.equal(open_scan(tmp_path / "k.npy").read(0), k)
    assert torch.equal(open_scan(write_cfl(tmp_path / "c", k[:, None])).read(0), k)
    assert torch.equal(open_scan(twix(tmp_path / "t.dat")).read(0), k.conj())


def test_a_contrast_that_is_not_there_is_refused(tmp_path):
    np.save(tmp_path / "k.npy", kspace().numpy())
    with pytest.raises(ConfigError, match="one volume, contrast 1 does not exist"):
        open_scan(tmp_path / "k.npy", contrast=1)
    with pytest.raises(ConfigError, match="repetition 2"):
        open_scan(twix(tmp_path / "t.dat"), repetition=2)


@pytest.mark.parametrize(("make", "word"), [(nifti, "NIfTI"), (dicom, "DICOM")])
def test_images_are_not_raw_data(tmp_path, make, word):
    with pytest.raises(FormatError, match=rf"holds images \({word}\), not raw data"):
        open_scan(make(tmp_path / "a.nii"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.dat", b"", "empty"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "truncated or damaged"),
        ("a.nii.gz", gzip.compress(b"nothing of that kind" * 100, mtime=0), "unknown format"),
        ("a.nii.gz", gzip.compress(b"x" * 5000, mtime=0)[:20], "unknown format"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + b" " * 200, "MATLAB file: save the array with numpy.save"),
        ("a.txt", b"some text\n" * 100, "unknown format.*looked for fastMRI"),
        ("a.hdr", b"\x5c\x01\0\0" + b"\0" * 400, "unknown format"),
    ],
)
def test_what_is_not_known_is_refused_with_what_was_looked_for(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        detect_format(path)


def test_hdf5_of_another_kind_names_its_content(tmp_path):
    with pytest.raises(FormatError, match=r"neither fastMRI .* nor MRD .*\['other', 'things'\]"):
        detect_format(hdf5(tmp_path / "a.h5", "things", "other"))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        detect_format(tmp_path / "nothing")
    with pytest.raises(FormatError, match="folder without DICOM"):
        detect_format(tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kspace/pulseq_freiburg/2024-02-06-164128.dat", "twix"),
        ("kspace/pulseq_freiburg/04_03_basic_epi_96x96_pe0.dat", "twix"),
        ("kspace/bart_pics_brain/ksp", "cfl"),
        ("kspace/sigpy_tutorial/cartesian_ksp.npy", "npy"),
        ("dicom/papaya_pd", "dicom"),
    ],
)
def test_real_files(name, expected):
    folder = shared(name.rsplit("/", 1)[0])
    assert detect_format(folder / name.rsplit("/", 1)[1]) == expected
