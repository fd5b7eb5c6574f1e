"""What the shift alarm found: does this scan look like what the network was trained on, as far as its data tell?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrirecon.errors import ConfigError

CueName = Literal["acceleration", "mask", "matrix", "coils", "noise", "field strength", "contrast"]
LIMITS = (
    "It compares the scan with the calibration scans as a whole: a small lesion, or anything else that fills few "
    "pixels, does not move it, other anatomy may pass, and a usual score does not vouch for the image."
)


@dataclass(frozen=True)
class ShiftCue:
    """Something cheap that lies outside what the weights were trained on or calibrated with.

    Parameters
    ----------
    name
        What it is about.
    found, usual
        Of this scan, and the range or kinds of the training, in words.
    sentence
        Both, for people.
    """

    name: CueName
    found: str
    usual: str
    sentence: str


@dataclass(frozen=True)
class ShiftReport:
    """The shift alarm of one scan, ready for JSON through `records.to_mapping`.

    Parameters
    ----------
    verdict
        ``usual`` or ``unusual`` by the score against its threshold; ``not scored`` where no score could be had.
    sentence
        The verdict in plain words.
    score
        The shift score of the scan, the median over its planes; the larger, the less the scan looks like the training.
    threshold
        From the model card: ``unusual`` above it.
    false_alarm_rate
        How often scans of the kind that the card was calibrated with exceed the threshold.
    p_value
        Share of the calibration scans that score at least as high, (k + 1) / (n + 1).
    planes
        How many planes were scored.
    checkpoint
        Whose prior it is.
    cues
        What else is unusual; they do not change the verdict.
    limits
        What the score cannot say, in plain words.
    """

    verdict: Literal["usual", "unusual", "not scored"]
    sentence: str
    score: float | None = None
    threshold: float | None = None
    false_alarm_rate: float | None = None
    p_value: float | None = None
    planes: int = 0
    checkpoint: str = ""
    cues: tuple[ShiftCue, ...] = ()
    limits: str = LIMITS

    def __post_init__(self) -> None:
        scored = self.verdict != "not scored"
        if scored != (self.score is not None and self.threshold is not None):
            raise ConfigError(
                f"a verdict {self.verdict!r} needs {'a score and a threshold' if scored else 'no score'}, got "
                f"{self.score} and {self.threshold}"
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that must reach the reader of the images: an unusual score, and every cue."""
        first = (self.sentence,) if self.verdict == "unusual" else ()
        return (*first, *(cue.sentence for cue in self.cues))


def not_scored(reason: str, *, checkpoint: str = "", cues: tuple[ShiftCue, ...] = ()) -> ShiftReport:
    """The report of a scan that cannot be scored, and why; it is no all-clear."""
    return ShiftReport("not scored", f"Shift alarm: not scored, because {reason}.", checkpoint=checkpoint, cues=cues)
