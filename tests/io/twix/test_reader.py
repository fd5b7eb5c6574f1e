from dataclasses import replace

import numpy as np
import pytest
import torch
import twixtools
from scipy.spatial.transform import Rotation

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.twix.reader import read_twix
from mrirecon.linalg.fft import crop_or_pad, ifft
from mrirecon.mri.oversampling import remove_readout_oversampling
from tests.io.shared_data import shared
from tests.io.twix_phantom import (
    IDENTIFIERS,
    OVERSAMPLING,
    Line,
    header_text,
    protocol,
    siemens_kspace,
    write,
)

NY, NX = 20, 32
IDENTITY = (1.0, 0.0, 0.0, 0.0)


def random_kspace(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def simple_header(extra="", **options):
    return header_text(protocol(base=NX // 2, lines=NY, extra=extra, **options), dicom=OVERSAMPLING, meas=IDENTIFIERS)


def simple_lines(kspace, *, flags=(), first=0, **counters):
    """One line per row of (coil, ky, kx), centred."""
    n = kspace.shape[1]
    return [
        Line(kspace[:, i], {"Lin": first + i, **counters}, flags, kspace.shape[2] // 2, (first + n) // 2, time=4 * i)
        for i in range(n)
    ]


def written(tmp_path, lines, header=None, **options):
    return write(tmp_path / "meas.dat", [(header or simple_header(**options), lines)])


def test_lines_arrive_where_they_were_written(tmp_path):
    k = random_kspace(3, NY, NX)
    scan = read_twix(written(tmp_path, simple_lines(k)))
    assert scan.format == "twix"
    assert (scan.n_coils, scan.n_slices, scan.grid_shape) == (3, 1, (1, NY, NX))
    assert torch.equal(scan.read(0), torch.from_numpy(k).conj().resolve_conj())
    assert scan.encoding.oversampling == 2.0
    assert scan.encoding.recon_matrix == (1, 13, 16)  # 160 mm of phase field of view for 200 mm of readout
    assert scan.mask.all()
    assert scan.protocol.echo_time_ms == 5.0
    assert scan.protocol.repetition_time_ms == 500.0
    assert scan.protocol.flip_angle_deg == 30.0
    assert scan.protocol.pixel_bandwidth_hz == pytest.approx(1e9 / (5000 * NX))


def test_conjugation_is_optional_and_said(tmp_path):
    k = random_kspace(1, NY, NX)
    path = written(tmp_path, simple_lines(k))
    scan = read_twix(path, conjugate=False)
    assert torch.equal(scan.read(0), torch.from_numpy(k))
    assert any("not conjugated" in note for note in scan.notes)
    assert any("conjugated, because" in note for note in read_twix(path).notes)


@pytest.mark.parametrize("conjugate", [True, False])
@pytest.mark.parametrize("source", ["lines", "protocol"])
def test_landmark_of_an_oblique_interleaved_stack(tmp_path, conjugate, source):
    """A bright voxel at a known patient position is found there, whatever the sign convention."""
    normal, turn = np.array([0.3, -0.45, 0.0]), 0.35
    normal[2] = np.sqrt(1 - normal @ normal)
    phase = np.array([0.0, normal[2], -normal[1]]) / np.hypot(normal[1], normal[2])
    about = Rotation.from_rotvec(-turn * normal).as_matrix()
    phase, read = about @ phase, about @ np.cross(normal, phase)
    x, y, z, w = Rotation.from_matrix(np.stack([phase, read, normal], axis=1)).as_quat()
    step, dy, dx = 6.5, 160.0 / NY, 400.0 / NX
    centre = np.array([12.0, -30.0, 47.0])
    positions = [centre + s * step * normal for s in (1, -1, 2, 0)]  # as acquired
    ball = {"slice": 2, "y": 14, "x": 9}
    expected = positions[ball["slice"]] + (ball["y"] - NY // 2) * dy * phase + (ball["x"] - NX // 2) * dx * read
    lines = []
    for s, position in enumerate(positions):
        image = np.full((1, NY, NX), 0.01 + 0j)
        if s == ball["slice"]:
            image[0, ball["y"], ball["x"]] = 1
        for line in simple_lines(siemens_kspace(image, (1, 2)), Sli=s):
            quaternion = (w, x, y, z) if source == "lines" else (0, 0, 0, 0)
            lines.append(replace(line, position=position, quaternion=quaternion))
    planned = [(p, normal, turn) for p in positions]
    scan = read_twix(written(tmp_path, lines, slices=planned), conjugate=conjugate)
    volume = torch.stack([ifft(scan.read(i), (-2, -1)).abs()[0] for i in range(scan.n_slices)])
    index = np.unravel_index(int(volume.argmax()), tuple(volume.shape))
    assert np.abs(scan.geometry.position(index) - expected).max() < 1e-3
    assert scan.geometry.voxel_size_mm == pytest.approx((step, dy, dx), abs=1e-4)
    assert scan.geometry.slice_thickness_mm == 5.0
    assert not scan.geometry.nominal
    assert scan.details["slice_order"] == [1, 3, 0, 2]
    assert (np.diff([scan.geometry.position((k, 0, 0)) @ normal for k in range(4)]) > 0).all()


@pytest.mark.parametrize("conjugate", [True, False])
def test_landmark_of_a_slab(tmp_path, conjugate):
    nz, rotation = 6, Rotation.from_euler("xyz", [20, -10, 30], degrees=True)
    phase, read, normal = rotation.as_matrix().T
    x, y, z, w = rotation.as_quat()
    centre = np.array([5.0, 6.0, 7.0])
    image = np.zeros((1, nz, NY, NX), complex)
    image[0, 1, 15, 20] = 1
    k = siemens_kspace(image, (1, 2, 3))
    lines = [
        replace(line, centre_par=nz // 2, position=centre, quaternion=(w, x, y, z))
        for p in range(nz)
        for line in simple_lines(k[:, p], Par=p)
    ]
    header = header_text(
        protocol(
            base=NX // 2,
            lines=NY,
            partitions=nz,
            images=4,
            fov=(24.0, 160.0, 200.0),
            extra="sKSpace.dSliceOversamplingForDialog = 0.5",
        ),
        dicom=OVERSAMPLING,
    )
    scan = read_twix(written(tmp_path, lines, header), conjugate=conjugate)
    assert scan.is_3d
    assert (scan.n_slices, scan.n_planes) == (1, nz)
    assert scan.encoding.encoded_fov_mm == (36.0, 160.0, 400.0)
    assert scan.encoding.recon_matrix == (4, 13, 16)
    volume = ifft(torch.stack([scan.read(p) for p in range(nz)]), (0, -2, -1)).abs()[:, 0]
    index = np.unravel_index(int(volume.argmax()), tuple(volume.shape))
    expected = centre + (1 - nz // 2) * 6 * normal + (15 - NY // 2) * 8 * phase + (20 - NX // 2) * 12.5 * read
    assert np.abs(scan.geometry.position(index) - expected).max() < 1e-3


def test_averages_are_combined_and_lower_the_noise_ratio(tmp_path):
    k, noise = random_kspace(2, 3, NY, NX), random_kspace(2, 500, seed=1)
    lines = [Line(noise, flags=["NOISEADJSCAN"]), *simple_lines(k[:, 0]), *simple_lines(k[:, 1], Ave=1)]
    scan = read_twix(written(tmp_path, lines))
    mean = torch.from_numpy(k[:, :2].mean(1)).conj()
    assert torch.allclose(scan.read(0), mean, atol=1e-6)
    assert scan.protocol.n_averages == 2
    assert scan.noise_bandwidth_ratio == pytest.approx(0.5)
    assert torch.equal(scan.noise, torch.from_numpy(noise).conj().resolve_conj())


def test_noise_comes_from_an_earlier_measurement_with_its_dwell_time(tmp_path):
    k, noise = random_kspace(2, NY, NX), random_kspace(2, 300, seed=1)
    first = header_text(protocol(base=64, lines=1).replace("alDwellTime[0] = 5000", "alDwellTime[0] = 10000"))
    path = write(
        tmp_path / "raid.dat", [(first, [Line(noise, flags=["NOISEADJSCAN"])]), (simple_header(), simple_lines(k))]
    )
    scan = read_twix(path)
    assert scan.details["measurements"] == 2
    assert torch.equal(scan.read(0), torch.from_numpy(k).conj())
    assert scan.noise.shape == (2, 300)
    assert scan.noise_bandwidth_ratio == pytest.approx(2.0)


def test_noise_of_other_channels_is_left_out(tmp_path):
    noise = Line(random_kspace(3, 64), flags=["NOISEADJSCAN"])
    scan = read_twix(written(tmp_path, [noise, *simple_lines(random_kspace(2, NY, NX))]))
    assert scan.noise is None
    assert any("another number of channels" in note for note in scan.notes)


def test_partial_fourier_and_asymmetric_echo_are_placed_about_the_centre(tmp_path):
    full = random_kspace(1, NY, NX)
    start, column = 6, 5
    lines = [
        Line(full[:, i, column:], {"Lin": i - start}, (), NX // 2 - column, NY // 2 - start) for i in range(start, NY)
    ]
    scan = read_twix(written(tmp_path, lines))
    wanted = torch.from_numpy(full).conj().clone()
    wanted[:, :start] = 0
    wanted[:, :, :column] = 0
    assert torch.equal(scan.read(0), wanted)
    assert tuple(scan.mask.shape) == (1, NY, NX)
    assert torch.equal(scan.mask[0], wanted[0] != 0)
    assert scan.encoding.partial_fourier == pytest.approx((1, 14 / 20, 27 / 32))


def test_accelerated_lines_with_calibration_in_place(tmp_path):
    k = random_kspace(2, NY, NX)
    lines = simple_lines(k)
    kept = []
    for i, line in enumerate(lines):
        centre = 7 <= i < 13
        if i % 2 == 0:
            kept.append(replace(line, flags=["PATREFANDIMASCAN"] if centre else []))
        elif centre:
            kept.append(replace(line, flags=["PATREFSCAN"]))
    acquired = [i for i in range(NY) if i % 2 == 0 or 7 <= i < 13]
    in_place = read_twix(written(tmp_path, kept, extra="sPat.ucRefScanMode = 2"))
    assert torch.nonzero(in_place.mask.flatten()).flatten().tolist() == acquired
    assert torch.equal(in_place.read(0)[:, acquired], torch.from_numpy(k[:, acquired]).conj())
    separate = write(tmp_path / "extra.dat", [(simple_header("sPat.ucRefScanMode = 4"), kept)])
    scan = read_twix(separate)
    assert torch.nonzero(scan.mask.flatten()).flatten().tolist() == list(range(0, NY, 2))
    assert any("left out" in note for note in scan.notes)


def test_contrast_and_repetition_are_chosen(tmp_path):
    k = random_kspace(2, 2, 1, NY, NX)
    lines = [line for e in range(2) for r in range(2) for line in simple_lines(k[e, r], Eco=e, Rep=r)]
    path = written(tmp_path, lines)
    scan = read_twix(path, contrast=1, repetition=1)
    assert torch.equal(scan.read(0), torch.from_numpy(k[1, 1]).conj())
    assert scan.protocol.echo_time_ms == 7.5
    assert (scan.details["contrasts"], scan.details["repetitions"]) == (2, 2)
    with pytest.raises(ConfigError, match=r"repetition 2 .*\[0, 1\]"):
        read_twix(path, repetition=2)


def epi_lines(image, constant, slope):
    """Alternating readouts of `image` (coil, y, x), every second one backwards with a phase error; references first."""
    k = siemens_kspace(image, (1, 2))
    n = image.shape[-1]
    ramp = np.exp(1j * (constant + slope * (np.arange(n) - n // 2)))

    def backwards(line):  # the error acts in image space of the reader's inverse transform
        profile = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(line, axes=-1)), axes=-1) * ramp
        return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(profile, axes=-1)), axes=-1)[:, ::-1]

    centre = k[:, k.shape[1] // 2]
    common = {"centre_col": n // 2, "centre_lin": k.shape[1] // 2}
    lines = [
        Line(backwards(centre), {"Lin": k.shape[1] // 2, "Seg": 1}, ["PHASCOR", "RTFEEDBACK", "REFLECT"], **common),
        Line(centre, {"Lin": k.shape[1] // 2}, ["PHASCOR", "RTFEEDBACK"], **common),
    ]
    for i in range(k.shape[1]):
        back = i % 2 == 1
        data = backwards(k[:, i]) if back else k[:, i]
        lines.append(Line(data, {"Lin": i, "Seg": int(back)}, ["REFLECT"] if back else [], **common))
    return k, lines


def test_reflected_lines_are_reversed_and_aligned(tmp_path):
    image = np.zeros((2, NY, NX), complex)
    image[:, 6:14, 9:22] = random_kspace(2, 8, 13) + 3
    k, lines = epi_lines(image, 0.6, 0.09)
    scan = read_twix(written(tmp_path, lines))
    error = scan.read(0) - torch.from_numpy(k).conj()
    assert float(error.norm() / np.linalg.norm(k)) < 1e-4
    assert scan.details["reflected_lines"] == NY // 2
    assert scan.details["lines"]["phase_correction"] == 2
    uncorrected = read_twix(write(tmp_path / "no_reference.dat", [(simple_header(), lines[2:])]))
    assert float((uncorrected.read(0) - torch.from_numpy(k).conj()).norm() / np.linalg.norm(k)) > 0.3
    assert any("ghost" in note for note in uncorrected.notes)


def pulseq_header(**options):
    text = protocol(base=64, lines=64, **options).replace("%SiemensSeq%\\gre", "%CustomerSeq%\\pulseq")
    return header_text(text, dicom=OVERSAMPLING.replace("2.0", "1.0"))


def test_pulseq_placeholders_are_not_believed(tmp_path):
    k = random_kspace(2, 24, 24)
    lines = [replace(line, centre_lin=0, time=40 * i) for i, line in enumerate(simple_lines(k))]
    scan = read_twix(written(tmp_path, lines, pulseq_header()))
    assert scan.encoding.encoded_matrix == scan.encoding.recon_matrix == (1, 24, 24)
    assert scan.protocol.echo_time_ms is None
    assert scan.protocol.repetition_time_ms is None
    assert scan.protocol.flip_angle_deg is None
    assert scan.geometry.nominal
    assert scan.geometry.frame_of_reference_uid is None
    assert any("placeholders" in note for note in scan.notes)


def test_pulseq_echo_planar_lines_without_marks_are_refused_until_the_caller_says(tmp_path):
    k = random_kspace(1, 24, 24)
    lines = [replace(line, centre_lin=0, time=i // 3) for i, line in enumerate(simple_lines(k))]
    path = written(tmp_path, lines, pulseq_header())
    with pytest.raises(FormatError, match=r"0\.76 ms .* `reflected`"):
        read_twix(path)
    odd = read_twix(path, reflected="odd").read(0)
    assert torch.equal(odd[:, 1::2], torch.from_numpy(k[:, 1::2, ::-1].copy()).conj())
    assert torch.equal(odd[:, ::2], torch.from_numpy(k[:, ::2]).conj())
    assert torch.equal(read_twix(path, reflected="none").read(0), torch.from_numpy(k).conj())


def test_identifiers_are_named_and_never_carried(tmp_path):
    scan = read_twix(written(tmp_path, simple_lines(random_kspace(1, NY, NX))))
    assert scan.subject.identifiers_present == ("tPatientName", "PatientID", "DeviceSerialNumber", "tFrameOfReference")
    text = repr(replace(scan, source="x")) + repr(scan.details)
    for canary in ("CANARYNAME", "CANARYID", "424242"):
        assert canary not in text
    assert scan.geometry.frame_of_reference_uid.startswith("2.25.")
    assert len(scan.geometry.frame_of_reference_uid) <= 64


def test_blanked_identifiers_do_not_count(tmp_path):
    meas = IDENTIFIERS.replace("CANARYNAME", "xxxxxxx").replace("CANARYID", "XXXX")
    header = header_text(protocol(base=NX // 2, lines=NY), dicom=OVERSAMPLING, meas=meas)
    scan = read_twix(written(tmp_path, simple_lines(random_kspace(1, NY, NX)), header))
    assert scan.subject.identifiers_present == ("DeviceSerialNumber", "tFrameOfReference")


def test_the_pseudonym_depends_on_the_content_only(tmp_path):
    k = random_kspace(1, NY, NX)
    one = read_twix(write(tmp_path / "a.dat", [(simple_header(), simple_lines(k))])).subject.pseudonym
    two = read_twix(write(tmp_path / "b.dat", [(simple_header(), simple_lines(k))])).subject.pseudonym
    other = read_twix(write(tmp_path / "c.dat", [(simple_header(), simple_lines(2 * k))])).subject.pseudonym
    assert one == two != other


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("sKSpace.ucTrajectory = 2", r"non-Cartesian trajectory \(radial\)"),
        ("sKSpace.ucTrajectory = 4", r"non-Cartesian trajectory \(spiral\)"),
        ("sSliceAcceleration.lMultiBandFactor = 3", "3 slices were excited at once"),
    ],
)
def test_unsupported_acquisitions_are_refused(tmp_path, extra, message):
    with pytest.raises(FormatError, match=message):
        read_twix(written(tmp_path, simple_lines(random_kspace(1, NY, NX)), extra=extra))


def test_readouts_that_cannot_be_told_apart_are_refused(tmp_path):
    k = random_kspace(1, NY, NX)
    with pytest.raises(FormatError, match=r"share one k-space position.*\['Ida'\]"):
        read_twix(written(tmp_path, [*simple_lines(k), *simple_lines(k, Ida=1)]))


def test_slices_of_several_orientations_can_be_chosen(tmp_path):
    k = random_kspace(3, 1, NY, NX)
    quaternions = [IDENTITY, (np.sqrt(0.5), np.sqrt(0.5), 0, 0), IDENTITY]
    lines = [
        replace(line, quaternion=q, position=(0, 0, 8.0 * s))
        for s, q in enumerate(quaternions)
        for line in simple_lines(k[s], Sli=s)
    ]
    path = written(tmp_path, lines)
    with pytest.raises(FormatError, match=r"not parallel.*\[\[0, 2\], \[1\]\]"):
        read_twix(path)
    scan = read_twix(path, slices=[0, 2])
    assert scan.n_slices == 2
    assert scan.geometry.voxel_size_mm[0] == pytest.approx(16.0)
    assert torch.equal(scan.read(1), torch.from_numpy(k[2]).conj())


def test_unevenly_spaced_slices_are_refused(tmp_path):
    k = random_kspace(1, NY, NX)
    lines = [replace(line, position=(0, 0, z)) for s, z in enumerate((0, 5, 11)) for line in simple_lines(k, Sli=s)]
    with pytest.raises(FormatError, match=r"unevenly spaced.*`slices`"):
        read_twix(written(tmp_path, lines))


def test_an_interrupted_slice_is_refused(tmp_path):
    k = random_kspace(1, NY, NX)
    second = [replace(line, position=(0, 0, 5)) for line in simple_lines(k, Sli=1)]
    with pytest.raises(FormatError, match=r"different lines \(17 to 20 each\)"):
        read_twix(written(tmp_path, [*simple_lines(k), *second[:-3]]))


@pytest.mark.parametrize("keep", [0.97, 0.7, 0.3, 0.05])
def test_a_truncated_file_is_named_as_such(tmp_path, keep):
    path = written(tmp_path, simple_lines(random_kspace(8, NY, NX)))
    content = path.read_bytes()
    cut = tmp_path / "cut.dat"
    cut.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(FormatError, match=r"truncated|not a Siemens"):
        read_twix(cut)


def test_a_file_cut_between_lines_is_named_as_such(tmp_path):
    path = written(tmp_path, simple_lines(random_kspace(1, NY, NX)))
    content = bytearray(path.read_bytes())
    size = 192 + 32 + 8 * NX
    table = np.frombuffer(content, dtype="<u8", count=2, offset=16)
    end = int(table[0] + table[1]) - (192 + 160) - 3 * size  # without the end mark and the last three lines
    content[24:32] = np.uint64(0).tobytes()
    cut = tmp_path / "cut.dat"
    cut.write_bytes(content[:end])
    with pytest.raises(FormatError, match="ends after 17 lines without the end mark"):
        read_twix(cut)


def test_a_file_damaged_after_opening_is_named_as_such(tmp_path):
    path = written(tmp_path, simple_lines(random_kspace(1, NY, NX)))
    scan = read_twix(path)
    path.write_bytes(path.read_bytes()[:12000])
    with pytest.raises(FormatError, match="ends inside the line"):
        scan.read(0)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"plain text, not raw data " * 100])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.dat"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"empty|not a Siemens"):
        read_twix(path)


def test_only_noise_is_no_scan(tmp_path):
    with pytest.raises(FormatError, match="no imaging lines"):
        read_twix(written(tmp_path, [Line(random_kspace(2, 64), flags=["NOISEADJSCAN"])]))


# real data


def root_sum_of_squares(scan, size=None):
    k = remove_readout_oversampling(scan.read(0), scan.encoding.readout_size)
    if size is not None:
        k = crop_or_pad(crop_or_pad(k, -1, size), -2, size)
    return ifft(k, (-2, -1)).abs().square().sum(0).sqrt()


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


BRAIN, BODY_COIL = "kspace/pulseq_freiburg/2024-02-06-164128.dat", "kspace/pulseq_freiburg/2024-02-06-164120.dat"


@pytest.mark.data
def test_brain_samples_against_twixtools():
    path = shared(BRAIN)
    scan = read_twix(path)
    theirs = twixtools.map_twix(twixtools.read_twix(str(path), verbose=False, parse_geometry=False, parse_pmu=False))
    array = theirs[-1]["image"]
    array.flags["squeeze_singletons"] = True
    wanted = torch.from_numpy(np.ascontiguousarray(array[:].transpose(1, 0, 2))).conj()
    assert torch.equal(scan.read(0), wanted)
    assert scan.encoding.encoded_matrix == (1, 128, 128)
    assert scan.encoding.encoded_fov_mm == (3.0, 256.0, 256.0)


@pytest.mark.data
def test_brain_is_upright_and_in_the_same_place_in_both_coils():
    head, body = read_twix(shared(BRAIN)), read_twix(shared(BODY_COIL))
    assert (head.n_coils, body.n_coils) == (16, 2)
    image = root_sum_of_squares(head)
    assert correlation(image, root_sum_of_squares(body)) > 0.9
    object_ = image > 0.15 * image.quantile(0.99)
    rows, columns = torch.nonzero(object_.float().mean(1) > 0.05), torch.nonzero(object_.float().mean(0) > 0.05)
    assert 90 <= int(rows.max() - rows.min()) <= 105  # the head is longer from front to back (y) than wide (x)
    assert 65 <= int(columns.max() - columns.min()) <= 80
    assert head.geometry.column_direction @ [0, 1, 0] == pytest.approx(1.0)


@pytest.mark.data
def test_brain_identifiers_are_named_only():
    scan = read_twix(shared(BRAIN))
    assert {"tPatientName", "PatientID", "PatientBirthDay", "DeviceSerialNumber"} <= set(
        scan.subject.identifiers_present
    )
    assert "ISMRM" not in repr(replace(scan, source="x")) + repr(scan.details)


@pytest.mark.data
@pytest.mark.parametrize("name", ["gre_head", "epi_head"])
def test_protocol_and_line_headers_agree_about_the_oblique_slice(name):
    scan = read_twix(shared(f"kspace/twixtools/{name}.dat"))
    assert not any("elsewhere" in note for note in scan.notes)
    assert scan.geometry.position((0, scan.grid_shape[1] // 2, scan.grid_shape[2] // 2)) == pytest.approx(
        [-2.58969998377, 53.9224264395, -53.9994745263], abs=1e-3
    )
    assert np.abs(scan.geometry.normal @ [6.58423005e-09, 0.0383878015, 0.9992629886]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.data
def test_echo_planar_and_gradient_echo_images_of_one_phantom_coincide():
    gradient, planar = (read_twix(shared(f"kspace/twixtools/{n}.dat")) for n in ("gre_head", "epi_head"))
    assert gradient.encoding.oversampling == planar.encoding.oversampling == 2.0
    assert gradient.encoding.voxel_size_mm == (4.0, 1.25, 1.25)
    assert planar.encoding.voxel_size_mm == (4.0, 2.5, 2.5)
    truth, image = root_sum_of_squares(gradient, 80), root_sum_of_squares(planar, 80)
    assert correlation(truth, image) > 0.92
    shifts = [correlation(truth, image.roll(s, 1)) for s in (-1, 0, 1)]
    assert shifts[1] == max(shifts)  # no shift along the readout, although the two were sampled differently
    background = truth < 0.12 * truth.max()
    background[20:60] = False  # where the ghost at half the field of view would be
    ghost = float(image[background].mean() / image[20:60, 20:60].mean())
    reader = planar.reader
    plain = replace(planar, reader=replace(reader, correction=replace(reader.correction, phases={})))
    unaligned = root_sum_of_squares(plain, 80)
    assert ghost < 0.75 * float(unaligned[background].mean() / unaligned[20:60, 20:60].mean())
    ungridded = replace(planar, reader=replace(reader, correction=replace(reader.correction, regridding=None)))
    assert correlation(truth, root_sum_of_squares(ungridded, 80)) < 0.85


@pytest.mark.data
def test_unmarked_echo_planar_file_is_refused():
    with pytest.raises(FormatError, match="echo-planar"):
        read_twix(shared("kspace/pulseq_freiburg/04_03_basic_epi_96x96_pe0.dat"))


@pytest.mark.data
def test_samples_of_the_vb_layout_against_twixtools():
    path = shared("kspace/pulseq_freiburg/04_03_basic_epi_96x96_pe0.dat")
    scan = read_twix(path, reflected="none")
    assert scan.details["layout"] == "VB"
    blocks = twixtools.read_twix(str(path), verbose=False, parse_geometry=False, parse_pmu=False)[-1]["mdb"]
    wanted = np.stack([b.data for b in blocks if b.is_image_scan()], axis=1)
    assert torch.equal(scan.read(0), torch.from_numpy(wanted).conj())
