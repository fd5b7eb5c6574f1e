"""Waits between attempts."""

from __future__ import annotations

from itertools import islice

import pytest

from mrirecon.errors import ConfigError
from mrirecon.serving.backoff import Backoff


def waits(n: int, **changes: float | int) -> list[float]:
    return list(islice(Backoff(**changes).delays(), n))  # type: ignore[arg-type]


def test_full_jitter_below_a_doubling_bound() -> None:
    bounds = [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    drawn = [waits(6, longest_s=10.0, seed=seed) for seed in range(2000)]
    for k, bound in enumerate(bounds):
        values = [row[k] for row in drawn]
        assert 0 <= min(values) < 0.01 * bound
        assert 0.99 * bound < max(values) <= bound
        assert sum(values) / len(values) == pytest.approx(bound / 2, rel=0.04)  # 3 sigma of the mean of 2000


def test_the_seed_decides() -> None:
    assert waits(5, seed=3) == waits(5, seed=3)
    assert waits(5, seed=3) != waits(5, seed=4)


@pytest.mark.parametrize("changes", [{"retries": -1}, {"first_s": 0.0}, {"first_s": 5.0, "longest_s": 1.0}])
def test_impossible_values(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Backoff(**changes)  # type: ignore[arg-type]
