"""Images as a client unpacks them: pixels, position, directions, field of view, counters, meta attributes."""

from dataclasses import replace

import ismrmrd
import numpy as np
import pytest

from mrirecon.errors import ShapeError
from mrirecon.io.intensity import series_intensity
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from mrirecon.io.ismrmrd.wire import ACQUISITION_HEAD, IMAGE_HEAD, WAVEFORM_HEAD
from mrirecon.scan import Derivation, Geometry, ImageSeries, Protocol, Subject
from mrirecon.serving.mrd.attributes import attribute_xml, series_attributes
from mrirecon.serving.mrd.images import outgoing_images
from mrirecon.serving.mrd.measurement import Volume
from tests.acceptance.scans import ScanRecipe, write_scan

RECIPE = ScanRecipe(matrix=(3, 16, 20), n_coils=2, noise_scan=False)
NETWORK = {"checkpoint": "mri-small", "sha256": "ab" * 32}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return read_ismrmrd(write_scan(tmp_path_factory.mktemp("scan") / "scan.h5", RECIPE))


def series(geometry, shape=(3, 16, 20), **changes):
    image = np.random.default_rng(1).random(shape, dtype=np.float32) * 1e-5
    made = Derivation("unfolded", "mrirecon unfolded, <maps> & more", {"network": NETWORK}, "0" * 64, "learned")
    plain = ImageSeries(
        image,
        geometry,
        Protocol(protocol_name="CANARYNAME"),
        Subject("x"),
        made,
        "mrirecon unfolded",
        warnings=("look",),
    )
    return replace(plain, **changes)


def heads(n):
    """Lines with everything that an image takes over."""
    lines = np.zeros(n, ACQUISITION_HEAD)
    for i in range(n):
        line = lines[i : i + 1]
        line["measurement_uid"], line["acquisition_time_stamp"] = 77, 1000 + i
        line["physiology_time_stamp"] = (1, 2, 3)
        line["patient_table_position"] = (0, 0, -5)
        line["position"], line["read_dir"], line["phase_dir"] = (1, 2, 3 + i), (0, 1, 0), (0, 0, 1)
        line["idx"]["slice"], line["idx"]["contrast"], line["idx"]["repetition"] = 2 - i, 1, 4
        line["idx"]["set"], line["idx"]["phase"] = 5, 6
    return lines


def unpacked(scan, images, n=3, **options):
    """The images through the `ismrmrd` package."""
    intensity = series_intensity(images)
    attributes = series_attributes(
        images, intensity, config="fast", fallback=options.pop("fallback", None),
        integers=options.get("pixels", "int16") == "int16",
    )  # fmt: skip
    chosen = {"pixels": "int16", "series_index": 9, **options}
    found = []
    for sent in outgoing_images(
        images, Volume({}, scan, heads(n)), intensity=intensity, attributes=attributes, **chosen
    ):
        stream = (
            sent.head + len(sent.attributes.encode()).to_bytes(8, "little") + sent.attributes.encode() + sent.pixels
        )
        at = [0]

        def read(size, stream=stream, at=at):
            at[0] += size
            return stream[at[0] - size : at[0]]

        found.append(ismrmrd.Image.deserialize_from(read))
        assert at[0] == len(stream)
        assert found[-1].getHead().attribute_string_len == len(sent.attributes.encode())
    return found, intensity


def test_the_records_have_the_sizes_of_the_format():
    assert (ACQUISITION_HEAD.itemsize, IMAGE_HEAD.itemsize, WAVEFORM_HEAD.itemsize) == (340, 198, 40)
    wave = ismrmrd.Waveform.from_array(np.zeros((3, 70), np.uint32))
    record = np.frombuffer(bytes(wave.getHead()), WAVEFORM_HEAD)[0]
    assert (record["number_of_samples"], record["channels"]) == (70, 3)


@pytest.mark.parametrize("pixels", ["int16", "float32"])
def test_pixels(scan, pixels):
    images = series(scan.geometry)
    found, intensity = unpacked(scan, images, pixels=pixels)
    assert len(found) == 3
    for k, image in enumerate(found):
        assert image.data.shape == (1, 1, 16, 20)
        if pixels == "float32":
            assert image.data.dtype == np.float32
            np.testing.assert_array_equal(image.data[0, 0], images.image[k])
        else:
            assert image.data.dtype == np.int16
            np.testing.assert_array_equal(image.data[0, 0], np.rint(images.image[k].astype(float) * intensity.factor))
            assert image.data.max() <= 4095


