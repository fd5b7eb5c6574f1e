"""The page in a real browser: what a reader sees, reads, presses and drags.

Screens are judged by their pixels here; a person looks at them once per release (`screenshots.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrirecon.io.nifti.writer import write_nifti
from mrirecon.mri.masks import sampling_mask
from mrirecon.serving.viewer.server import ViewerServer
from tests.io.phantom_series import Phantom
from tests.serving.viewer.chromium import Chromium, browser
from tests.serving.viewer.studies import FACTOR, WARNING, write_dicom_study, write_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser() is None, reason="needs a Chromium (Debian: apt-get install chromium)"),
]
Picture = NDArray[np.uint8]
SPOT = (8, 30, 30)
"""Index of a lesion that only the reference has."""


class Shown:
    """A study in the browser."""

    def __init__(self, page: Chromium, server: ViewerServer, made: Phantom) -> None:
        self.page, self.server, self.made = page, server, made

    def pane(self, side: str) -> Picture:
        """What is in a pane, without the texts."""
        x, y, width, height = self.frame(side)
        over = "document.querySelectorAll('.over').forEach(e => e.style.visibility = '{}')"
        self.page.run(over.format("hidden"))
        picture = self.page.picture()
        self.page.run(over.format(""))
        return picture[y : y + height, x : x + width].astype(np.int16)

    def frame(self, side: str) -> tuple[int, int, int, int]:
        box = f"document.getElementById('pane-{side}').getBoundingClientRect()"
        return tuple(round(v) for v in self.page.run(f"(b => [b.x, b.y, b.width, b.height])({box})"))

    def text(self, selector: str) -> str:
        return str(self.page.run(f"document.querySelector({selector!r}).innerText"))

    def reset(self) -> None:
        self.page.key("1")
        self.page.key("2")
        self.page.key("r")


@pytest.fixture(scope="module")
def page() -> Iterator[Chromium]:
    with Chromium() as running:
        yield running


@contextmanager
def serve(folder: Path, **beside: Path) -> Iterator[ViewerServer]:
    with ViewerServer([folder], **beside) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def oblique(page: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("oblique")
    made = write_study(folder)
    other = made.series.image.copy()
    k, j, i = SPOT
    other[k - 1 : k + 2, j - 4 : j + 5, i - 4 : i + 5] = other.max()
    write_nifti(replace(made.series, image=other), folder / "reference.nii.gz", factor=FACTOR)
    with serve(folder) as server:
        page.requests.clear()
        page.complaints.clear()
        page.open(server.url)
        page.ready()
        yield Shown(page, server, made)


@contextmanager
def opened(page: Chromium, folder: Path, made: Phantom) -> Iterator[Shown]:
    with serve(folder) as server:
        page.open(server.url)
        page.ready()
        yield Shown(page, server, made)
    page.open("about:blank")


def crosshair(pane: Picture) -> tuple[int, int]:
    """Row and column where the two lines cross, found by their colour."""
    blue = (pane[..., 2] - pane[..., 0] > 60) & (pane[..., 2] > 110)
    return int(blue.sum(axis=1).argmax()), int(blue.sum(axis=0).argmax())


def grey_near(pane: Picture, row: int, column: int) -> float:
    """Median grey of the surroundings that is not crosshair."""
    patch = pane[max(row - 7, 0) : row + 8, max(column - 7, 0) : column + 8].reshape(-1, 3)
    grey = patch[np.ptp(patch, axis=1) < 12]
    return float(np.median(grey))


def coloured(pane: Picture) -> NDArray[np.bool_]:
    """Warm colours of the overlay."""
    return pane[..., 0] - pane[..., 2] > 40


def test_it_opens_without_a_complaint_and_asks_only_this_machine(oblique: Shown) -> None:
    page = oblique.page
    assert page.run("document.body.dataset.state") == "ready"
    assert page.complaints == []
    assert page.requests
    for request in page.requests:
        assert request.startswith((oblique.server.url, "data:", "blob:")), request
    assert page.run("(e => e.scrollWidth <= innerWidth && e.scrollHeight <= innerHeight)(document.documentElement)")
    left = oblique.pane("left")
    assert left.std() > 30
    assert np.abs(left - oblique.pane("right")).mean() > 0.1


def test_t14_the_crosshair_is_on_the_landmark_in_every_plane(oblique: Shown) -> None:
    """The ball lies to the left, front and top of the patient: right and up on a screen seen from the feet."""
    oblique.reset()
    oblique.page.run(f"viewer.goTo({oblique.made.ball_lps.tolist()})")
    oblique.page.settle()
    np.testing.assert_allclose(oblique.page.run("viewer.patientPosition()"), oblique.made.ball_lps, atol=1.9)
    for plane, right_of_middle in (("a", True), ("c", True), ("s", False)):
        oblique.page.key(plane)
        pane = oblique.pane("left")
        row, column = crosshair(pane)
        height, width = pane.shape[:2]
        assert grey_near(pane, row, column) > 245, plane
        body = grey_near(pane, height - row, width - column)
        assert body < 225, plane
        assert row < height / 2 - 5
        assert (column > width / 2 + 5) == right_of_middle, (
            plane
        )  # the sagittal view looks from the left: front is left
    letters = oblique.page.run("[...document.querySelectorAll('#pane-left .letter')].map(e => e.innerText)")
    assert letters == ["AL", "PR", "HA", "FP"]


def test_letters_and_slice_of_the_acquired_plane(oblique: Shown) -> None:
    oblique.reset()
    letters = oblique.page.run("[...document.querySelectorAll('#pane-left .letter')].map(e => e.innerText)")
    assert letters == ["RAF", "LPH", "AL", "PR"]
    assert oblique.text("#pane-left .place").splitlines() == ["Slice 9 / 16", "axial, tilted 44°"]
    assert oblique.text("#pane-left .scale").strip() == "2 cm"


def test_pixels_are_not_square_in_the_array_but_round_on_the_screen(oblique: Shown) -> None:
    oblique.reset()
    oblique.page.key("x")
    body = oblique.pane("left").min(axis=2) > 120
    rows, columns = np.flatnonzero(body.sum(axis=1) > 5), np.flatnonzero(body.sum(axis=0) > 5)
    ratio = np.ptp(rows) / np.ptp(columns)
    oblique.page.key("x")
    assert ratio == pytest.approx(80 * 1.2 / (96 * 0.9), rel=0.03)
    bar = oblique.page.run("document.querySelector('#pane-left .scale i').getBoundingClientRect().width")
    assert np.ptp(columns) / bar * 20 == pytest.approx(0.84 * 96 * 0.9, rel=0.03)  # the scale bar is 20 mm


def test_slices_by_wheel_and_keys(oblique: Shown) -> None:
    oblique.reset()
    x, y, width, height = oblique.frame("right")

    def slice_() -> str:
        assert oblique.text("#pane-left .place") == oblique.text("#pane-right .place")
        return oblique.text("#pane-left .place").split()[1]

    for action, expected in (
        (lambda: oblique.page.key("ArrowDown"), "10"),
        (lambda: oblique.page.key("PageUp"), "9"),
        (lambda: oblique.page.wheel((x + width / 2, y + height / 2), 120), "10"),
        (lambda: oblique.page.wheel((x + width / 2, y + height / 2), -120), "9"),
        (lambda: oblique.page.key("End"), "16"),
        (lambda: oblique.page.key("ArrowDown"), "16"),
        (lambda: oblique.page.key("Home"), "1"),
        (lambda: oblique.page.key("ArrowUp"), "1"),
    ):
        action()
        assert slice_() == expected


def test_the_crosshair_is_linked(oblique: Shown) -> None:
    oblique.reset()
    x, y, width, height = oblique.frame("left")
    for at in ((0.4 * width, 0.35 * height), (0.62 * width, 0.55 * height)):
        oblique.page.click(x + at[0], y + at[1])
        rows, columns = zip(crosshair(oblique.pane("left")), crosshair(oblique.pane("right")), strict=True)
        voxel = 7  # pixels on the screen
        assert abs(columns[0] - at[0]) <= voxel
        assert abs(rows[0] - at[1]) <= voxel
        assert abs(columns[0] - columns[1]) <= 1
        assert abs(rows[0] - rows[1]) <= 1
    values = oblique.text("#values").split()
    assert "Reconstruction" in values
    assert oblique.text("#pane-left .place").startswith("Slice 9")  # picking in a plane does not leave it


def test_window_and_level_are_dragged_and_shared(oblique: Shown) -> None:
    oblique.reset()
    before = oblique.pane("left")
    automatic = oblique.text("#pane-left .window")
    x, y, width, height = oblique.frame("left")
    middle = (x + width / 2, y + height / 2)
    oblique.page.drag(middle, (middle[0] + 90, middle[1]), button="right")
    wider = oblique.text("#pane-left .window")
    assert float(wider.split()[1]) > 1.2 * float(automatic.split()[1])
    assert wider == oblique.text("#pane-right .window")
    oblique.page.key("w")
    oblique.page.drag(middle, (middle[0], middle[1] + 60), button="right")
    darker = oblique.pane("left")
    assert grey_near(darker, height // 2 + 60, width // 2) < grey_near(before, height // 2 + 60, width // 2) - 20
    oblique.page.key("w")
    assert oblique.text("#pane-left .window") == automatic
    np.testing.assert_allclose(oblique.pane("left"), before, atol=2)


def test_overlay_opacity_and_its_place(oblique: Shown) -> None:
    oblique.reset()
    oblique.page.key("x")
    assert not coloured(oblique.pane("left")[60:-60]).any()
    oblique.page.key("u")
    pane = oblique.pane("left")
    warm = coloured(pane)
    half = pane.shape[1] // 2
    assert warm[60:-60, :half].sum() > 20000
    assert warm[60:-60, half + 12 : -40].sum() == 0  # no uncertainty in the last columns
    assert not oblique.page.run("document.getElementById('legend').hidden")
    strong = np.abs(pane[..., 0] - pane[..., 2])[warm].mean()
    for _ in range(3):
        oblique.page.key("[")
    weak = oblique.pane("left")
    assert oblique.text("#opacity-text") == "30 %"
    assert np.abs(weak[..., 0] - weak[..., 2])[warm].mean() < 0.75 * strong
    oblique.page.key("o")
    assert not coloured(oblique.pane("left")[60:-60]).any()
    oblique.page.key("x")


def test_the_difference_shows_what_only_the_reference_has(oblique: Shown) -> None:
    oblique.reset()
    oblique.page.key("x")
    place = oblique.made.series.geometry.position(SPOT)
    oblique.page.run(f"viewer.goTo({place.tolist()})")
    oblique.page.key("e")
    rows, columns = np.nonzero(coloured(oblique.pane("left")[60:-60]))
    oblique.page.key("o")
    oblique.page.key("x")
    oblique.page.run(f"viewer.goTo({place.tolist()})")
    oblique.page.settle()
    row, column = crosshair(oblique.pane("left"))
    assert abs(np.median(rows) + 60 - row) < 6
    assert abs(np.median(columns) - column) < 6


def test_blink_shows_the_right_image_in_the_left_place(oblique: Shown) -> None:
    oblique.reset()
    oblique.page.key("x")
    left, right = oblique.pane("left"), oblique.pane("right")
    oblique.page.key("b", hold=True)
    held = oblique.pane("left")
    assert "Reference" in oblique.text("#pane-left .title")
    oblique.page.release("b")
    back = oblique.pane("left")
    oblique.page.key("x")
    np.testing.assert_allclose(held[80:-60], right[80:-60], atol=3)
    np.testing.assert_allclose(back, left, atol=2)


def test_zoom_and_pan_keep_both_panes_together(oblique: Shown) -> None:
    oblique.reset()
    x, y, width, height = oblique.frame("left")
    before = crosshair(oblique.pane("left"))
    oblique.page.key("+")
    assert crosshair(oblique.pane("left")) == pytest.approx(before, abs=3)  # zoom is about the crosshair
    start = (x + 0.5 * width, y + 0.6 * height)
    oblique.page.drag(start, (start[0] + 60, start[1] - 40), button="middle")
    moved = crosshair(oblique.pane("left"))
    assert moved == pytest.approx((before[0] - 40, before[1] + 60), abs=3)
    assert crosshair(oblique.pane("right")) == pytest.approx(moved, abs=1)


def test_keys_are_documented_and_fields_keep_theirs(oblique: Shown) -> None:
    oblique.reset()
    oblique.page.key("?")
    assert oblique.page.run("document.getElementById('help').open")
    keys = oblique.text("#help")
    for words in ("previous or next slice", "window (across) and level", "blink", "right is on the left"):
        assert words in keys
    oblique.page.key("Escape")
    assert not oblique.page.run("document.getElementById('help').open")
    oblique.page.run("document.getElementById('width').focus()")
    oblique.page.key("2")
    oblique.page.key("c")
    assert oblique.page.run("viewer.state.plane") == "axial"
    oblique.page.run("document.getElementById('width').blur()")
    oblique.page.key("1")
    assert oblique.page.run("document.getElementById('panes').dataset.layout") == "1"
    assert oblique.page.run("document.getElementById('pane-right').getBoundingClientRect().width") == 0


def test_texts_are_texts_and_the_mask_is_the_mask(oblique: Shown) -> None:
    oblique.reset()
    assert WARNING in oblique.text("#warnings")
    assert oblique.page.run("document.querySelectorAll('#warnings b, #texts b, #texts script').length") == 0
    assert "no certificate" in oblique.text("#texts")
    oblique.page.run("[...document.querySelectorAll('#tabs button')].find(b => b.innerText === 'Sampling').click()")
    drawn = oblique.page.run(
        "(c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])(document.getElementById('mask'))"
    )
    mask = sampling_mask("equispaced", (32, 24), acceleration=4, centre_lines=6, phase_encoding_axis="y", seed=0).mask
    np.testing.assert_array_equal(np.array(drawn).reshape(32, 24, 4)[..., 0] > 0, mask.expand(32, 24).numpy())
    assert oblique.page.complaints == []


def test_without_orientation_there_is_no_letter(page: Chromium, tmp_path: Path) -> None:
    with opened(page, tmp_path, write_study(tmp_path, nominal=True)) as shown:
        assert page.run("document.querySelectorAll('.letter').length") == 0
        assert "no left or right" in shown.text("#pane-left .unknown")
        assert "stored plane" in shown.text("#pane-left .place")
        assert "Array x y z" in shown.text("#values")
        pane = shown.pane("left")
        assert pane.std() > 30


def test_a_single_slice(page: Chromium, tmp_path: Path) -> None:
    with opened(page, tmp_path, write_study(tmp_path, shape=(1, 80, 96))) as shown:
        assert shown.text("#pane-left .place").startswith("Slice 1 / 1")
        assert page.run("[...document.querySelectorAll('[data-action^=plane-]')].map(b => b.disabled)") == [
            *(False, True, True, True)
        ]
        page.key("ArrowDown")
        pane = shown.pane("left")
        height, width = pane.shape[:2]
        assert grey_near(pane, height // 2, width // 2) > 240  # the ball
        assert grey_near(pane, 15, width // 4) < 15
        page.key("c")
        assert page.run("viewer.state.plane") == "axial"


def test_dicom_alone_looks_like_nifti(page: Chromium, tmp_path: Path) -> None:
    pictures = []
    for name, write in (("nifti", write_study), ("dicom", write_dicom_study)):
        with opened(page, tmp_path / name, write(tmp_path / name)) as shown:
            page.run(f"viewer.goTo({shown.made.ball_lps.tolist()})")
            page.settle()
            pictures.append(shown.pane("left")[60:-60])
            assert grey_near(shown.pane("left"), *crosshair(shown.pane("left"))) > 245
    assert np.abs(pictures[0] - pictures[1]).mean() < 1.5


def test_a_volume_that_cannot_be_read_is_said_on_the_page(page: Chromium, tmp_path: Path) -> None:
    made = write_study(tmp_path, shape=(4, 20, 24), spread=False)
    path = tmp_path / "image.nii.gz"
    path.write_bytes(path.read_bytes()[:-400])
    with opened(page, tmp_path, made) as shown:
        assert page.run("document.body.dataset.state") == "failed"
        assert "image.nii.gz" in shown.text("#message")
        assert str(tmp_path) not in shown.text("#message")
