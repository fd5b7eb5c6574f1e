"""Sampling masks: against fastMRI's for the same seed, by their rules, and by their cards."""

import json
import random as python_random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.mri.calibration import calibration_size
from mrirecon.mri.masks import KINDS, MaskCard, replay, sampling_mask

LINE_KINDS = [kind for kind in KINDS if kind != "poisson-disc"]
RANDOM_KINDS = ["random", "gaussian", "poisson-disc"]


FROZEN = {
    "equispaced": "76b8e5219614",
    "equispaced-fraction": "085aa35ed61e",
    "random": "ccf8973db03a",
    "gaussian": "7adec03c4565",
    "magic": "77de063af497",
    "magic-fraction": "5ba3edf34a19",
    "poisson-disc": "01cbc6865fe9",
}


def draw(kind, shape=(64, 48), *, acceleration=4, seed=0, centre_lines=6, axis="x", **options):
    axis = "yx" if kind == "poisson-disc" else axis
    return sampling_mask(
        kind,
        shape,
        acceleration=acceleration,
        phase_encoding_axis=axis,
        seed=seed,
        centre_lines=centre_lines,
        **options,
    )


FASTMRI = {
    "random": "RandomMaskFunc",
    "equispaced": "EquiSpacedMaskFunc",
    "equispaced-fraction": "EquispacedMaskFractionFunc",
    "magic": "MagicMaskFunc",
    "magic-fraction": "MagicMaskFractionFunc",
}


@pytest.mark.parametrize("kind", FASTMRI)
@pytest.mark.parametrize("n", [320, 368, 372, 171])
@pytest.mark.parametrize(("fraction", "acceleration"), [(0.08, 4), (0.04, 8), (0.05, 6)])
def test_same_mask_as_fastmri_for_the_same_seed(kind, n, fraction, acceleration):
    subsample = pytest.importorskip("fastmri.data.subsample")
    function = getattr(subsample, FASTMRI[kind])([fraction], [acceleration])
    for seed in (0, 1, 42, tuple(map(ord, "file1000031.h5"))):
        expected, n_low = function((1, 10, n, 2), seed=seed)
        ours = sampling_mask(
            kind, (10, n), acceleration=acceleration, phase_encoding_axis="x", seed=seed, centre_fraction=fraction
        )
        assert ours.mask.shape == (1, n)
        assert torch.equal(ours.mask[0], expected.flatten().bool())
        assert ours.card.centre_lines == n_low


@pytest.mark.parametrize("kind", [k for k in FASTMRI if k != "random"])
@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_same_mask_as_fastmri_for_the_same_offset(kind, offset):
    subsample = pytest.importorskip("fastmri.data.subsample")
    expected, _ = getattr(subsample, FASTMRI[kind])([0.08], [4])((1, 10, 322, 2), offset=offset)
    ours = sampling_mask(
        kind, (10, 322), acceleration=4, phase_encoding_axis="x", seed=0, centre_fraction=0.08, offset=offset
    )
    assert torch.equal(ours.mask[0], expected.flatten().bool())


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_repeats_and_two_seeds_differ(kind):
    assert torch.equal(draw(kind, seed=3).mask, draw(kind, seed=3).mask)
    assert draw(kind, seed=3).card == draw(kind, seed=3).card
    masks = {draw(kind, seed=seed).card.sha256 for seed in range(20)}
    assert len(masks) == 20 if kind in RANDOM_KINDS else len(masks) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_global_generators_are_left_alone(kind):
    before = np.random.get_state(), torch.get_rng_state(), python_random.getstate()  # noqa: NPY002
    draw(kind, seed=7)
    after = np.random.get_state(), torch.get_rng_state(), python_random.getstate()  # noqa: NPY002
    assert before[0][0] == after[0][0]
    np.testing.assert_array_equal(before[0][1], after[0][1])
    assert before[0][2:] == after[0][2:]
    assert torch.equal(before[1], after[1])
    assert before[2] == after[2]


