"""Reading MRD: geometry that cannot be, contradictory headers, damaged files, and laziness."""

import os
import pickle
from dataclasses import replace

import h5py
import ismrmrd
import numpy as np
import pytest
import torch
from ismrmrd import xsd

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.ismrmrd import index as ismrmrd_index
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from tests.io.damaged_files import assert_damaged_files_are_refused
from tests.io.writers_for_tests import (
    OBLIQUE_NORMAL,
    OBLIQUE_PHASE,
    OBLIQUE_READ,
    Protocol2D,
    acquisition_of,
    edit_heads,
    flag_number,
    in_slice,
    landmark_error_mm,
    write_blob,
)

BASE = Protocol2D(point=np.zeros(3))


def shift_slice(head):
    head["position"][head["idx"]["slice"] == 3] += (0.5 * OBLIQUE_NORMAL).astype(np.float32)


def shift_sideways(head):
    head["position"] += head["idx"]["slice"][:, None] * OBLIQUE_READ.astype(np.float32)


def tilt_slice(head):
    chosen = head["idx"]["slice"] == 2
    head["phase_dir"][chosen] = np.cross(OBLIQUE_NORMAL, OBLIQUE_READ) * np.cos(0.1) + OBLIQUE_NORMAL * np.sin(0.1)


def stretch(head):
    head["read_dir"] *= 1.2


def move_table(head):
    head["patient_table_position"][5:, 2] = 30


def skew(head):
    head["phase_dir"] = 0.8 * OBLIQUE_PHASE + 0.6 * OBLIQUE_READ


def not_finite(head):
    head["position"][3] = np.nan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shift_slice, "equally spaced"),
        (shift_sideways, "shifted"),
        (tilt_slice, "same orientation"),
        (stretch, "length 1"),
        (move_table, "table moved by 30"),
        (skew, "orthogonal"),
        (not_finite, "finite"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_impossible_geometry_is_refused(tmp_path, change, words):
    path = write_blob(tmp_path / "scan.h5", replace(BASE, point=BASE.middle))
    edit_heads(path, change)
    with pytest.raises(GeometryError, match=words):
        read_ismrmrd(path)


def test_slices_that_move_while_they_are_acquired_are_noted(tmp_path):
    path = write_blob(tmp_path / "scan.h5", replace(BASE, point=BASE.middle))

    def move(head):
        head["position"][50:] += np.float32(0.3)

    edit_heads(path, move)
    assert any("move during" in note for note in read_ismrmrd(path).notes)


def test_a_matrix_with_the_number_of_slices_as_partitions_is_read_in_2d(tmp_path):
    """Some converters put the slices of a 2D scan into the matrix, with the field of view of the stack."""
    point = in_slice(BASE, 3, 5.0, 5.0)
    protocol = replace(BASE, point=point)
    xml = protocol.xml().replace("<z>1</z>", "<z>5</z>").replace("<z>4.0</z>", "<z>20.0</z>")
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol, xml=xml))
    assert (scan.is_3d, scan.n_slices, scan.geometry.slice_thickness_mm) == (False, 5, 4.0)
    assert landmark_error_mm(scan, point) < 0.01
    assert any("read as 2D" in note for note in scan.notes)


def test_several_slabs_are_refused(tmp_path):
    protocol = replace(BASE, point=BASE.middle)
    path = write_blob(tmp_path / "scan.h5", protocol, xml=protocol.xml().replace("<z>1</z>", "<z>5</z>"))

    def encode_partitions(head):
        head["idx"]["kspace_encode_step_2"] = head["idx"]["kspace_encode_step_1"] % 5

    edit_heads(path, encode_partitions)
    with pytest.raises(FormatError, match="5 slabs"):
        read_ismrmrd(path)


def test_partitions_without_a_place_in_the_matrix_are_refused(good):
    edit_heads(good, lambda head: head["idx"]["kspace_encode_step_2"].__setitem__(slice(None), 1))
    with pytest.raises(FormatError, match="kspace_encode_step_2 runs from 1 to 1"):
        read_ismrmrd(good)


