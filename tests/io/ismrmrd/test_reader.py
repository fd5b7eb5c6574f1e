"""Reading MRD: landmarks at known positions, everything that scanners do to lines."""

from dataclasses import replace

import ismrmrd
import numpy as np
import pytest
import torch

from mrirecon.errors import ConfigError
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from tests.io.writers_for_tests import (
    COIL_WEIGHTS,
    OBLIQUE_NORMAL,
    OBLIQUE_PHASE,
    OBLIQUE_READ,
    Protocol2D,
    acquisition_of,
    brightest_point,
    edit_heads,
    gaussian_line,
    header_xml,
    images_of,
    in_slice,
    landmark_error_mm,
    write_blob,
)

BASE = Protocol2D(point=np.zeros(3))


VARIANTS = {
    "even": {},
    "odd lines": {"ny": 21},
    "odd readout": {"nx": 33, "oversampling": 1.0},
    "odd recon": {"nx": 42, "ny": 21},
    "oversampled 6": {"nx": 96, "fov": (240.0, 60.0), "oversampling": 6.0},
    "axial": {"read": np.array([1.0, 0, 0]), "phase": np.array([0, 1.0, 0]), "normal": np.array([0, 0, 1.0])},
    "sagittal": {"read": np.array([0, 0, -1.0]), "phase": np.array([0, 1.0, 0]), "normal": np.array([1.0, 0, 0])},
    "interleaved": {"order": (0, 2, 4, 1, 3)},
    "interleaved, even number": {"order": (1, 3, 0, 2), "n_slices": 4},
    "descending": {"order": (4, 3, 2, 1, 0)},
    "one slice": {"n_slices": 1},
    "partial Fourier": {"first_ky": 5},
    "asymmetric echo": {"first_kx": 8},
    "reflected lines": {"reverse": True},
    "discarded samples": {"discard": (3, 5), "reverse": True},
    "averages": {"averages": 3},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_landmark_is_found_where_it_was_put(tmp_path, name):
    protocol = replace(BASE, **VARIANTS[name])
    spatial = protocol.n_slices - 1 if protocol.n_slices < 3 else 1
    point = in_slice(protocol, spatial, 7.3, -11.9)
    path = write_blob(tmp_path / "scan.h5", replace(protocol, point=point))
    scan = read_ismrmrd(path)
    image = images_of(scan)
    assert int(image.max(axis=(1, 2)).argmax()) == spatial, "slices are in spatial order"
    assert landmark_error_mm(scan, point) < 0.01, "voxels are 2.5 x 3 x 6 mm"
    assert scan.geometry.voxel_size_mm == pytest.approx((6.0 if protocol.n_slices > 1 else 4.0, *_in_plane(protocol)))
    assert scan.geometry.slice_thickness_mm == 4.0
    assert not scan.geometry.nominal


def _in_plane(protocol):
    return protocol.fov[1] / protocol.ny, protocol.fov[0] / protocol.nx


@pytest.mark.parametrize("recon", [(32, 40), (33, 41), (21, 27)])
def test_the_landmark_survives_a_reconstructed_matrix_larger_than_the_encoded_one(tmp_path, recon):
    point = in_slice(BASE, 2, -8.2, 14.4)
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", replace(BASE, point=point, recon=recon)))
    assert scan.encoding.recon_matrix == (1, recon[1], recon[0])
    assert landmark_error_mm(scan, point, recon=True) < 0.01


def test_samples_are_delivered_exactly(tmp_path):
    """Against the lines that were written, not against our own transform."""
    point = in_slice(BASE, 2, 3.0, 2.0)
    protocol = replace(BASE, point=point, order=(2, 0, 4, 1, 3))
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol))
    for spatial in (0, 2, 4):
        expected = np.stack([protocol.line(spatial, ky) for ky in range(protocol.ny)], axis=1)
        np.testing.assert_array_equal(scan.read(spatial).numpy(), expected)
    assert scan.read(2).dtype == torch.complex64
    assert tuple(scan.mask.shape) == (1, 1, 1)
    assert bool(scan.mask.all())


