"""Describing acquired masks: what the generators were asked for is found again."""

import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.mri.mask_description import describe_mask
from mrirecon.mri.masks import sampling_mask


def draw(kind, shape=(40, 96), acceleration=4, centre_lines=8, axis="x", **options):
    return sampling_mask(
        kind,
        shape,
        acceleration=acceleration,
        centre_lines=centre_lines,
        phase_encoding_axis=axis,
        seed=1,
        **options,
    )


@pytest.mark.parametrize("acceleration", [2, 3, 4, 6])
@pytest.mark.parametrize("centre_lines", [0, 1, 8, 13])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_equispaced_masks_are_recognised(acceleration, centre_lines, offset, axis):
    shape = (40, 96) if axis == "x" else (96, 40)
    drawn = draw("equispaced", shape, acceleration, centre_lines, axis, offset=offset)
    got = describe_mask(drawn.mask, shape)
    assert (got.sampling, got.phase_encoding_axis) == ("1D", axis)
    assert got.nominal_acceleration == acceleration
    assert got.effective_acceleration == drawn.card.effective_acceleration
    assert got.n_phase_encodings == 96
    assert got.n_sampled == drawn.card.n_sampled
    assert got.centre_lines[axis == "x"] >= centre_lines
    assert got.partial_fourier == ()
    assert got.acquired_fraction == (1.0, 1.0)
    assert describe_mask(drawn.mask.expand(shape), shape) == got


@pytest.mark.parametrize("kind", ["random", "gaussian", "equispaced-fraction"])
def test_irregular_masks_have_no_nominal_acceleration(kind):
    got = describe_mask(draw(kind, centre_lines=10, acceleration=3).mask, (40, 96))
    assert (got.sampling, got.phase_encoding_axis, got.nominal_acceleration) == ("1D", "x", None)


def test_two_dimensional():
    drawn = draw("poisson-disc", axis="yx")
    got = describe_mask(drawn.mask, (40, 96))
    assert (got.sampling, got.phase_encoding_axis, got.nominal_acceleration) == ("2D", "yx", None)
    assert got.effective_acceleration == drawn.card.effective_acceleration
    assert got.n_phase_encodings == 40 * 96


def test_regular_undersampling_of_both_axes_is_two_dimensional():
    mask = torch.zeros(40, 96, dtype=torch.bool)
    mask[::2, ::2] = True
    got = describe_mask(mask, (40, 96))
    assert (got.sampling, got.phase_encoding_axis, got.effective_acceleration) == ("2D", "yx", 4.0)


@pytest.mark.parametrize("mask", [torch.ones(1, 1), torch.ones(40, 1), torch.ones(40, 96)])
def test_fully_sampled(mask):
    got = describe_mask(mask.bool(), (40, 96))
    assert (got.sampling, got.phase_encoding_axis) == ("full", None)
    assert got.effective_acceleration == got.nominal_acceleration == 1.0
    assert got.centre_lines == (40, 96)
    assert describe_mask(mask.bool(), (40, 96), phase_encoding_axis="y").n_phase_encodings == 40


def test_undersampled_with_partial_fourier_and_asymmetric_echo():
    mask = torch.zeros(96, 64, dtype=torch.bool)
    mask[30::2] = mask[40:56] = True
    mask[:, :12] = False
    got = describe_mask(mask, (96, 64))
    assert (got.sampling, got.phase_encoding_axis, got.nominal_acceleration) == ("1D", "y", 2.0)
    assert [part.axis for part in got.partial_fourier] == [-2, -1]
    assert got.partial_fourier[0].fraction == pytest.approx(66 / 96)
    assert got.acquired_fraction == (66 / 96, 52 / 64)
    assert got.centre_lines == (17, 41)  # 8 and 20 on either side of the origin; line 56 is one of the regular ones


def test_partial_fourier_alone_is_attributed_to_the_incomplete_or_the_known_axis():
    mask = torch.ones(1, 64, dtype=torch.bool)
    mask[:, 48:] = False
    assert describe_mask(mask, (40, 64)).phase_encoding_axis == "x"
    got = describe_mask(mask, (40, 64), phase_encoding_axis="y")  # then it is an asymmetric echo
    assert (got.sampling, got.phase_encoding_axis, got.effective_acceleration) == ("full", "y", 1.0)


def test_nothing_sampled():
    got = describe_mask(torch.zeros(8, 8, dtype=torch.bool), (8, 8))
    assert (got.n_sampled, got.effective_acceleration, got.centre_lines) == (0, None, (0, 0))


def test_wrong_shape():
    with pytest.raises(ShapeError, match="ky=40 or 1"):
        describe_mask(torch.ones(41, 1, dtype=torch.bool), (40, 96))
