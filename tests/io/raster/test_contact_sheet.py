from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mrirecon.errors import ConfigError, OutputError
from mrirecon.io.intensity import series_intensity
from mrirecon.io.raster import contact_sheet as raster
from mrirecon.io.raster.contact_sheet import write_contact_sheet
from mrirecon.scan import Geometry, ImageSeries
from tests.io.phantom_series import make_phantom

SIDE, MARGIN = raster._SIDE, raster._MARGIN


def axial(image: NDArray[np.float32], voxel_mm: tuple[float, float, float]) -> ImageSeries:
    """Rows to the left of the patient, columns to the back: the usual axial plane."""
    shape = image.shape
    geometry = Geometry.from_centre(
        (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), shape=shape, voxel_size_mm=voxel_mm, slice_thickness_mm=3.0
    )
    return dataclasses.replace(make_phantom(shape=(2, 8, 8)).series, image=image, geometry=geometry)


def sheet(series: ImageSeries, path: Path, **options: int) -> NDArray[np.uint8]:
    write_contact_sheet(series, path, overwrite=True, **options)
    return np.asarray(Image.open(path))


def words(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, str]]:
    """Collects every text that is drawn, with its place."""
    found: list[tuple[float, float, str]] = []
    draw = ImageDraw.ImageDraw.text

    def record(self: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, **options: object) -> None:
        found.append((*xy, text))
        draw(self, xy, text, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return found


def test_pixels_are_square_and_not_flipped(tmp_path: Path) -> None:
    image = np.zeros((1, 32, 32), np.float32)
    image[0, :8, 24:] = 1.0  # top right as stored
    image[0, 24:, :8] = 0.5  # bottom left
    pixels = sheet(axial(image, (3.0, 2.0, 1.0)), tmp_path / "x.png", tile_size=256)[..., 2]
    bright = np.argwhere(pixels[:, SIDE:-SIDE] == 255)
    # 32 rows of 2 mm and 32 columns of 1 mm: 256 x 128 pixels, the patch 64 high and 32 wide
    height, width = np.ptp(bright[bright[:, 1] > 80], axis=0) + 1
    assert abs(height - 64) <= 8
    assert abs(width - 32) <= 6
    assert pixels.shape[1] == 128 + 2 * SIDE
    assert bright[:, 1].min() > 85
    grey = np.argwhere((pixels[:, SIDE:-SIDE] > 100) & (pixels[:, SIDE:-SIDE] < 150))
    assert np.median(grey[:, 0]) > np.median(bright[:, 0]) + 128
    assert np.median(grey[:, 1]) < np.median(bright[:, 1]) - 64


def test_the_picture_holds_nothing_but_the_windowed_image(tmp_path: Path) -> None:
    series = make_phantom(shape=(1, 64, 64)).series
    flat = axial(series.image, (3.0, 1.0, 1.0))
    pixels = sheet(flat, tmp_path / "x.png", tile_size=64)
    expected = series_intensity(flat).grey(flat.image[0])
    rows = [r for r in range(pixels.shape[0] - 64) if (pixels[r : r + 64, SIDE : SIDE + 64, 0] == expected).all()]
    assert len(rows) == 1
    tile = pixels[rows[0] : rows[0] + 64, SIDE : SIDE + 64]
    assert (tile == tile[..., :1]).all()


def test_orientation_letters_stand_at_their_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = words(monkeypatch)
    sheet(axial(np.ones((1, 64, 64), np.float32), (3.0, 1.0, 1.0)), tmp_path / "x.png")
    place = {text: (x, y) for x, y, text in drawn if text in "LRAP"}
    assert place["R"][0] < place["A"][0] == place["P"][0] < place["L"][0]
    assert place["A"][1] < place["R"][1] == place["L"][1] < place["P"][1]


def test_letters_of_the_oblique_phantom_agree_with_its_directions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = words(monkeypatch)
    series = make_phantom(shape=(1, 30, 36)).series
    sheet(series, tmp_path / "x.png")
    right = max((x, text) for x, _, text in drawn if set(text) <= set("LRAPHF"))[1]
    direction = series.geometry.row_direction
    assert right[0] == "LPH"[int(np.abs(direction).argmax())] or direction[np.abs(direction).argmax()] < 0
    for letter, axis, sign in (("L", 0, 1), ("R", 0, -1), ("P", 1, 1), ("A", 1, -1), ("H", 2, 1), ("F", 2, -1)):
        if letter in right:
            assert direction[axis] * sign > 0.29


def test_what_the_reader_must_know_is_on_the_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = words(monkeypatch)
    sheet(make_phantom(shape=(3, 30, 36), nominal=True).series, tmp_path / "x.png")
    text = " ".join(t for _, _, t in drawn)
    assert "SIMULATED DATA" in text
    assert "NOMINAL GEOMETRY" in text
    assert "not for diagnosis" in text
    assert [t for _, _, t in drawn if t == "?"] == ["?"] * 12
    assert not {"L", "R", "A", "P", "H", "F"} & {t for _, _, t in drawn}
    drawn.clear()
    series = make_phantom(shape=(3, 30, 36)).series
    real = dataclasses.replace(series.derivation, simulated=False)
    sheet(dataclasses.replace(series, derivation=real), tmp_path / "x.png")
    text = " ".join(t for _, _, t in drawn)
    assert "SIMULATED" not in text
    assert "NOMINAL" not in text


@pytest.mark.parametrize("left_handed", [False, True])
def test_slices_follow_the_order_of_the_dicom_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_handed: bool
) -> None:
    drawn = words(monkeypatch)
    series = make_phantom(shape=(4, 30, 36), left_handed=left_handed).series
    image = np.ones((4, 30, 36), np.float32) * np.arange(1, 5, dtype=np.float32)[:, None, None]
    pixels = sheet(dataclasses.replace(series, image=image), tmp_path / "x.png", columns=4, tile_size=40)
    labels = sorted((x, text) for x, _, text in drawn if "/ 4" in text and "|" not in text and "window" not in text)
    assert [text for _, text in labels] == ["1 / 4", "2 / 4", "3 / 4", "4 / 4"]
    middle = [int(pixels[pixels.shape[0] // 2, int(x), 0]) for x, _ in labels]
    assert middle == sorted(middle, reverse=left_handed)
    assert len(set(middle)) == 4


def test_long_series_are_thinned_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = words(monkeypatch)
    sheet(make_phantom(shape=(21, 20, 24)).series, tmp_path / "x.png", max_slices=5, tile_size=60)
    labels = [t for _, _, t in drawn if t.endswith("/ 21")]
    assert labels == ["1 / 21", "6 / 21", "11 / 21", "16 / 21", "21 / 21"]
    assert "5 of 21 slices shown" in " ".join(t for _, _, t in drawn)


def test_equal_series_make_equal_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_contact_sheet(make_phantom(shape=(3, 30, 36)).series, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_refusals(tmp_path: Path) -> None:
    series = make_phantom(shape=(3, 30, 36)).series
    with pytest.raises(OutputError, match=r"\.png"):
        write_contact_sheet(series, tmp_path / "x.jpg")
    with pytest.raises(ConfigError, match="columns"):
        write_contact_sheet(series, tmp_path / "x.png", columns=0)
    write_contact_sheet(series, tmp_path / "x.png")
    with pytest.raises(OutputError, match="exists"):
        write_contact_sheet(series, tmp_path / "x.png")
