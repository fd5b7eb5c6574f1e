"""Reading fastMRI files: axes, oversampling, masks, missing headers, damaged files; the fastmri package as oracle."""

import os
import pickle
import warnings

import h5py
import numpy as np
import pytest
import torch

from mrirecon.errors import FormatError
from mrirecon.io.base import detect_format
from mrirecon.io.fastmri import read_fastmri
from mrirecon.linalg.fft import ifft
from tests.io.damaged_files import assert_damaged_files_are_refused
from tests.io.writers_for_tests import (
    COIL_WEIGHTS,
    brightest_point,
    gaussian_line,
    header_xml,
    images_of,
    write_fastmri,
)

ROWS, WIDTH, LINES = 48, 30, 22  # readout, columns, acquired columns
BEFORE = (
    "<studyInformation><studyTime>15:21:06</studyTime></studyInformation><measurementInformation>"
    "<patientPosition>HFS</patientPosition><protocolName>AXT2</protocolName>"
    "<frameOfReferenceUID>1.2.840.77</frameOfReferenceUID></measurementInformation><acquisitionSystemInformation>"
    "<systemVendor>SIEMENS</systemVendor><systemModel>Aera</systemModel>"
    "<systemFieldStrength_T>1.494</systemFieldStrength_T><receiverChannels>3</receiverChannels>"
    "</acquisitionSystemInformation>"
)
AFTER = (
    "<sequenceParameters><TR>5000</TR><TE>105</TE><TI>100</TI><flipAngle_deg>150</flipAngle_deg>"
    "<sequence_type>TurboSpinEcho</sequence_type><echo_spacing>7.5</echo_spacing></sequenceParameters>"
)


