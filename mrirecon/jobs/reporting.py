"""How a job speaks to whoever started it, without knowing who that is."""

from __future__ import annotations

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
