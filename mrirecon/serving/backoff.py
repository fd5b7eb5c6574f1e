"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mrirecon.errors import ConfigError


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: the k-th wait is uniform in [0, min(longest, first 2^k)] seconds.

    Jitter keeps many clients of one server that came back from coming back together.

    Parameters
    ----------
    retries
        Attempts after the first one that may fail in a row before giving up; 0 tries once.
    first_s, longest_s
        Bounds of the waits, seconds.
    seed
        Of the jitter.

    References
    ----------
    .. [1] M. Brooker, Exponential backoff and jitter, AWS Architecture Blog, 2015.
    """

    retries: int = 4
    first_s: float = 1.0
    longest_s: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ConfigError(f"--retries must be 0 or more, got {self.retries}")
        if not 0 < self.first_s <= self.longest_s:
            raise ConfigError(
                f"backoff needs 0 < first_s <= longest_s, got first_s={self.first_s:g}, longest_s={self.longest_s:g}"
            )

    def delays(self) -> Iterator[float]:
        """One wait in seconds after the other, without end."""
        generator = random.Random(self.seed)
        bound = self.first_s
        while True:
            yield generator.uniform(0.0, bound)
            bound = min(2 * bound, self.longest_s)
