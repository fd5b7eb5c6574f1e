"""Placed, recontrasted and truncated images against what is known of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mrirecon.data.examples import Draws
from mrirecon.data.random_images import (
    Contrast,
    Placement,
    finer_grid,
    placed_slice,
    recontrasted,
    truncated,
)
from mrirecon.data.slices import SliceStore
from mrirecon.data.volumes import Volume
from mrirecon.errors import ConfigError


@pytest.fixture(scope="module")
def store() -> SliceStore:
    """Bricks of 60 x 80 pixels in every slice, brighter along one edge, with a checkerboard in a corner."""
    image = np.zeros((3, 120, 130), np.float32)
    image[:, 30:90, 20:100] = 0.8
    image[:, 30:90, 20:24] = 1.0
    image[:, 60:90, 70:100] *= np.indices((30, 30)).sum(0) % 2
    return SliceStore([Volume(image, (10.0, 1.0, 1.0), "brick")])


STILL = Placement(fill=(0.8, 0.8), turn_deg=0.0, stretch=0.0, enlargement=10.0)


def test_the_object_fills_the_share_asked_for(store: SliceStore):
    for index in range(8):
        image, box = placed_slice(store, (64, 96), STILL, Draws.of(0, index))
        assert image.shape == (64, 96)
        inside = image > 0.1
        tall, wide = (int(inside.float().mean(dim=dim).gt(0.02).sum()) for dim in (1, 0))
        assert max(tall / 64, wide / 96) == pytest.approx(0.8, abs=0.03)
        assert {round(max(tall, wide) / min(tall, wide), 1)} == {1.3}
        assert not (bool(inside[0].any()) and bool(inside[-1].any()))
        extents, middles = box[1] * torch.tensor([64.0, 96.0]), box[0] * torch.tensor([64.0, 96.0])
        assert extents.tolist() == pytest.approx([tall, wide], abs=1.5)
        rows, columns = torch.nonzero(inside, as_tuple=True)
        expected = [(float(p.min()) + float(p.max())) / 2 - n // 2 for p, n in ((rows, 64), (columns, 96))]
        assert middles.tolist() == pytest.approx(expected, abs=1.5)


def test_flips_quarter_turns_and_places_differ(store: SliceStore):
    images = [placed_slice(store, (64, 64), STILL, Draws.of(0, index))[0] for index in range(60)]
    tall = [bool((i > 0.1).any(1).sum() > (i > 0.1).any(0).sum()) for i in images]
    assert 15 < sum(tall) < 45
    bright = set()
    for image, upright in zip(images, tall, strict=True):
        profile = image.sum(0) if not upright else image.sum(1)
        half = torch.arange(64) * (profile > 1)
        middle = float(half[half > 0].float().mean())
        bright.add((upright, bool(float(profile.argmax()) > middle)))
    assert len(bright) == 4


def test_reduction_does_not_alias(store: SliceStore):
    """The checkerboard, finer than the new pixels, becomes its mean instead of a beat."""
    image, _ = placed_slice(store, (32, 32), STILL, Draws.of(0, 3))
    values = image[image > 0.2]
    brick = float(values.median())
    grey = values[(values > 0.35 * brick) & (values < 0.65 * brick)]
    assert len(grey) > 0.08 * len(values)
    assert float(image.min()) == 0.0


def test_volumes_too_coarse_are_drawn_again():
    fine = np.ones((8, 200, 200), np.float32)
    coarse = np.ones((40, 20, 10), np.float32)  # more slices, and twice as tall as wide
    store = SliceStore([Volume(fine, (5.0, 1.0, 1.0), "fine"), Volume(coarse, (50.0, 10.0, 10.0), "coarse")])
    placement = Placement(fill=(0.9, 0.9), turn_deg=0.0, stretch=0.0, enlargement=1.25)
    square = 0
    for index in range(60):
        inside = placed_slice(store, (128, 128), placement, Draws.of(0, index))[0] > 0.1
        square += abs(int(inside.any(0).sum()) - int(inside.any(1).sum())) < 5
    assert square > 50  # three in ten draws are fine; after eight tries any is taken


def test_contrast_curves():
    ramp = torch.linspace(0, 1, 32 * 32).reshape(1, 32, 32).expand(20, 32, 32)
    for kind in ("original", "gamma", "monotone", "free"):
        found = recontrasted(ramp, Contrast({kind: 1.0}, shading=0.0), Draws.of(0, 0)).flatten(1)
        assert float(found[:, 0].abs().max()) == 0.0
        assert float(found.min()) >= 0.0
        assert float(found.max()) <= 1.0 + 1e-6
        steps = found.diff(dim=1)
        if kind == "free":
            assert float((steps.amin(1) < -1e-4).float().mean()) > 0.5
            assert float(steps.abs().max()) * (32 * 32 - 1) < 6
        else:
            assert float(steps.min()) > -1e-6
        if kind != "original":
            assert float(found.std(dim=0).max()) > 0.05
    torch.testing.assert_close(recontrasted(ramp, Contrast({"original": 1.0}, shading=0.0), Draws.of(0, 0)), ramp)


def test_gamma_is_a_power():
    draws = Draws.of(0, 5)
    ramp = torch.linspace(0, 1, 400).reshape(1, 20, 20)
    found = recontrasted(ramp, Contrast({"gamma": 1.0}, gamma=(1.5, 1.5), shading=0.0), draws)
    torch.testing.assert_close(found, ramp**1.5, atol=2e-4, rtol=0.0)


def test_shading_is_smooth_and_positive():
    flat = torch.full((200, 32, 32), 0.5)
    found = recontrasted(flat, Contrast({"original": 1.0}, shading=0.3), Draws.of(0, 0)) / 0.5
    assert float(found.min()) > 0
    assert float(found.log().std()) == pytest.approx(0.3 / math.sqrt(3), rel=0.2)  # sizes uniform up to 0.3
    assert float(found.diff(dim=-1).abs().max()) < 0.15


def test_truncation_keeps_what_the_grid_can_carry():
    """A wave below the new Nyquist frequency is sampled anew exactly; one above it vanishes."""
    y, x = ((torch.arange(n) - n // 2) / n for n in (48, 72))
    low, high = (torch.exp(2j * math.pi * (a * y[:, None] + b * x)) for a, b in ((5, -11), (3, 30)))
    cut = truncated(torch.stack([low, high]), (32, 48))
    y, x = ((torch.arange(n) - n // 2) / n for n in (32, 48))
    torch.testing.assert_close(cut[0], torch.exp(2j * math.pi * (5 * y[:, None] - 11 * x)), atol=1e-4, rtol=0.0)
    assert float(cut[1].abs().max()) < 1e-4
    assert finer_grid((96, 160), 8) == (144, 240)


def test_edges_ring_by_gibbs():
    step = (torch.arange(96) > 30).to(torch.complex64).expand(96, 96) * 1.0
    cut = truncated(step, (64, 64)).real[0]
    assert 1.03 < float(cut.max()) < 1.12  # at most 9 % of the step, less where no pixel lies on the maximum
    assert float(cut.mean()) == pytest.approx(float(step.real.mean()), abs=0.02)


def test_refusals():
    for make, word in (
        (lambda: Placement(fill=(0.0, 1.0)), "fill"),
        (lambda: Placement(turn_deg=-1.0), "turn_deg"),
        (lambda: Contrast({"sepia": 1.0}), "sepia"),
        (lambda: Contrast({"gamma": 1.0}, shading=-1.0), "shading"),
    ):
        with pytest.raises(ConfigError, match=word):
            make()
