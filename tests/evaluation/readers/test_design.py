"""Randomisation: nothing a reader sees depends on a method; repetitions, pairs and orders are as promised."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from mrirecon.errors import ConfigError
from mrirecon.evaluation.readers.choice import choose_series
from mrirecon.evaluation.readers.design import LEAST_DISTANCE, Reading, plan_reading
from mrirecon.evaluation.readers.options import REFERENCE, ReaderOptions
from mrirecon.evaluation.readers.secret import LETTERS, Secret
from tests.evaluation.readers.simulated import series_of

METHODS = ("a", "b", "c")


def plan(n: int = 6, *, seed: int = 0, **changes: object) -> Reading:
    options = replace(ReaderOptions(), **changes)  # type: ignore[arg-type]
    return plan_reading(series_of(n, METHODS, reference=options.reference), options, Secret.from_seed(seed))


def test_items_are_complete() -> None:
    reading = plan(6, repeats=0.25, readers=3)
    first = [i for i in reading.items if i.kind == "score" and not i.repeat_of]
    assert Counter(i.shown[0].method for i in first) == dict.fromkeys([*METHODS, REFERENCE], 6)
    again = [i for i in reading.items if i.repeat_of]
    assert len(again) == 6
    by_code = {i.code: i for i in reading.items}
    assert all(by_code[i.repeat_of].shown == i.shown and not by_code[i.repeat_of].repeat_of for i in again)
    pairs = [i for i in reading.items if i.kind == "preference"]
    assert len(pairs) == 6 * (3 + 3)
    assert all(i.shown[0].input == i.shown[1].input and i.setting == "random R4" for i in pairs)
    assert len(by_code) == len(reading.items)
    for order in reading.orders.values():
        assert sorted(order) == sorted(by_code)
        kinds = [by_code[code].kind for code in order]
        assert kinds == sorted(kinds, reverse=True), "scores before preferences"
    assert len(set(reading.orders.values())) == 3


def test_repetitions_are_spread_over_methods_and_settings() -> None:
    options = ReaderOptions(repeats=0.3, pairs="none")
    series = series_of(10, METHODS, (4.0, 8.0))
    again = [i for i in plan_reading(series, options, Secret.from_seed(2)).items if i.repeat_of]
    assert len(again) == 21
    counts = Counter((i.shown[0].method, i.shown[0].setting) for i in again)
    assert len(counts) == 7
    assert set(counts.values()) == {3}
    assert not [
        i for i in plan_reading(series, replace(options, repeats=0.0), Secret.from_seed(2)).items if i.repeat_of
    ]


def test_sides_are_balanced_for_every_pair_of_methods() -> None:
    for n in (6, 7):
        pairs = [i.shown for i in plan(n, seed=4).items if i.kind == "preference"]
        groups = {frozenset((a.method, b.method)) for a, b in pairs}
        assert len(groups) == 6
        for group in groups:
            first = sum(a.method == min(group) for a, b in pairs if {a.method, b.method} == group)
            assert abs(2 * first - n) <= 1


def test_pairs_can_be_with_the_reference_only_or_none() -> None:
    pairs = [i.shown for i in plan(4, pairs="reference").items if i.kind == "preference"]
    assert len(pairs) == 12
    assert all(REFERENCE in (a.method, b.method) for a, b in pairs)
    assert not [i for i in plan(4, pairs="none").items if i.kind == "preference"]


def test_neighbours_differ_and_repetitions_come_late() -> None:
    for seed in range(5):
        reading = plan(8, seed=seed, repeats=0.5, readers=1)
        items = {i.code: i for i in reading.items}
        order = [items[code] for code in reading.orders["R1"]]
        scores = [i for i in order if i.kind == "score"]
        for part in (scores, [i for i in order if i.kind == "preference"]):
            assert all(a.shown[0].input != b.shown[0].input for a, b in pairwise(part))
        places = {i.code: n for n, i in enumerate(scores)}
        distances = [n - places[i.repeat_of] for n, i in enumerate(scores) if i.repeat_of]
        assert len(distances) == 16
        assert min(distances) > min(LEAST_DISTANCE, len(scores) // 4)


def test_one_scan_only_still_gives_an_order() -> None:
    reading = plan(1, repeats=1.0)
    assert all(len(order) == len(reading.items) for order in reading.orders.values())


def test_the_same_seed_gives_the_same_and_names_do_not_matter() -> None:
    """Calling the methods otherwise changes no code, no order, no side."""
    options = ReaderOptions(readers=2)
    series = series_of(4, METHODS)
    renamed = [replace(s, method={"a": "zebra", "b": "a", "c": "m", REFERENCE: REFERENCE}[s.method]) for s in series]
    one, two = (plan_reading(s, options, Secret.from_seed(9)) for s in (series, renamed))
    assert one == plan_reading(series, options, Secret.from_seed(9))
    assert one.orders == two.orders
    back = {"zebra": "a", "a": "b", "m": "c", REFERENCE: REFERENCE}
    for i, j in zip(one.items, two.items, strict=True):
        assert (i.code, i.repeat_of) == (j.code, j.repeat_of)
        assert [s.method for s in i.shown] == [back[s.method] for s in j.shown]
    assert plan_reading(series, options, Secret.fresh()).orders != one.orders


@pytest.mark.parametrize("what", ["code", "position", "first letter", "identifier"])
def test_no_visible_value_predicts_the_method(what: str) -> None:
    """Over 300 studies the method behind the smallest code, identifier or position is every method equally often."""
    winners: Counter[str] = Counter()
    options = ReaderOptions(readers=1, pairs="none", repeats=0)
    series = series_of(2, METHODS)
    for seed in range(300):
        secret = Secret.from_seed(seed)
        reading = plan_reading(series, options, secret)
        position = {code: n for n, code in enumerate(reading.orders["R1"])}
        values = {
            "code": lambda code: code,
            "position": lambda code, position=position: position[code],
            "first letter": lambda code: (code[0], code[::-1]),
            "identifier": lambda code, secret=secret: int(secret.uid("series", code, "").removeprefix("2.25.")),
        }
        winners[min(reading.items, key=lambda i: values[what](i.code)).shown[0].method] += 1
    assert stats.chisquare([winners[m] for m in (*METHODS, REFERENCE)]).pvalue > 0.01


def test_codes_are_letters_without_vowels_and_identifiers_equally_long() -> None:
    secret = Secret.from_seed(3)
    codes = secret.codes(3000)
    assert len(set(codes)) == 3000
    assert all(len(code) == 6 and set(code) <= set(LETTERS) for code in codes)
    assert secret.codes(10) == codes[:10]
    letters = Counter("".join(codes))
    assert stats.chisquare([letters[c] for c in LETTERS]).pvalue > 0.01
    uids = {secret.uid("instance", n) for n in range(500)}
    assert len(uids) == 500
    assert {len(uid) for uid in uids} == {44}
    assert repr(secret) == "Secret()", "the key is not printed by accident"
    assert not np.array_equal(secret.generator("a").random(4), secret.generator("b").random(4))


def test_only_complete_blocks_are_shown() -> None:
    series = series_of(3, METHODS, (4.0, 8.0))
    cells = [s for s in series if s.method != REFERENCE]
    references = [s for s in series if s.method == REFERENCE]
    gone = next(c for c in cells if (c.input, c.acceleration, c.method) == ("scan1", 8.0, "b"))
    chosen = choose_series([c for c in cells if c != gone], references=references, options=ReaderOptions())
    assert len(chosen.series) == 5 * 3 + 3
    assert chosen.left_out == (
        "scan1, random R8: left out, b not finished; finish the study, or leave the method out with `methods`",
    )
    two = choose_series(
        cells, references=references, options=ReaderOptions(methods=("c", "a"), settings=("random R8",))
    )
    assert [s.method for s in two.series] == ["c", "a", REFERENCE] * 3
    none = choose_series(cells, references=references[1:], options=ReaderOptions())
    assert none.left_out == ("scan0: no fully sampled image, shown without a reference",)


def test_another_draw_of_the_mask_stands_in() -> None:
    cells = [s for s in series_of(2, METHODS) if s.method != REFERENCE]
    cells += [replace(c, mask_seed=1) for c in cells]
    cells.remove(next(c for c in cells if (c.input, c.method, c.mask_seed) == ("scan0", "a", 0)))
    options = ReaderOptions(reference=False)
    chosen = choose_series(cells, references=[], options=options)
    assert {(s.input, s.mask_seed) for s in chosen.series} == {("scan0", 1), ("scan1", 0)}
    only = choose_series(cells, references=[], options=replace(options, mask_seed=0))
    assert {s.input for s in only.series} == {"scan1"}


def test_wrong_options_are_refused() -> None:
    cells = [s for s in series_of(2, METHODS) if s.method != REFERENCE]
    with pytest.raises(ConfigError, match=r"`methods`: 'bb' has no finished cell in the study; did you mean 'b'"):
        choose_series(cells, references=[], options=ReaderOptions(methods=("bb",)))
    with pytest.raises(ConfigError, match=r"`settings`: 'poisson R4'"):
        choose_series(cells, references=[], options=ReaderOptions(settings=("poisson R4",)))
    with pytest.raises(ConfigError, match="at least two series, got 0: the study has no finished cell"):
        choose_series([], references=[], options=ReaderOptions())
    with pytest.raises(ConfigError, match="rename it"):
        choose_series([replace(cells[0], method=REFERENCE)], references=[], options=ReaderOptions())
    for wrong in (
        {"readers": 0},
        {"repeats": 1.5},
        {"pairs": "some"},
        {"levels": "own"},
        {"pairs": "reference", "reference": False},
        {"methods": (REFERENCE,)},
    ):
        with pytest.raises(ConfigError):
            replace(ReaderOptions(), **wrong)  # type: ignore[arg-type]