def test_partial_fourier_and_asymmetric_echo_are_in_mask_and_fractions(tmp_path):
    protocol = replace(BASE, point=in_slice(BASE, 2, 0, 0), first_ky=5, first_kx=8)
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol))
    assert scan.encoding.partial_fourier == pytest.approx((1.0, 0.75, 0.75))
    assert tuple(scan.mask.shape) == (1, 20, 32)
    expected = np.zeros((20, 32), bool)
    expected[5:, 8:] = True
    np.testing.assert_array_equal(scan.mask[0].numpy(), expected)
    assert not scan.read(2)[:, ~scan.mask[0]].any()


def test_averages_are_their_mean_and_auxiliary_lines_stay_out(tmp_path):
    protocol = replace(BASE, point=in_slice(BASE, 2, 0, 0), n_slices=1)
    rng = np.random.default_rng(3)
    lines = rng.standard_normal((3, 20, 3, 32, 2)).astype(np.float32).view(np.complex64)[..., 0]
    where = {"directions": (protocol.read, protocol.phase, protocol.normal), "position": protocol.middle}
    with ismrmrd.Dataset(str(tmp_path / "scan.h5"), mode="w") as file:
        file.write_xml_header(protocol.xml().encode())
        for a in range(3):
            for ky in range(20):
                file.append_acquisition(acquisition_of(lines[a, ky], kspace_encode_step_1=ky, average=a, **where))
        junk = np.full((3, 32), 1e6, np.complex64)
        kinds = (
            "NAVIGATION_DATA", "PHASECORR_DATA", "DUMMYSCAN_DATA", "RTFEEDBACK_DATA", "HPFEEDBACK_DATA",
            "SURFACECOILCORRECTIONSCAN_DATA", "PHASE_STABILIZATION", "PHASE_STABILIZATION_REFERENCE",
            "PARALLEL_CALIBRATION",
        )  # fmt: skip
        for kind in kinds:
            file.append_acquisition(acquisition_of(junk, kspace_encode_step_1=10, flags=(kind,), **where))
    scan = read_ismrmrd(tmp_path / "scan.h5")
    expected = lines.astype(np.complex128).mean(axis=0).transpose(1, 0, 2)
    np.testing.assert_allclose(scan.read(0).numpy(), expected, rtol=1e-6, atol=1e-6)
    assert scan.protocol.n_averages == 3
    assert scan.details["flags"]["PHASECORR_DATA"] == 1
    assert any("calibration only" in note for note in scan.notes)
    assert any("NAVIGATION_DATA" in note for note in scan.notes)


def test_lines_for_calibration_and_imaging_are_imaging(tmp_path):
    protocol = replace(BASE, n_slices=1, point=BASE.middle)
    with ismrmrd.Dataset(str(tmp_path / "scan.h5"), mode="w") as file:
        file.write_xml_header(protocol.xml().encode())
        for ky in [*range(0, 20, 2), 9, 11]:
            flags = ("PARALLEL_CALIBRATION_AND_IMAGING",) if 8 <= ky <= 12 else ()
            if ky == 11:
                flags += ("PARALLEL_CALIBRATION",)
            directions = (protocol.read, protocol.phase, protocol.normal)
            file.append_acquisition(
                acquisition_of(protocol.line(0, ky), kspace_encode_step_1=ky, directions=directions, flags=flags)
            )
    scan = read_ismrmrd(tmp_path / "scan.h5")
    assert np.flatnonzero(scan.mask[0, :, 0].numpy()).tolist() == sorted([*range(0, 20, 2), 9, 11])
    assert tuple(scan.mask.shape) == (1, 20, 1)
    assert scan.encoding.partial_fourier == (1.0, 1.0, 1.0)