@pytest.mark.parametrize("kind", KINDS)
def test_masks_do_not_depend_on_the_global_seed(kind):
    np.random.seed(0)  # noqa: NPY002
    first = draw(kind).mask
    np.random.seed(1)  # noqa: NPY002
    assert torch.equal(first, draw(kind).mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 48), (33, 51)])
@pytest.mark.parametrize("centre_lines", [0, 5, 6])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_shape_dtype_centre_and_counts(kind, shape, centre_lines, axis):
    drawn = draw(kind, shape, centre_lines=centre_lines, axis=axis)
    mask, card = drawn.mask, drawn.card
    if kind == "poisson-disc":
        assert mask.shape == shape
        total = shape[0] * shape[1]
        block = min(calibration_size(mask))
    else:
        assert mask.shape == ((1, shape[1]) if axis == "x" else (shape[0], 1))
        total = mask.numel()
        block = max(calibration_size(mask))
    assert mask.dtype == torch.bool
    assert card.n_phase_encodings == total
    assert card.n_sampled == int(mask.sum())
    assert card.effective_acceleration == total / int(mask.sum())
    odd_grid_even_centre = shape[0] % 2 == 1 and card.centre_lines % 2 == 0 and kind != "poisson-disc"
    assert block >= card.centre_lines - odd_grid_even_centre  # there the block leans to the high side, as in fastMRI


@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_equispaced_is_exact(offset):
    drawn = draw("equispaced", (10, 96), centre_lines=8, offset=offset)
    expected = torch.zeros(96, dtype=torch.bool)
    for i in range(96):
        expected[i] = i % 4 == offset or 44 <= i < 52
    assert torch.equal(drawn.mask[0], expected)
    assert drawn.card.parameters == {"offset": offset}
    assert drawn.card.n_sampled == 24 + 6
    assert drawn.card.effective_acceleration == 96 / 30
    assert drawn.card.effective_acceleration_outside_centre == 88 / 22
    assert drawn.card.nominal_acceleration == 4.0


def test_magic_samples_no_conjugate_pairs_outside_the_centre():
    for offset in range(4):
        mask = draw("magic", (10, 128), centre_lines=0, offset=offset).mask[0]
        frequencies = set((torch.nonzero(mask).flatten() - 64).tolist())
        assert not {f for f in frequencies if f != 0 and -f in frequencies}


@pytest.mark.parametrize("kind", ["equispaced-fraction", "gaussian", "magic-fraction", "poisson-disc"])
@pytest.mark.parametrize("acceleration", [3, 4, 6, 8])
def test_kinds_that_promise_the_total_reach_it(kind, acceleration):
    drawn = draw(kind, (320, 320), acceleration=acceleration, centre_lines=20)
    within = {"magic-fraction": 0.15, "equispaced-fraction": 0.05, "gaussian": 0.01, "poisson-disc": 0.001}[kind]
    assert drawn.card.effective_acceleration == pytest.approx(acceleration, rel=within)


def test_random_reaches_the_total_on_average():
    counts = [draw("random", (1, 320), centre_lines=20, seed=seed).card.n_sampled for seed in range(300)]
    assert np.mean(counts) == pytest.approx(80, abs=1.5)


