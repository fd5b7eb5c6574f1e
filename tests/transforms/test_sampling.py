import json

import monai.utils
import pytest
import torch

from mrirecon.errors import ConfigError
from mrirecon.mri.mask_card import MaskCard
from mrirecon.mri.masks import replay
from mrirecon.transforms import LoadScand, RandSamplingMaskd, RemoveOversamplingd, SamplingMaskd
from mrirecon.transforms.header import notes_of
from tests.transforms.scans import analytic, simulated


def prepared(**options):
    return RemoveOversamplingd()(LoadScand()({"scan": simulated(**options)}))


@pytest.mark.parametrize("kind", ["equispaced", "random", "gaussian", "poisson-disc"])
def test_samples_are_dropped_not_changed_and_the_card_replays(kind):
    before = prepared()
    after = SamplingMaskd(kind=kind, acceleration=3, centre_lines=8, seed=5)(before)
    mask = after["mask"].expand(after["kspace"].shape)
    assert torch.equal(after["kspace"][mask], before["kspace"][mask])
    assert after["kspace"][~mask].abs().max() == 0
    assert 1.5 < mask.numel() / int(mask.sum()) < 3.5
    card = MaskCard.from_dict(json.loads(after["mask_card"]))
    assert torch.equal(replay(card).mask, after["mask"][0, 0])
    assert f"seed {card.seed}" in notes_of(after["meta"])[-1]
    assert after["kspace"].dtype == torch.complex64


def test_what_was_not_acquired_stays_missing():
    mask = torch.ones(1, 32, 1, dtype=torch.bool)
    mask[:, :10] = False
    scan, _ = analytic(mask=mask)
    item = LoadScand()({"scan": scan})
    after = SamplingMaskd(acceleration=2, centre_lines=4, seed=0)(item)
    assert not bool((after["mask"] & ~item["mask"]).any())
    assert after["kspace"][:, :, :10].abs().max() == 0
    assert json.loads(after["mask_card"])["acquired_sha256"] is not None


def test_an_item_can_have_a_mask_of_its_own():
    item = prepared()
    transform = SamplingMaskd(kind="random", acceleration=3, centre_lines=4, seed_key="number")
    masks = [transform({**item, "number": n})["mask"] for n in (1, 1, 2)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_random_masks_follow_monais_seeds():
    item = prepared()

    def drawn(seed):
        transform = RandSamplingMaskd(accelerations=(2, 4), centre_lines=4)
        transform.set_random_state(seed=seed)
        return [transform(item) for _ in range(6)]

    first, again, other = drawn(0), drawn(0), drawn(1)
    cards = [json.loads(i["mask_card"]) for i in first]
    assert all(torch.equal(a["mask"], b["mask"]) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a["mask"], b["mask"]) for a, b in zip(first, other, strict=True))
    assert {c["nominal_acceleration"] for c in cards} == {2, 4}
    for made, card in zip(first, cards, strict=True):
        assert torch.equal(replay(MaskCard.from_dict(card)).mask, made["mask"][0, 0])
    assert monai.utils.get_seed() is None
    with pytest.raises(ConfigError, match="at least one"):
        RandSamplingMaskd(accelerations=())
