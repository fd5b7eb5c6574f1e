"""Writing MRD: read back with our reader and with the `ismrmrd` package, which shares no code with the writer."""

import warnings
from dataclasses import replace
from importlib.util import find_spec

import ismrmrd
import numpy as np
import pytest
import torch
from ismrmrd import xsd

from mrirecon.errors import ConfigError, OutputError, ShapeError
from mrirecon.io.ismrmrd.reader import read_ismrmrd, write_ismrmrd
from mrirecon.scan import Encoding, Geometry, Protocol
from tests.io.writers_for_tests import OBLIQUE_NORMAL, OBLIQUE_PHASE, OBLIQUE_READ, flag_number
from tests.torchvision_shim import ensure_torchvision

ENCODING = Encoding((1, 9, 12), (1, 9, 6), (4.0, 27.0, 48.0), (4.0, 27.0, 24.0))
PROTOCOL = Protocol(
    echo_time_ms=12.5,
    repetition_time_ms=500.0,
    flip_angle_deg=70.0,
    field_strength_t=3.0,
    imaging_frequency_mhz=123.25,
    pixel_bandwidth_hz=250.0,
    manufacturer="Anonymous & Söhne",
    model="One",
    protocol_name="t1 <axial>",
    sequence_name="se",
    body_part="BRAIN",
    patient_position="HFS",
)


def geometry(n_planes, *, through=OBLIQUE_NORMAL, step=5.0, nominal=False):
    make = Geometry.from_centre(
        (10.0, -20.0, 30.0),
        OBLIQUE_READ,
        OBLIQUE_PHASE,
        through,
        shape=(n_planes, 9, 12),
        voxel_size_mm=(step, 3.0, 4.0),
        slice_thickness_mm=4.0,
        nominal=nominal,
        frame_of_reference_uid=None if nominal else "1.2.840.5",
    )
    return make