def test_gaussian_density_follows_its_width():
    def frequencies(width):
        masks = [
            draw("gaussian", (1, 256), acceleration=8, centre_lines=0, seed=s, gaussian_width=width).mask[0]
            for s in range(40)
        ]
        assert all(int(mask.sum()) == 32 for mask in masks)
        return torch.cat([torch.nonzero(mask).flatten() - 128 for mask in masks]).float()

    assert float(frequencies(0.2).std()) > float(frequencies(0.1).std()) > 16
    assert abs(float(frequencies(0.2).mean())) < 6
    assert float(frequencies(1000.0).std()) == pytest.approx(256 / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_acceleration_one_samples_everything(kind):
    drawn = draw(kind, acceleration=1)
    assert bool(drawn.mask.all())
    assert drawn.card.effective_acceleration == 1.0
    assert replay(drawn.card).card == drawn.card


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    shape=st.tuples(st.integers(20, 60), st.integers(20, 60)),
    acceleration=st.integers(1, 5),
    centre_lines=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
    axis=st.sampled_from(["x", "y"]),
)
def test_every_card_survives_json_and_replays(kind, shape, acceleration, centre_lines, seed, axis):
    drawn = draw(kind, shape, acceleration=acceleration, centre_lines=centre_lines, seed=seed, axis=axis)
    card = MaskCard.from_dict(json.loads(json.dumps(drawn.card.to_dict())))
    assert card == drawn.card
    again = replay(card)
    assert torch.equal(again.mask, drawn.mask)
    assert again.mask.shape == drawn.mask.shape


def test_seed_of_several_integers_survives_json():
    card = draw("random", seed=(102, 49)).card
    assert MaskCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"seed": 1}, {"n_sampled": 3}, {"shape": [64, 50]}])
def test_replay_of_an_edited_card_fails(change):
    values = draw("random").card.to_dict()
    with pytest.raises(ConfigError, match="could not be made again"):
        replay(MaskCard.from_dict({**values, **change}))


def test_replay_of_another_generator_version_fails():
    values = draw("random").card.to_dict()
    with pytest.raises(ConfigError, match="generator version 99"):
        replay(MaskCard.from_dict({**values, "generator_version": 99}))


def test_card_with_missing_or_unknown_keys():
    values = draw("random").card.to_dict()
    with pytest.raises(ConfigError, match=r"missing: \['seed'\]"):
        MaskCard.from_dict({k: v for k, v in values.items() if k != "seed"})
    with pytest.raises(ConfigError, match=r"unknown: \['colour'\]"):
        MaskCard.from_dict({**values, "colour": 1})


