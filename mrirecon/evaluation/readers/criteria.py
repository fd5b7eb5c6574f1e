"""What readers are asked: five criteria on one scale, 5 always the best, and which of two series they prefer."""

from __future__ import annotations

from dataclasses import dataclass

SCALE = (1, 2, 3, 4, 5)
"""Categories from the worst to the best."""

PREFERENCES = {"A": "series A is better", "B": "series B is better", "=": "no preference"}


@dataclass(frozen=True)
class Criterion:
    """One column of the score sheet.

    Parameters
    ----------
    name
        Heading of the column.
    title
        In words.
    question
        What is asked.
    answers
        Meaning of 1, 2, 3, 4 and 5.
    """

    name: str
    title: str
    question: str
    answers: tuple[str, str, str, str, str]


CRITERIA = (
    Criterion(
        "overall_quality",
        "overall image quality",
        "How good is the series as a whole?",
        ("unusable", "poor", "acceptable", "good", "excellent"),
    ),
    Criterion(
        "sharpness",
        "sharpness",
        "How well are edges and small structures delineated?",
        (
            "severe blurring, structures not delineated",
            "marked blurring",
            "moderate blurring",
            "slight blurring",
            "sharp",
        ),
    ),
    Criterion(
        "noise",
        "freedom from noise",
        "How much does noise disturb? 5 is the least noise.",
        ("severe noise, hides structures", "marked noise", "moderate noise", "slight noise", "no disturbing noise"),
    ),
    Criterion(
        "artefacts",
        "freedom from artefacts",
        "How much do artefacts disturb (folding, ringing, streaks, texture that looks made up)? 5 is the fewest.",
        ("severe, hide structures", "marked", "moderate", "slight", "none visible"),
    ),
    Criterion(
        "diagnostic_confidence",
        "diagnostic confidence",
        "How confidently could you report this examination from the series?",
        ("not at all", "hardly", "with reservations", "confidently", "with full confidence"),
    ),
)


def criterion(name: str) -> Criterion:
    """The criterion of that name."""
    return {c.name: c for c in CRITERIA}[name]
