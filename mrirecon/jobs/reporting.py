"""How a job speaks to whoever started it, without knowing who that is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Reporter(Protocol):
    """Receives messages and wraps loops; the command line prints and draws a progress bar."""

    def say(self, message: str) -> None:
        """One line for the user."""

    def warn(self, message: str) -> None:
        """Something the user should know about the result; it is recorded there too."""

    def track(self, items: Iterable[T], *, total: int, label: str) -> Iterator[T]:
        """The same items, counted."""


class Silent:
    """Says nothing."""

    def say(self, message: str) -> None:
        return None

    def warn(self, message: str) -> None:
        return None

    def track(self, items: Iterable[T], *, total: int, label: str) -> Iterator[T]:
        return iter(items)


class StandardError:
    """Messages and progress bars on standard error, for the command line and for scripts."""

    def say(self, message: str) -> None:
        sys.stderr.write(f"{message}\n")

    def warn(self, message: str) -> None:
        sys.stderr.write(f"warning: {message}\n")

    def track(self, items: Iterable[T], *, total: int, label: str) -> Iterator[T]:
        from tqdm import tqdm

        return iter(tqdm(items, total=total, desc=label, file=sys.stderr, leave=False, dynamic_ncols=True))