def header(*, centre=LINES // 2, lines=WIDTH, recon=(24, 24), maximum=LINES - 1, **more):
    """As in the data sets: x is the readout (rows of the array), y the phase encoding (columns)."""
    xml = header_xml(
        (ROWS, lines, 1),
        (96.0, 75.0, 5.0),
        (*recon, 1),
        (48.0, 60.0, 5.0),
        centre_1=centre,
        before=BEFORE,
        after=AFTER,
        **more,
    )
    return xml.replace(f"<maximum>{lines - 1}</maximum>", f"<maximum>{maximum}</maximum>", 1)


def blob(*, n_slices=3, coils=True, down_mm=6.0, right_mm=-9.5, rows=ROWS, width=WIDTH, fov=(96.0, 75.0)):
    """K-space (slice, coil, readout, phase) of a blob `down_mm` along the rows and `right_mm` along the columns."""
    ky = ((np.arange(rows) - rows // 2) / fov[0])[:, None]
    kx = ((np.arange(width) - width // 2) / fov[1])[None]
    plane = gaussian_line(kx, ky, 0, (right_mm, down_mm, 0), 3.5)
    weights = COIL_WEIGHTS if coils else COIL_WEIGHTS[:1]
    kspace = weights[:, None, None] * plane * np.linspace(1, 2, n_slices)[:, None, None, None]
    return (kspace if coils else kspace[:, 0]).astype(np.complex64)


def acquired():
    """The columns that the header's limits describe: 4 of padding before, 4 after."""
    columns = np.zeros(WIDTH, bool)
    columns[WIDTH // 2 - LINES // 2 :][:LINES] = True
    return columns


def test_rows_are_the_oversampled_readout_and_columns_are_phase_encoded(tmp_path):
    kspace = blob() * acquired()
    attributes = {"acquisition": "AXT2", "patient_id": "CANARYID", "max": 0.5, "norm": np.float64(3.0)}
    path = write_fastmri(tmp_path / "a.h5", kspace, xml=header(), attributes=attributes)
    assert detect_format(path) == "fastmri"
    scan = read_fastmri(path)
    assert (scan.n_slices, scan.n_coils, scan.is_3d) == (3, 3, False)
    encoding = scan.encoding
    assert encoding.encoded_matrix == (1, ROWS, WIDTH)
    assert encoding.recon_matrix == (1, 24, 24)
    assert encoding.encoded_fov_mm == (5.0, 96.0, 75.0)
    assert encoding.recon_fov_mm == (5.0, 48.0, 60.0)
    assert (encoding.readout_axis, encoding.oversampling, encoding.readout_size) == ("y", 2.0, 24)
    assert encoding.without_readout_oversampling().encoded_matrix == (1, 24, WIDTH)
    assert scan.protocol.phase_encoding_axis == "x"
    for i in range(3):
        np.testing.assert_array_equal(scan.read(i).numpy(), kspace[i])
    assert scan.geometry.nominal
    assert scan.geometry.voxel_size_mm == pytest.approx((5.0, 2.0, 2.5))
    assert scan.geometry.slice_thickness_mm == 5.0
    assert scan.geometry.frame_of_reference_uid is None, "the header's frame of reference does not go with nominal axes"
    p = scan.protocol
    assert (p.echo_time_ms, p.repetition_time_ms, p.inversion_time_ms, p.flip_angle_deg) == (105, 5000, 100, 150)
    assert (p.manufacturer, p.model, p.field_strength_t, p.contrast) == ("SIEMENS", "Aera", 1.494, "AXT2")
    assert (p.patient_position, p.imaging_frequency_mhz, p.sequence_name) == ("HFS", 123.2, "TurboSpinEcho")
    assert (scan.details["max"], scan.details["norm"]) == (0.5, 3.0)
    assert "attribute patient_id" in scan.subject.identifiers_present
    assert "studyInformation.studyTime" in scan.subject.identifiers_present
    assert "CANARYID" not in repr(scan)


@pytest.mark.parametrize("width", [30, 31])
@pytest.mark.parametrize("rows", [48, 50])
def test_a_blob_lies_where_its_offset_says(tmp_path, rows, width):
    """Rows grow along the readout, columns along the phase encoding, both from the centre ``n // 2``."""
    xml = header_xml((rows, width, 1), (96.0, 75.0, 5.0), (rows // 2, width, 1), (48.0, 75.0, 5.0))
    path = write_fastmri(tmp_path / "a.h5", blob(rows=rows, width=width), xml=xml)
    scan = read_fastmri(path)
    image = images_of(scan)
    size = scan.encoding.readout_size
    image = image[:, rows // 2 - size // 2 :][:, :size]
    geometry = scan.geometry.centred_crop(scan.grid_shape, image.shape)
    np.testing.assert_allclose(geometry.position(brightest_point(image)), [-9.5, 6.0, 5.0], atol=0.01)


def test_columns_without_data_are_not_sampled(tmp_path):
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", blob() * acquired(), xml=header()))
    assert tuple(scan.mask.shape) == (1, 1, WIDTH)
    np.testing.assert_array_equal(scan.mask[0, 0].numpy(), acquired())
    assert scan.details["header_padding"] == [4, 4]
    assert scan.encoding.partial_fourier == (1.0, 1.0, 1.0)
    assert any("8 of 30 columns are zero" in note for note in scan.notes)


def test_partial_fourier_is_seen_in_the_columns(tmp_path):
    columns = np.arange(WIDTH) >= 6
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", blob() * columns, xml=header(centre=9, maximum=23)))
    assert scan.encoding.partial_fourier == (1.0, 1.0, pytest.approx(24 / 30))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_the_mask_of_a_test_file_decides_together_with_the_data(tmp_path, kind):
    """Masks of test files may name columns of padding; a column that the mask leaves out is delivered as zero."""
    mask = np.zeros(WIDTH, kind)
    mask[::3] = 1  # 0, 3, 6, ...; 0, 3, 27 lie in the padding
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", blob() * acquired(), xml=header(), mask=mask))
    expected = mask.astype(bool) & acquired()
    np.testing.assert_array_equal(scan.mask[0, 0].numpy(), expected)
    np.testing.assert_array_equal(scan.read(1).numpy(), (blob() * expected)[1])
    assert any("3 columns that the mask names hold only zeros" in note for note in scan.notes)
    assert any("15 columns hold data that the mask leaves out" in note for note in scan.notes)


def test_single_coil_files_have_one_coil(tmp_path):
    kspace = blob(coils=False)
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", kspace, xml=header(maximum=WIDTH - 1, centre=15)))
    assert scan.n_coils == 1
    np.testing.assert_array_equal(scan.read(2)[0].numpy(), kspace[2])
    assert tuple(scan.mask.shape) == (1, 1, 1)


def test_a_file_without_header_says_what_was_assumed(tmp_path):
    target = np.zeros((3, 20, 26), np.float32)
    with_target = read_fastmri(write_fastmri(tmp_path / "a.h5", blob(), reconstruction=target))
    assert with_target.encoding.recon_matrix == (1, 20, 26)
    assert with_target.encoding.readout_size == 20
    alone = read_fastmri(write_fastmri(tmp_path / "b.h5", blob()))
    assert alone.encoding.recon_matrix == (1, 30, 30)
    for scan in (with_target, alone):
        assert scan.encoding.voxel_size_mm == (1.0, 1.0, 1.0)
        assert scan.geometry.nominal
        assert any("no header" in note and "1 mm" in note for note in scan.notes)
        assert scan.protocol.echo_time_ms is None


def test_a_reconstruction_narrower_than_the_header_asks_is_noted(tmp_path):
    target = np.zeros((3, 24, 20), np.float32)
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", blob(), xml=header(), reconstruction=target))
    assert scan.encoding.recon_matrix == (1, 24, 24)
    assert any("24 x 20 pixels" in note for note in scan.notes)


def test_k_space_without_oversampling_under_a_header_with_it(tmp_path):
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", blob(rows=24, fov=(48.0, 75.0)), xml=header()))
    assert scan.encoding.encoded_fov_mm == (5.0, 48.0, 75.0)
    assert scan.encoding.oversampling == 1.0
    assert any("oversampling was removed" in note for note in scan.notes)


def test_reading_is_lazy_closes_the_file_and_can_be_pickled(tmp_path):
    path = write_fastmri(tmp_path / "a.h5", blob(n_slices=7), xml=header())
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    scan = pickle.loads(pickle.dumps(read_fastmri(path)))
    scan.read(6)
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before
    with h5py.File(path, "r+") as file:
        file["kspace"][4] = 7
    assert torch.equal(scan.read(4), torch.full((3, ROWS, WIDTH), 7, dtype=torch.complex64)), "read on request"


@pytest.mark.filterwarnings("default")
def test_metadata_crop_and_images_agree_with_the_fastmri_package(tmp_path):
    fastmri = pytest.importorskip("fastmri", reason="the fastmri package is not installed")
    from fastmri.data import transforms
    from fastmri.data.mri_data import SliceDataset

    kspace = blob() * acquired()
    target = np.zeros((3, 24, 24), np.float32)
    path = write_fastmri(tmp_path / "a.h5", kspace, xml=header(), reconstruction=target, attributes={"max": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = SliceDataset(root=tmp_path, challenge="multicoil", use_dataset_cache=False)
        theirs, _, _, metadata, _, _ = data[1]
    scan = read_fastmri(path)
    plane = scan.read(1)
    np.testing.assert_array_equal(plane.numpy(), theirs)
    left, right = metadata["padding_left"], metadata["padding_right"]
    sampled = np.flatnonzero(scan.mask[0, 0].numpy())
    assert (left, right) == (sampled[0], sampled[-1] + 1)
    assert scan.details["header_padding"] == [left, WIDTH - right]
    assert metadata["recon_size"][:2] == (scan.encoding.recon_matrix[1], scan.encoding.recon_matrix[2])
    image = fastmri.rss(fastmri.complex_abs(fastmri.ifft2c(torch.view_as_real(plane))), dim=0)
    cropped = transforms.center_crop(image, (24, 24))
    ours = ifft(plane, (-2, -1)).abs().square().sum(0).sqrt()
    size = scan.encoding.readout_size
    ours = ours[ROWS // 2 - size // 2 :][:size, WIDTH // 2 - 12 :][:, :24]
    torch.testing.assert_close(ours, cropped, atol=1e-6, rtol=1e-5)


# --- damaged and contradictory files ---------------------------------------------------------------------------------


def test_missing_empty_foreign_and_truncated_files(tmp_path):
    assert_damaged_files_are_refused(read_fastmri, write_fastmri(tmp_path / "a.h5", blob(), xml=header()))


@pytest.mark.parametrize(
    ("kspace", "words"),
    [
        (np.zeros((3, 2, 8, 8), np.float32), "must be complex64, got float32"),
        (np.zeros((2, 8), np.complex64), "must have shape"),
        (np.zeros((3, 0, 8, 8), np.complex64), "no axis empty"),
        (np.zeros((0, 2, 8, 8), np.complex64), "no axis empty"),
        (np.zeros((3, 2, 8, 8), np.complex64), "nothing but zeros"),
    ],
    ids=["real", "two axes", "no coils", "no slices", "all zero"],
)
def test_k_space_that_is_none(tmp_path, kspace, words):
    with pytest.raises(FormatError, match=words) as caught:
        read_fastmri(write_fastmri(tmp_path / "a.h5", kspace))
    assert caught.value.key == "kspace"


def test_a_file_without_k_space_names_what_it_has(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["reconstruction_rss"] = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(FormatError, match="missing; the file holds: reconstruction_rss") as caught:
        read_fastmri(tmp_path / "a.h5")
    assert caught.value.key == "kspace"


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        ({"xml": "<ismrmrdHeader><enc"}, "ismrmrd_header", "not well-formed"),
        ({"xml": b""}, "ismrmrd_header", "empty"),
        ({"xml": header(trajectory="radial")}, "ismrmrd_header", "'radial'; only Cartesian"),
        ({"xml": header(centre=0)}, "ismrmrd_header", "do not fit into the 30 columns"),
        ({"xml": header(maximum=29)}, "ismrmrd_header", "do not fit into the 30 columns"),
        ({"xml": header().replace("<x>48</x>", "<x>64</x>")}, "ismrmrd_header", "48 rows, the header announces 64"),
        ({"mask": np.ones(29, bool)}, "mask", r"one number per column \(30\), got 29"),
        ({"mask": np.array([b"a"] * 30)}, "mask", "one number per column"),
        ({"mask": np.zeros(30, bool)}, "mask", "no column that the mask names holds data"),
    ],
)
def test_header_and_mask_that_contradict_the_data(tmp_path, arguments, key, words):
    path = write_fastmri(tmp_path / "a.h5", blob(), **({"xml": header()} | arguments))
    with pytest.raises(FormatError, match=words) as caught:
        read_fastmri(path)
    assert caught.value.key == key


def test_samples_that_are_not_finite_are_named_by_slice(tmp_path):
    kspace = blob()
    kspace[1, 0, 40, 3] = np.nan
    scan = read_fastmri(write_fastmri(tmp_path / "a.h5", kspace, xml=header()))
    assert torch.isfinite(torch.view_as_real(scan.read(0))).all()
    with pytest.raises(FormatError, match="slice 1 holds samples that are NaN") as caught:
        scan.read(1)
    assert caught.value.key == "kspace"