def test_noise_scan_and_its_bandwidth(tmp_path):
    """The variance of receiver noise goes with the bandwidth, the inverse of the dwell time; averages divide it."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 3, 100, 2)).astype(np.float32).view(np.complex64)[..., 0]
    extra = [acquisition_of(n, flags=("NOISE_MEASUREMENT",), dwell=10.0) for n in noise]
    system = (
        "<acquisitionSystemInformation><relativeReceiverNoiseBandwidth>0.8</relativeReceiverNoiseBandwidth>"
        "</acquisitionSystemInformation>"
    )
    protocol = replace(BASE, point=BASE.middle, averages=2)
    path = write_blob(tmp_path / "scan.h5", protocol, extra=extra, xml=protocol.xml(before=system))
    scan = read_ismrmrd(path)
    np.testing.assert_array_equal(scan.noise.numpy(), noise.transpose(1, 0, 2).reshape(3, 200))
    assert scan.noise_bandwidth_ratio == pytest.approx(10.0 / 5.0 / 0.8 / 2)
    assert scan.protocol.pixel_bandwidth_hz == pytest.approx(1e6 / (5.0 * 32))
    assert scan.details["noise_scan"]


def test_a_noise_scan_with_other_channels_is_not_used(tmp_path):
    extra = [acquisition_of(np.ones((2, 16)), flags=("NOISE_MEASUREMENT",))]
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", replace(BASE, point=BASE.middle), extra=extra))
    assert scan.noise is None
    assert any("2 channels" in note for note in scan.notes)


@pytest.mark.parametrize("shape", [(14, 12, 16), (13, 11, 15)])
@pytest.mark.parametrize("handedness", [1, -1])
def test_a_landmark_in_three_dimensions(tmp_path, shape, handedness):
    nz, ny, nx = shape
    voxel = np.array([5.0, 4.0, 6.0])  # x, y, z
    fov = voxel * (nx, ny, nz)
    centre = np.array([-14.0, 9.0, 40.0])
    through = handedness * OBLIQUE_NORMAL
    point = centre + 6.1 * OBLIQUE_READ - 8.3 * OBLIQUE_PHASE + 4.4 * through
    xml = header_xml((nx, ny, nz), fov, (nx, ny, nz), fov)
    with ismrmrd.Dataset(str(tmp_path / "scan.h5"), mode="w") as file:
        file.write_xml_header(xml.encode())
        for kz in range(nz):
            for ky in range(ny):
                k = [(i - n // 2) / f for i, n, f in zip((np.arange(nx), ky, kz), (nx, ny, nz), fov, strict=True)]
                data = np.outer(COIL_WEIGHTS, gaussian_line(*k, (6.1, -8.3, 4.4), 7.0))
                file.append_acquisition(
                    acquisition_of(
                        data,
                        kspace_encode_step_1=ky,
                        kspace_encode_step_2=kz,
                        position=centre,
                        directions=(OBLIQUE_READ, OBLIQUE_PHASE, through),
                    )
                )
    scan = read_ismrmrd(tmp_path / "scan.h5")
    assert scan.is_3d
    assert scan.n_planes == nz
    assert scan.geometry.voxel_size_mm == pytest.approx((6.0, 4.0, 5.0))
    assert landmark_error_mm(scan, point) < 0.01


@pytest.mark.parametrize(
    ("header_fov", "announced"), [(40.0, "base"), (80.0, "oversampled")], ids=["fov without", "fov with"]
)
def test_samples_oversampled_although_the_header_says_otherwise(tmp_path, header_fov, announced):
    """The header of a live stream: matrix 16, lines of 32 samples; the field of view may be either."""
    point = in_slice(BASE, 2, 9.0, -4.0)
    protocol = replace(BASE, point=point, header_nx=16, header_fov_x=header_fov)
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol))
    assert scan.encoding.encoded_matrix == (1, 20, 32)
    assert scan.encoding.encoded_fov_mm[2] == pytest.approx(80.0)
    assert scan.encoding.readout_size == 16
    assert landmark_error_mm(scan, point) < 0.01
    assert any("16 samples per line" in note for note in scan.notes)


def test_asymmetric_echo_in_an_oversampled_line_that_the_header_does_not_announce(tmp_path):
    point = in_slice(BASE, 2, 9.0, -4.0)
    protocol = replace(BASE, point=point, header_nx=16, header_fov_x=40.0, first_kx=6)
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol))
    assert scan.encoding.encoded_matrix == (1, 20, 32)
    assert landmark_error_mm(scan, point) < 0.01


def test_oversampling_removed_from_the_data_but_not_from_the_header(tmp_path):
    point = in_slice(BASE, 2, 9.0, -4.0)
    protocol = replace(BASE, point=point, nx=16, fov=(40.0, 60.0), oversampling=1.0, header_nx=32, header_fov_x=80.0)
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol))
    assert scan.encoding.encoded_matrix == (1, 20, 16)
    assert scan.encoding.oversampling == pytest.approx(1.0)
    assert landmark_error_mm(scan, point) < 0.01
    assert any("removed before" in note for note in scan.notes)


def test_conjugate_mirrors_the_image_about_the_central_voxel(tmp_path):
    point = in_slice(BASE, 2, 10.0, -12.0)
    vendor = "<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor></acquisitionSystemInformation>"
    protocol = replace(BASE, point=point)
    path = write_blob(tmp_path / "scan.h5", protocol, xml=protocol.xml(before=vendor))
    plain, mirrored = read_ismrmrd(path), read_ismrmrd(path, conjugate=True)
    a, b = brightest_point(images_of(plain)), brightest_point(images_of(mirrored))
    np.testing.assert_allclose(a[1:] + b[1:], [2 * (20 // 2), 2 * (32 // 2)], atol=0.05)
    assert any("conjugate=True" in note for note in plain.notes)
    assert mirrored.details["fourier_sign"] == "conjugated"
    assert plain.protocol.manufacturer == "SIEMENS"


def test_contrasts_and_repetitions_are_selected(tmp_path):
    protocol = replace(BASE, n_slices=1, point=BASE.middle)
    sequence = "<sequenceParameters><TR>500</TR><TE>5</TE><TE>12.5</TE><TI>0</TI></sequenceParameters>"
    with ismrmrd.Dataset(str(tmp_path / "scan.h5"), mode="w") as file:
        file.write_xml_header(protocol.xml(after=sequence).encode())
        for contrast in range(2):
            for repetition in range(3):
                for ky in range(20):
                    data = np.full((3, 32), 10 * contrast + repetition + 1, np.complex64)
                    directions = (protocol.read, protocol.phase, protocol.normal)
                    counters = {"kspace_encode_step_1": ky, "contrast": contrast, "repetition": repetition}
                    file.append_acquisition(acquisition_of(data, directions=directions, **counters))
    scan = read_ismrmrd(tmp_path / "scan.h5", contrast=1, repetition=2)
    assert torch.equal(scan.read(0), torch.full((3, 20, 32), 13, dtype=torch.complex64))
    assert scan.protocol.echo_time_ms == 12.5
    assert scan.protocol.repetition_time_ms == 500
    assert scan.protocol.inversion_time_ms is None
    assert scan.details["counters"]["contrast"] == 2
    assert scan.details["counters"]["repetition"] == 3
    with pytest.raises(ConfigError, match=r"contrast.*2 is not in the file, which has 0, 1"):
        read_ismrmrd(tmp_path / "scan.h5", contrast=2)


def test_header_fields_and_identifiers_without_their_values(tmp_path):
    before = (
        "<subjectInformation><patientName>CANARYNAME</patientName><patientID>CANARYID</patientID>"
        "<patientBirthdate>1901-02-03</patientBirthdate></subjectInformation><studyInformation>"
        "<accessionNumber>ABC-17</accessionNumber><referringPhysicianName> </referringPhysicianName>"
        "<studyInstanceUID>1.2.840.99</studyInstanceUID><bodyPartExamined>KNEE</bodyPartExamined></studyInformation>"
        "<measurementInformation><patientPosition>HFS</patientPosition><protocolName>t2_tse</protocolName>"
        "<frameOfReferenceUID>1.2.840.77</frameOfReferenceUID></measurementInformation>"
        "<acquisitionSystemInformation><systemVendor>ACME</systemVendor><systemModel>One</systemModel>"
        "<systemFieldStrength_T>2.89362</systemFieldStrength_T><institutionName>CANARYHOSP</institutionName>"
        "</acquisitionSystemInformation>"
    )
    after = "<sequenceParameters><flipAngle_deg>150</flipAngle_deg><sequence_type>TurboSpinEcho</sequence_type>"
    after += "<notInTheSchema>1</notInTheSchema></sequenceParameters>"
    protocol = replace(BASE, point=BASE.middle)
    path = write_blob(tmp_path / "scan.h5", protocol, xml=protocol.xml(before=before, after=after))
    scan = read_ismrmrd(path)
    p = scan.protocol
    assert (p.manufacturer, p.model, p.field_strength_t) == ("ACME", "One", 2.89362)
    assert (p.protocol_name, p.sequence_name, p.patient_position) == ("t2_tse", "TurboSpinEcho", "HFS")
    assert (p.body_part, p.flip_angle_deg, p.imaging_frequency_mhz) == ("KNEE", 150.0, 123.2)
    assert p.phase_encoding_axis == "y"
    assert scan.geometry.frame_of_reference_uid == "1.2.840.77"
    assert scan.subject.study_instance_uid == "1.2.840.99"
    names = set(scan.subject.identifiers_present)
    assert {"subjectInformation.patientName", "subjectInformation.patientBirthdate"} <= names
    assert {"studyInformation.accessionNumber", "acquisitionSystemInformation.institutionName"} <= names
    assert "studyInformation.referringPhysicianName" not in names
    for secret in ("CANARY", "1901", "ABC-17"):
        assert secret not in repr(scan)


def test_directions_that_are_all_zero_give_a_nominal_geometry(tmp_path):
    zero = np.zeros(3)
    protocol = replace(BASE, point=zero, middle=zero, read=zero, phase=zero, normal=zero)
    scan = read_ismrmrd(write_blob(tmp_path / "scan.h5", protocol))
    assert scan.geometry.nominal
    assert scan.geometry.voxel_size_mm == pytest.approx((4.0, 3.0, 2.5))
    assert scan.geometry.frame_of_reference_uid is None
    assert any("nominal" in note for note in scan.notes)


def test_headers_that_leave_out_centres_are_read_with_a_note(tmp_path):
    point = in_slice(BASE, 2, 3.0, 6.0)
    protocol = replace(BASE, point=point)
    for name, xml in {
        "none": protocol.xml(limits=False),
        "zero": protocol.xml().replace("<center>10</center>", "<center>0</center>"),
    }.items():
        scan = read_ismrmrd(write_blob(tmp_path / f"{name}.h5", protocol, xml=xml))
        assert landmark_error_mm(scan, point) < 0.01
        assert any("kspace_encode_step_1" in note for note in scan.notes)


def test_center_sample_left_out_is_the_middle(tmp_path):
    point = in_slice(BASE, 2, 3.0, 6.0)
    path = write_blob(tmp_path / "scan.h5", replace(BASE, point=point))
    edit_heads(path, lambda head: head["center_sample"].__setitem__(slice(None), 0))
    scan = read_ismrmrd(path)
    assert landmark_error_mm(scan, point) < 0.01
    assert any("center_sample" in note for note in scan.notes)
