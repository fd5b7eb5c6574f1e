"""Random phases against what is known of their parts."""

from __future__ import annotations

import math

import pytest
import torch

from mrirecon.data.examples import Draws
from mrirecon.data.random_phases import Phase, random_phases
from mrirecon.errors import ConfigError

FLAT = Phase(deviation_rad=(0.0, 0.0), sloped=0.0)


def varying(phases: torch.Tensor) -> torch.Tensor:
    """Without the random constant of each item, taken from its first pixel."""
    return phases - phases[:, :1, :1]


def disc(n: int, size: int) -> torch.Tensor:
    y, x = ((torch.arange(size) - size // 2) / size for _ in range(2))
    return ((y[:, None] ** 2 + x**2) < 0.16).float().expand(n, size, size)


def test_smooth_and_linear_parts():
    empty = torch.zeros(400, 24, 32)
    phases = random_phases(empty, Phase(deviation_rad=(1.0, 1.0), slope_cycles=3.0, sloped=0.0), Draws.of(0, 0))
    assert phases.shape == (400, 24, 32)
    constant = phases[:, 12, 16]
    assert float(constant.std()) == pytest.approx(math.sqrt(1 + math.pi**2 / 3), rel=0.1)
    differences = phases[:, 12, 16] - phases[:, 12, 17]
    assert float(differences.std()) < 0.2
    lines = random_phases(
        empty[:50], Phase(deviation_rad=(0.0, 0.0), slope_cycles=3.0, sloped=1.0), Draws.of(0, 1)
    )  # fmt: skip
    slopes = lines.diff(dim=-1) * 32 / (2 * math.pi)
    torch.testing.assert_close(slopes, slopes[:, :1, :1].expand_as(slopes), atol=1e-3, rtol=0.0)
    assert 2 < float(slopes.abs().max()) <= 3.001


def test_cavities_have_the_size_asked_for_and_obey_laplace():
    """With one distance of a quarter of the field of view, fields reach the largest phase and hardly exceed it."""
    phase = Phase(deviation_rad=(0.0, 0.0), sloped=0.0, cavities=1.0, cavity_rad=(4.0, 4.0), cavity_distance=(0.1, 0.1))
    fields = varying(random_phases(torch.zeros(200, 64, 64), phase, Draws.of(1, 0)))
    spans = fields.amax((-2, -1)) - fields.amin((-2, -1))
    assert 4.0 < float(spans.median()) < 12.0  # one to three cavities, each from -0.5 or -1 to 1 of 4 rad
    assert float(fields.diff(dim=-1).abs().max()) < 3 * 4.0 * 2 / (0.1 * 64)  # slopes of at most 2 / distance


def test_cavities_depend_on_their_probability():
    phase = Phase(deviation_rad=(0.0, 0.0), sloped=0.0, cavities=0.25)
    fields = varying(random_phases(torch.zeros(400, 16, 16), phase, Draws.of(2, 0)))
    assert 0.2 < float((fields.abs().amax((-2, -1)) > 0.1).float().mean()) < 0.3


def test_tissue_phase_is_a_function_of_intensity():
    levels = torch.rand(64, generator=torch.Generator().manual_seed(0)).repeat(20, 64, 1)  # columns of one intensity
    phases = random_phases(
        levels, Phase(deviation_rad=(0.0, 0.0), sloped=0.0, tissue=1.0, tissue_rad=2.0), Draws.of(3, 0)
    )  # fmt: skip
    torch.testing.assert_close(phases, phases[:, :1].expand_as(phases))
    spans = phases.amax((-2, -1)) - phases.amin((-2, -1))
    assert 0.5 < float(spans.mean()) <= 4.0


def test_rim_lies_along_the_border_to_its_depth():
    phase = Phase(deviation_rad=(0.0, 0.0), sloped=0.0, rim=1.0, rim_depth=(0.05, 0.05))
    magnitude = disc(40, 128)
    phases = varying(random_phases(magnitude, phase, Draws.of(4, 0)))
    size = phases[:, 64].abs().amax(-1)
    shown = size > 0.3
    assert int(shown.sum()) > 20
    rows = phases[shown, 64] / size[shown, None]
    assert bool((rows[:, 64].abs() < 1e-5).all()), "the middle has no phase of its own"
    depth = (rows.abs() > 0.5).sum(-1).float() / 2 / 128
    torch.testing.assert_close(depth, torch.full_like(depth, 0.05), atol=0.02, rtol=0.0)
    assert not bool(phases[:, magnitude[0] == 0].abs().max() > 1e-5), "air has no phase of its own"


def test_the_same_draws_give_the_same_phases_and_absent_parts_take_no_draw():
    magnitude = disc(3, 32)
    full = Phase(cavities=0.5, tissue=0.5, rim=0.5)
    torch.testing.assert_close(
        random_phases(magnitude, full, Draws.of(5, 1)), random_phases(magnitude, full, Draws.of(5, 1))
    )
    assert not torch.equal(
        random_phases(magnitude, full, Draws.of(5, 1)), random_phases(magnitude, full, Draws.of(5, 2))
    )
    constant = random_phases(magnitude, FLAT, Draws.of(5, 1))
    torch.testing.assert_close(constant, constant[:, :1, :1].expand_as(constant))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Phase(length=(0.05, 1.0)), "length"),
        (lambda: Phase(sloped=2.0), "sloped"),
        (lambda: Phase(cavities=-0.1), "cavities"),
        (lambda: Phase(cavity_rad=(0.0, 1.0)), "cavity_rad"),
        (lambda: Phase(tissue_rad=-1.0), "tissue_rad"),
        (lambda: Phase(rim_depth=(0.1, 0.05)), "rim_depth"),
    ],
)
def test_refusals(make, word):
    with pytest.raises(ConfigError, match=word):
        make()