def test_samples_beyond_the_matrix_are_left_out_with_a_note(tmp_path):
    """A line as long as the matrix whose centre comes late: its first samples lie below the lowest k of the grid."""
    point = in_slice(BASE, 2, 3.0, 6.0)
    path = write_blob(tmp_path / "scan.h5", replace(BASE, point=point))
    edit_heads(path, lambda head: head["center_sample"].__setitem__(slice(None), 18))
    scan = read_ismrmrd(path)
    assert any(note.startswith("200 samples lie beyond") for note in scan.notes)
    assert not scan.read(2)[..., -2:].any()
    assert tuple(scan.mask.shape) == (1, 1, 32)
    assert not scan.mask[..., -2:].any()
    protocol = replace(BASE, point=point)
    expected = np.stack([protocol.line(2, ky) for ky in range(protocol.ny)], axis=1)[..., 2:]
    np.testing.assert_array_equal(scan.read(2)[..., :-2].numpy(), expected)


def test_a_cartesian_scan_with_a_trajectory_is_read_by_its_counters(tmp_path, good):
    path = tmp_path / "trajectory.h5"
    with ismrmrd.Dataset(str(good), mode="r") as old, ismrmrd.Dataset(str(path), mode="w") as new:
        new.write_xml_header(old.read_xml_header())
        for i in range(old.number_of_acquisitions()):
            line = old.read_acquisition(i)
            copy = ismrmrd.Acquisition.from_array(line.data, trajectory=np.zeros((32, 2), np.float32))
            copy.idx, copy.center_sample, copy.position = line.idx, line.center_sample, line.position
            copy.read_dir, copy.phase_dir, copy.slice_dir = line.read_dir, line.phase_dir, line.slice_dir
            new.append_acquisition(copy)
    scan = read_ismrmrd(path)
    assert torch.equal(scan.read(2), read_ismrmrd(good).read(2))
    assert any("carry a trajectory" in note for note in scan.notes)


@pytest.mark.parametrize("trajectory", ["radial", "spiral", "goldenangle", "other", "epi"])
def test_other_trajectories_are_refused(tmp_path, trajectory):
    protocol = replace(BASE, point=BASE.middle)
    path = write_blob(tmp_path / "scan.h5", protocol, xml=protocol.xml(trajectory=trajectory))
    words = "EPI is not supported" if trajectory == "epi" else "non-Cartesian data are not supported yet"
    with pytest.raises(FormatError, match=words):
        read_ismrmrd(path)


def test_one_test_header_is_valid_for_the_schema_of_the_format():
    assert xsd.CreateFromDocument(BASE.xml().encode()).encoding[0].encodedSpace.matrixSize.x == 32


def test_flags_are_those_of_the_format():
    for name, number in ismrmrd_index.FLAGS.items():
        assert flag_number(name) == number, name


# --- damaged and contradictory files ---------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path):
    return write_blob(tmp_path / "scan.h5", replace(BASE, point=BASE.middle))


def test_missing_empty_foreign_and_truncated_files(good):
    assert_damaged_files_are_refused(read_ismrmrd, good)


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("dataset/xml", None, "missing"),
        ("dataset/data", None, "missing"),
        ("dataset/data", np.zeros((3, 4), np.complex64), "not MRD acquisitions"),
        ("dataset/data", np.zeros(0, ismrmrd.hdf5.acquisition_dtype), "no acquisitions"),
        ("dataset/xml", b"", "empty"),
        ("dataset/xml", b"<ismrmrdHeader><encoding>", "not well-formed"),
        ("dataset/xml", b"<html/>", "expected the element ismrmrdHeader"),
        ("dataset/xml", b"<ismrmrdHeader/>", "no `encoding`"),
        ("dataset/xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><ismrmrdHeader/>", "document type"),
    ],
)
def test_missing_or_wrong_data_sets(good, key, content, words):
    with h5py.File(good, "r+") as file:
        del file[key]
        if isinstance(content, bytes):
            file.create_dataset(key, (1,), dtype=h5py.special_dtype(vlen=bytes))[0] = content
        elif content is not None:
            file[key] = content
    with pytest.raises(FormatError, match=words) as caught:
        read_ismrmrd(good)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<y>20</y>", "<y>16</y>", "does not fit into the encoded matrix of 16"),
        ("<x>80.0</x>", "<x>0</x>", "encodedSpace.fieldOfView_mm.x` must be positive"),
        ("<x>80.0</x>", "<x>wide</x>", "must be a finite number"),
        ("<x>80.0</x>", "", "encodedSpace.fieldOfView_mm.x` must be a finite number"),
        ("<center>10</center>", "<center>3</center>", "does not fit"),
    ],
)
def test_headers_that_contradict_the_data(tmp_path, old, new, words):
    protocol = replace(BASE, point=BASE.middle)
    xml = protocol.xml().replace(old, new)
    assert xml != protocol.xml()
    path = write_blob(tmp_path / "scan.h5", protocol, xml=xml)
    with pytest.raises(FormatError, match=words) as caught:
        read_ismrmrd(path)
    assert caught.value.key == "dataset/xml"