def data(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("n_slices", [1, 4, 5])
def test_slices_come_back_as_they_were(tmp_path, n_slices, interleaved):
    kspace, where = data(n_slices, 3, 9, 12), geometry(n_slices)
    if n_slices == 1:
        where = geometry(1, step=4.0)
    path = write_ismrmrd(
        tmp_path / "a.h5", kspace, encoding=ENCODING, geometry=where, protocol=PROTOCOL, interleaved=interleaved
    )
    scan = read_ismrmrd(path)
    assert torch.equal(torch.stack([scan.read(i) for i in range(n_slices)]), kspace)
    np.testing.assert_allclose(scan.geometry.affine, where.affine, atol=1e-4)
    assert scan.geometry.slice_thickness_mm == pytest.approx(4.0)
    assert scan.geometry.frame_of_reference_uid == "1.2.840.5"
    assert scan.encoding == ENCODING
    assert scan.protocol.pixel_bandwidth_hz == pytest.approx(250.0)
    assert scan.protocol == replace(PROTOCOL, pixel_bandwidth_hz=scan.protocol.pixel_bandwidth_hz)
    assert scan.notes == ()
    assert not scan.simulated


@pytest.mark.parametrize("handedness", [1, -1])
def test_three_dimensional_scans_come_back_with_their_pattern(tmp_path, handedness):
    encoding = Encoding((6, 9, 12), (6, 9, 12), (12.0, 27.0, 48.0), (12.0, 27.0, 48.0))
    where = geometry(6, through=handedness * OBLIQUE_NORMAL, step=2.0)
    where = Geometry(where.affine, 2.0, False, where.frame_of_reference_uid)
    mask = torch.rand(6, 9, 1, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[3, 4] = True
    kspace = data(6, 2, 9, 12) * mask[:, None]
    protocol = Protocol(dimensionality="3D")
    path = write_ismrmrd(
        tmp_path / "a.h5", kspace, encoding=encoding, geometry=where, protocol=protocol, mask=mask, simulated=True
    )
    scan = read_ismrmrd(path)
    assert scan.is_3d
    assert torch.equal(scan.mask, mask)
    assert torch.equal(torch.stack([scan.read(i) for i in range(6)]), kspace)
    np.testing.assert_allclose(scan.geometry.affine, where.affine, atol=1e-4)
    assert scan.simulated
    assert scan.details["acquisitions"] == int(mask.sum())


def test_averages_noise_and_partial_sampling(tmp_path):
    mask = torch.zeros(1, 9, 12, dtype=torch.bool)
    mask[:, [0, 2, 4, 5, 8], 3:] = True
    kspace, noise = data(2, 3, 2, 9, 12) * mask[0], data(2, 1300, seed=4)
    path = write_ismrmrd(
        tmp_path / "a.h5",
        kspace,
        encoding=ENCODING,
        geometry=geometry(3),
        protocol=PROTOCOL,
        mask=mask,
        noise=noise,
        noise_bandwidth_ratio=1.6,
    )
    scan = read_ismrmrd(path)
    torch.testing.assert_close(torch.stack([scan.read(i) for i in range(3)]), kspace.mean(0))
    assert torch.equal(scan.noise, noise)
    assert scan.noise_bandwidth_ratio == pytest.approx(1.6 / 2)
    assert scan.protocol.n_averages == 2
    assert torch.equal(scan.mask, mask)
    assert scan.encoding.partial_fourier == (1.0, 1.0, 0.75)


def test_the_package_of_the_format_reads_header_flags_and_directions(tmp_path):
    kspace = data(3, 2, 9, 12)
    path = write_ismrmrd(
        tmp_path / "a.h5", kspace, encoding=ENCODING, geometry=geometry(3), protocol=PROTOCOL, noise=data(2, 40)
    )
    with ismrmrd.Dataset(str(path), mode="r") as file, warnings.catch_warnings():
        warnings.simplefilter("error")  # values that the schema does not allow
        header = xsd.CreateFromDocument(file.read_xml_header())
        lines = [file.read_acquisition(i) for i in range(file.number_of_acquisitions())]
    assert header.acquisitionSystemInformation.systemVendor == "Anonymous & Söhne"
    assert header.measurementInformation.protocolName == "t1 <axial>"
    assert header.encoding[0].reconSpace.matrixSize.x == 6
    assert header.encoding[0].encodedSpace.fieldOfView_mm.y == 27.0
    assert header.encoding[0].encodingLimits.kspace_encoding_step_1.center == 4
    assert header.experimentalConditions.H1resonanceFrequency_Hz == 123250000
    assert [line.scan_counter for line in lines] == list(range(1, 29))
    assert lines[0].is_flag_set(flag_number("NOISE_MEASUREMENT"))
    imaging = lines[1:]
    assert [line.idx.slice for line in imaging[:6]] == [0, 1, 2, 0, 1, 2]
    spatial = [0, 2, 1]  # interleaved order
    for i, line in enumerate(imaging):
        k, ky = spatial[i % 3], i // 3
        assert line.idx.kspace_encode_step_1 == ky
        np.testing.assert_array_equal(line.data, kspace[k, :, ky].numpy())
        np.testing.assert_allclose(line.position, geometry(3).position((k, 4, 6)), atol=1e-4)
        np.testing.assert_allclose(line.read_dir, OBLIQUE_READ, atol=1e-6)
        np.testing.assert_allclose(line.phase_dir, OBLIQUE_PHASE, atol=1e-6)
        np.testing.assert_allclose(line.slice_dir, OBLIQUE_NORMAL, atol=1e-6)
        assert line.center_sample == 6
        assert line.sample_time_us == pytest.approx(1e6 / (250 * 12))
        assert line.channel_mask[0] == 0b11
        assert line.is_flag_set(flag_number("FIRST_IN_SLICE")) == (ky == 0)
        assert line.is_flag_set(flag_number("LAST_IN_SLICE")) == (ky == 8)
        assert line.is_flag_set(flag_number("LAST_IN_MEASUREMENT")) == (i == 26)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("vendor", "conjugate"), [("Siemens", True), ("GE", False)])
def test_another_reader_finds_the_same_samples_and_positions(tmp_path, vendor, conjugate):
    """mrpro takes the conjugate of Siemens data, keeps slices in the order of their counters, and uses metres."""
    if find_spec("mrpro") is None:
        pytest.skip("the mrpro package is not installed")
    ensure_torchvision()
    mrpro = pytest.importorskip("mrpro")
    kspace, where = data(4, 3, 9, 12), geometry(4)
    protocol = replace(PROTOCOL, manufacturer=vendor)
    path = write_ismrmrd(tmp_path / "a.h5", kspace, encoding=ENCODING, geometry=where, protocol=protocol)
    trajectory = mrpro.data.traj_calculators.KTrajectoryCartesian()
    theirs = mrpro.data.KData.from_file(str(path), trajectory)
    order = [0, 2, 1, 3]
    scan = read_ismrmrd(path, conjugate=conjugate)
    assert torch.equal(theirs.data[:, :, 0], torch.stack([scan.read(k) for k in order]))
    assert theirs.traj.ky.flatten().tolist() == list(range(-4, 5))
    assert theirs.traj.kx.flatten().tolist() == list(range(-6, 6))
    position = theirs.header.acq_info.position
    found = np.stack([np.broadcast_to(getattr(position, a).flatten().numpy(), 4) for a in "xyz"], axis=1)
    np.testing.assert_allclose(1e3 * found, [where.position((k, 4, 6)) for k in order], atol=1e-4)
    axes = theirs.header.acq_info.orientation.as_matrix().flatten().reshape(3, 3).numpy()[::-1, ::-1]  # from z, y, x
    np.testing.assert_allclose(axes, np.stack([OBLIQUE_READ, OBLIQUE_PHASE, OBLIQUE_NORMAL], axis=1), atol=1e-6)


def test_a_nominal_geometry_is_not_written_as_a_real_one(tmp_path):
    where = Geometry.placeholder(shape=(4, 9, 12), voxel_size_mm=(4.0, 3.0, 4.0), slice_thickness_mm=4.0)
    kspace = data(4, 2, 9, 12)
    path = write_ismrmrd(tmp_path / "a.h5", kspace, encoding=ENCODING, geometry=where, protocol=PROTOCOL)
    scan = read_ismrmrd(path)
    assert scan.geometry.nominal
    assert torch.equal(torch.stack([scan.read(i) for i in range(4)]), kspace)
    with ismrmrd.Dataset(str(path), mode="r") as file:
        assert not any(file.read_acquisition(0).read_dir)


def test_existing_files_are_kept_unless_asked(tmp_path):
    arguments = {"encoding": ENCODING, "geometry": geometry(1, step=4.0), "protocol": PROTOCOL}
    path = write_ismrmrd(tmp_path / "a.h5", data(1, 2, 9, 12), **arguments)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_ismrmrd(path, data(1, 2, 9, 12, seed=1), **arguments)
    assert path.read_bytes() == before
    write_ismrmrd(path, data(1, 2, 9, 12, seed=1), overwrite=True, **arguments)
    assert torch.equal(read_ismrmrd(path).read(0), data(1, 2, 9, 12, seed=1)[0])


GAPS = torch.zeros(1, 1, 12, dtype=torch.bool)
GAPS[..., ::2] = True
LATE = torch.zeros(1, 1, 12, dtype=torch.bool)
LATE[..., 8:] = True


@pytest.mark.parametrize(
    ("error", "words", "change"),
    [
        (ShapeError, "ky=9, kx=12", {"kspace": data(1, 2, 9, 10)}),
        (ShapeError, "must be complex", {"kspace": torch.zeros(1, 2, 9, 12)}),
        (ShapeError, "finite", {"kspace": data(1, 2, 9, 12) / 0}),
        (ShapeError, "broadcast", {"mask": torch.ones(2, 9, 12, dtype=torch.bool)}),
        (ShapeError, "bool", {"mask": torch.ones(1, 9, 12)}),
        (ShapeError, "no sample", {"mask": torch.zeros(1, 9, 1, dtype=torch.bool)}),
        (ShapeError, "contiguous", {"mask": GAPS}),
        (ShapeError, "begin at or before", {"mask": LATE}),
        (ShapeError, r"coil=2, n", {"noise": data(3, 20)}),
        (ShapeError, "readout axis", {"encoding": Encoding(
            (1, 9, 12), (1, 9, 6), (4.0, 27.0, 48.0), (4.0, 27.0, 24.0), readout_axis="y")}),
        (ConfigError, "patient_position", {"protocol": Protocol(patient_position="standing")}),
        (ConfigError, "pixel_bandwidth_hz", {"protocol": Protocol(), "noise": data(2, 9), "noise_bandwidth_ratio": 2}),
    ],
    ids=lambda v: v.replace(" ", "_") if isinstance(v, str) else "",
)  # fmt: skip
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, error, words, change):
    arguments = {
        "kspace": data(1, 2, 9, 12), "encoding": ENCODING, "geometry": geometry(1, step=4.0), "protocol": PROTOCOL
    }  # fmt: skip
    arguments |= change
    with pytest.raises(error, match=words):
        write_ismrmrd(tmp_path / "a.h5", arguments.pop("kspace"), **arguments)
    assert list(tmp_path.iterdir()) == []
