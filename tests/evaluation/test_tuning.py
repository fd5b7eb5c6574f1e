"""Searching a grid without trying all of it."""

from __future__ import annotations

import pytest

from mrirecon.evaluation.tuning import coarse_to_fine


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9, 12])
def test_the_summit_is_found_wherever_it_is(count: int) -> None:
    for summit in range(count):
        asked: list[int] = []

        def value(i: int, summit: int = summit, asked: list[int] = asked) -> float:
            asked.append(i)
            return -float((i - summit) ** 2) if i < summit else -3.0 * abs(i - summit)

        known = coarse_to_fine(count, value)
        assert max(known, key=lambda i: known[i]) == summit
        assert {summit - 1, summit + 1} & set(range(count)) <= set(known)  # its neighbours were seen
        assert sorted(asked) == sorted(known)  # each once
        assert len(known) <= count


def test_less_is_asked_for_than_there_is() -> None:
    counts = [len(coarse_to_fine(9, lambda i, s=s: -abs(i - s))) for s in range(9)]
    assert max(counts) <= 6
    assert max(len(coarse_to_fine(7, lambda i, s=s: -abs(i - s))) for s in range(7)) <= 5


def test_failures_count_as_nothing() -> None:
    known = coarse_to_fine(7, lambda i: float(i) if i < 3 else float("-inf"))
    assert max(known, key=lambda i: known[i]) == 2
    assert set(coarse_to_fine(5, lambda i: float("-inf"))) <= set(range(5))