def all_noise(head):
    head["flags"] |= np.uint64(1 << 18)


def no_coils(head):
    head["active_channels"] = 0


def mixed_coils(head):
    head["active_channels"][7] = 2


def other_encoding(head):
    head["encoding_space_ref"] = 4


def two_encodings(head):
    head["encoding_space_ref"][7] = 1


def compressed(head):
    head["flags"] |= np.uint64(1 << 53)


def discard_all(head):
    head["discard_pre"] = 32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (all_noise, "none of the 100 acquisitions is for imaging"),
        (no_coils, "same number of channels, at least one"),
        (mixed_coils, "same number of channels"),
        (other_encoding, "refer to encoding 4"),
        (two_encodings, "several encodings"),
        (compressed, "compressed"),
        (discard_all, "no sample of acquisition 0 lies on the encoded grid"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_line_headers_that_make_no_sense(good, change, words):
    edit_heads(good, change)
    with pytest.raises(FormatError, match=words):
        read_ismrmrd(good)


def test_lines_shorter_than_their_header_says(good):
    edit_heads(good, lambda head: head["active_channels"].__setitem__(slice(None), 2))
    scan = read_ismrmrd(good)
    with pytest.raises(FormatError, match="acquisition 0 must hold 2 x 2 channels x 32 samples"):
        scan.read(0)


def test_samples_that_are_not_finite_are_named_by_plane(tmp_path):
    path = write_blob(tmp_path / "scan.h5", replace(BASE, point=BASE.middle, order=(0, 2, 4, 1, 3)))
    with h5py.File(path, "r+") as file:
        record = file["dataset/data"][1]  # slice counter 1, the third slice in space
        record["data"][5] = np.nan
        file["dataset/data"][1] = record
    scan = read_ismrmrd(path)
    assert torch.isfinite(torch.view_as_real(scan.read(1))).all()
    with pytest.raises(FormatError, match="plane 2 holds samples that are NaN") as caught:
        scan.read(2)
    assert caught.value.key == "dataset/data"


def test_noise_that_is_not_finite(tmp_path):
    extra = [acquisition_of(np.full((3, 16), np.inf), flags=("NOISE_MEASUREMENT",))]
    path = write_blob(tmp_path / "scan.h5", replace(BASE, point=BASE.middle), extra=extra)
    with pytest.raises(FormatError, match="noise scan holds"):
        read_ismrmrd(path)


def test_an_incomplete_slice_is_refused(good):
    with h5py.File(good, "r+") as file:
        file["dataset/data"].resize(97, axis=0)
    with pytest.raises(FormatError, match="must be sampled alike, but 3 of 5 differ"):
        read_ismrmrd(good)


# --- lazy reading ----------------------------------------------------------------------------------------------------


def test_reading_is_lazy_and_the_scan_can_be_sent_to_other_processes(good):
    scan = read_ismrmrd(good)
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else None
    copy = pickle.loads(pickle.dumps(scan))
    for i in range(scan.n_planes):
        assert torch.equal(scan.read(i), copy.read(i))
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == len(before), "no file stays open"
    good.unlink()
    with pytest.raises(FormatError, match="no such file"):
        scan.read(0)


@pytest.mark.parametrize("options", [{"chunks": (7,)}, {"chunks": (1,)}, {"chunks": (16,), "compression": "gzip"}, {}])
def test_the_index_does_not_depend_on_how_the_file_is_stored(tmp_path, good, options):
    with h5py.File(good, "r") as old, h5py.File(tmp_path / "copy.h5", "w") as new:
        records = old["dataset/data"][:]
        new.create_dataset("dataset/data", data=records, dtype=old["dataset/data"].dtype, **options)
        old.copy("dataset/xml", new["dataset"])
        expected = np.array(records["head"].tolist(), dtype=records["head"].dtype)
    with h5py.File(tmp_path / "copy.h5", "r") as file:
        lines = ismrmrd_index.index_lines(file, tmp_path)
    for name in ("flags", "number_of_samples", "position", "phase_dir", "sample_time_us", "center_sample"):
        np.testing.assert_array_equal(lines[name], expected[name])
    np.testing.assert_array_equal(lines["slice"], expected["idx"]["slice"])
    assert torch.equal(read_ismrmrd(tmp_path / "copy.h5").read(2), read_ismrmrd(good).read(2))