def test_checksum_is_of_the_packed_bits():
    """The documented byte order, spelt out with shifts."""
    import hashlib

    drawn = draw("random", (4, 21), centre_lines=2)
    packed = bytearray(3)
    for i, bit in enumerate(drawn.mask[0].tolist()):
        packed[i // 8] |= int(bit) << (7 - i % 8)
    assert drawn.card.sha256 == hashlib.sha256(bytes(packed)).hexdigest()


def test_masks_are_frozen():
    """Checksums of generator version 1; a failure means that old cards no longer replay: raise GENERATOR_VERSION."""
    got = {kind: draw(kind, (48, 64), seed=11).card.sha256[:12] for kind in KINDS}
    assert got == FROZEN


class TestRestrictedToAcquired:
    """Retrospective undersampling of data that were themselves undersampled."""

    @pytest.fixture
    def acquired(self):
        mask = torch.ones(1, 48, dtype=torch.bool)
        mask[:, :12] = False  # partial Fourier
        return mask

    @pytest.mark.parametrize("kind", KINDS)
    def test_is_the_intersection_with_acceleration_of_the_whole_grid(self, kind, acquired):
        free, bound = draw(kind), draw(kind, acquired=acquired)
        assert torch.equal(bound.mask, free.mask & acquired)
        assert bound.card.n_phase_encodings == free.card.n_phase_encodings
        assert bound.card.effective_acceleration == bound.card.n_phase_encodings / int(bound.mask.sum())
        assert (bound.card.sha256 == free.card.sha256) == torch.equal(bound.mask, free.mask)
        assert bound.card.acquired_sha256 is not None

    def test_replay_needs_the_same_acquired_mask(self, acquired):
        drawn = draw("random", acquired=acquired)
        assert torch.equal(replay(drawn.card, acquired=acquired).mask, drawn.mask)
        assert torch.equal(replay(drawn.card, acquired=acquired.expand(64, 48)).mask, drawn.mask)
        with pytest.raises(ConfigError, match="pass the mask of the same scan"):
            replay(drawn.card)
        with pytest.raises(ConfigError, match="not the mask that the card"):
            replay(drawn.card, acquired=acquired.flip(1))
        with pytest.raises(ConfigError, match="leave `acquired` out"):
            replay(draw("random").card, acquired=acquired)

    def test_acquired_that_varies_along_the_readout(self):
        acquired = torch.ones(64, 48, dtype=torch.bool)
        acquired[:10] = False  # asymmetric echo along y, lines along x
        drawn = draw("equispaced", acquired=acquired)
        assert drawn.mask.shape == (64, 48)
        assert torch.equal(drawn.mask, draw("equispaced").mask & acquired)
        assert drawn.card.n_sampled == draw("equispaced").card.n_sampled

    def test_nothing_left(self):
        acquired = torch.zeros(1, 48, dtype=torch.bool)
        acquired[:, 1] = True
        with pytest.raises(ConfigError, match="no acquired sample is left"):
            draw("equispaced", acquired=acquired, offset=0)

    def test_wrong_shape(self):
        with pytest.raises(ShapeError, match="kx=48 or 1"):
            draw("equispaced", acquired=torch.ones(1, 40, dtype=torch.bool))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "spiral"}, "mask.kind must be one of equispaced"),
        ({"acceleration": 0.5}, "mask.acceleration must be between 1"),
        ({"acceleration": float("nan")}, "mask.acceleration must be between 1"),
        ({"acceleration": 49}, "mask.acceleration must be between 1 .* and 48"),
        ({"acceleration": 2.5}, "whole number, got 2.5; use the kind equispaced-fraction"),
        ({"centre_lines": 49}, "mask.centre_lines must be between 0 and the 48"),
        ({"centre_lines": -1}, "mask.centre_lines must be between 0"),
        ({"centre_lines": None}, "exactly one of"),
        ({"centre_fraction": 0.1}, "exactly one of"),
        ({"centre_lines": None, "centre_fraction": 1.5}, "between 0 and 1"),
        ({"offset": 4}, "mask.offset must be between 0 and 3"),
        ({"gaussian_width": 0.1}, "belongs to the kinds gaussian"),
        ({"density_slope": 0.1}, "belongs to the kinds poisson-disc"),
        ({"kind": "random", "offset": 0}, "belongs to the kinds equispaced"),
        ({"kind": "random", "centre_lines": 12}, "use at most 11 centre lines, or an acceleration below 4.00"),
        ({"kind": "equispaced-fraction", "centre_lines": 12}, "use at most 11 centre lines"),
        ({"kind": "gaussian", "centre_lines": 13}, "use at most 11 centre lines"),
        ({"kind": "gaussian", "gaussian_width": 0.0}, "mask.gaussian_width"),
        ({"kind": "magic-fraction", "centre_lines": 12}, "none is left for the outside"),
        ({"kind": "poisson-disc", "centre_lines": 30}, "use at most 27 centre lines"),
        ({"kind": "poisson-disc", "density_slope": -1.0}, "mask.density_slope"),
        ({"seed": -1}, "mask.seed"),
        ({"seed": 2**32}, "mask.seed"),
        ({"seed": ()}, "mask.seed"),
        ({"seed": "0"}, "mask.seed"),
        ({"axis": "z"}, "mask.phase_encoding_axis must be x or y"),
        ({"axis": "yx"}, "undersamples one axis"),
        ({"shape": (0, 48)}, "mask.shape"),
    ],
)
def test_impossible_requests_say_what_to_do(change, words):
    with pytest.raises(ConfigError, match=words):
        draw(**{"kind": "equispaced", **change})


def test_poisson_disc_needs_both_axes():
    with pytest.raises(ConfigError, match="must be yx for the kind poisson-disc"):
        sampling_mask("poisson-disc", (64, 48), acceleration=4, phase_encoding_axis="y", seed=0, centre_lines=6)