def test_every_slice_says_where_it_is(scan):
    geometry = scan.geometry.resampled((3, 16, 40), (3, 16, 20))
    found, _ = unpacked(scan, series(geometry), first_index=4)
    for k, image in enumerate(found):
        head = image.getHead()
        expected = geometry.affine @ (k, 8, 10, 1)
        np.testing.assert_allclose(head.position[:], expected[:3], atol=1e-4)
        np.testing.assert_allclose(head.read_dir[:], geometry.affine[:3, 2] / geometry.voxel_size_mm[2], atol=1e-6)
        np.testing.assert_allclose(head.phase_dir[:], geometry.affine[:3, 1] / geometry.voxel_size_mm[1], atol=1e-6)
        np.testing.assert_allclose(head.slice_dir[:], geometry.normal, atol=1e-6)
        dz, dy, dx = geometry.slice_thickness_mm, geometry.voxel_size_mm[1], geometry.voxel_size_mm[2]
        np.testing.assert_allclose(head.field_of_view[:], (20 * dx, 16 * dy, dz), rtol=1e-6)
        assert head.matrix_size[:] == [20, 16, 1]
        assert (head.slice, head.contrast, head.repetition, head.set, head.phase) == (2 - k, 1, 4, 5, 6)
        assert (head.image_index, head.image_series_index, head.image_type) == (4 + k, 9, ismrmrd.IMTYPE_MAGNITUDE)
        assert (head.measurement_uid, head.acquisition_time_stamp) == (77, 1000 + k)
        assert head.physiology_time_stamp[:] == [1, 2, 3]
        assert head.patient_table_position[:] == [0, 0, -5]
        assert (head.version, head.channels) == (1, 1)


def test_nominal_geometry_is_not_dressed_up(scan):
    grid = Geometry.placeholder(shape=(3, 16, 20), voxel_size_mm=(5, 2, 3), slice_thickness_mm=4)
    found, _ = unpacked(scan, series(grid))
    for k, image in enumerate(found):
        assert image.getHead().position[:] == [1, 2, 3 + k]
        assert image.getHead().read_dir[:] == [0, 1, 0]
        assert ismrmrd.Meta.deserialize(image.attribute_string)["mrirecon_geometry"] == "nominal"


def test_partitions_of_a_volume_are_counted_and_placed(tmp_path):
    scan = read_ismrmrd(write_scan(tmp_path / "scan.h5", replace(RECIPE, encoding="3D", matrix=(6, 16, 20))))
    found, _ = unpacked(scan, series(scan.geometry, (6, 16, 20)), n=1)
    assert [image.getHead().slice for image in found] == list(range(6))
    steps = np.diff([image.getHead().position[:] for image in found], axis=0)
    np.testing.assert_allclose(steps, np.tile(scan.geometry.affine[:3, 0], (5, 1)), atol=1e-4)


def test_images_and_slices_must_be_as_many(scan):
    with pytest.raises(ShapeError, match="each of 2 slices, got 3"):
        unpacked(scan, series(scan.geometry), n=2)


def test_attributes_say_what_the_image_is(scan):
    found, intensity = unpacked(scan, series(scan.geometry))
    meta = ismrmrd.Meta.deserialize(found[1].attribute_string)
    assert meta["DataRole"] == "Image"
    assert meta["ImageType"] == ["DERIVED", "SECONDARY", "OTHER"]
    assert (float(meta["WindowCenter"]), float(meta["WindowWidth"])) == pytest.approx(intensity.window, rel=1e-5)
    assert meta["Keep_image_geometry"] == "1"
    assert meta["mrirecon_checkpoint"] == "mri-small"
    assert meta["mrirecon_checkpoint_sha256"] == "ab" * 32
    assert meta["mrirecon_derivation"] == "mrirecon unfolded, <maps> & more"
    assert float(meta["mrirecon_scale_factor"]) == pytest.approx(intensity.factor)
    assert meta["mrirecon_config"] == "fast"
    assert meta["mrirecon_warning"] == "look"
    assert "research use only" in meta["ImageComment"][0]
    assert "mrirecon_fallback" not in meta
    row = np.array(meta["ImageRowDir"], float)
    np.testing.assert_allclose(row, scan.geometry.row_direction, atol=1e-6)
    assert "CANARYNAME" not in found[1].attribute_string


def test_a_fallback_is_said_in_three_places(scan):
    found, _ = unpacked(scan, series(scan.geometry), fallback="it was too slow")
    meta = ismrmrd.Meta.deserialize(found[0].attribute_string)
    sentence = "classical reconstruction instead of fast: it was too slow"
    assert meta["mrirecon_fallback"] == "it was too slow"
    assert sentence in meta["mrirecon_warning"]
    assert sentence in meta["ImageComment"]


def test_float_images_have_their_window_in_their_own_units(scan):
    images = series(scan.geometry)
    found, intensity = unpacked(scan, images, pixels="float32")
    meta = ismrmrd.Meta.deserialize(found[0].attribute_string)
    assert float(meta["WindowCenter"]) == pytest.approx(intensity.window[0] / intensity.factor, rel=1e-4)
    assert float(meta["mrirecon_scale_factor"]) == 1.0


def test_attributes_are_read_back_by_the_package():
    text = attribute_xml({"a": '1 < 2 & "x" größer', "b": ["one", "two"]})
    assert ismrmrd.Meta.deserialize(text) == {"a": '1 < 2 & "x" größer', "b": ["one", "two"]}
