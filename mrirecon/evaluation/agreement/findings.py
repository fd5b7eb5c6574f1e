"""What a comparison found, one finding per question."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Parameters
    ----------
    name
        Of the question, e.g. "position".
    agrees
        None where it could not or was not to be judged.
    text
        In words, with numbers, units and the tolerance.
    values
        The numbers, JSON-ready.
    """

    name: str
    agrees: bool | None
    text: str
    values: dict[str, Any] = field(default_factory=dict)


def verdict(found: tuple[Finding, ...]) -> bool:
    """Whether nothing that was judged disagrees."""
    return all(finding.agrees is not False for finding in found)
