"""Compare two series: headers, then pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mrirecon.evaluation.agreement.findings import Finding, verdict
from mrirecon.evaluation.agreement.pictures import Placed, compare_pictures
from mrirecon.evaluation.agreement.place import compare_places
from mrirecon.evaluation.agreement.tolerances import Tolerances
from mrirecon.io.dicom.stack import DicomStack


@dataclass(frozen=True)
class Agreement:
    """Two series compared.

    Parameters
    ----------
    place, pictures
        Findings about the headers, and about the pixels.
    tolerances
        What was allowed.
    """

    place: tuple[Finding, ...]
    pictures: tuple[Finding, ...]
    tolerances: Tolerances

    @property
    def agrees(self) -> bool:
        """Whether nothing that was judged disagrees."""
        return verdict((*self.place, *self.pictures))

    @property
    def sentence(self) -> str:
        """One line: agreement, or what disagrees."""
        wrong = [f for f in (*self.place, *self.pictures) if f.agrees is False]
        if not wrong:
            return "agrees: the same place, orientation and picture within the tolerances"
        return "DISAGREES: " + "; ".join(f"{f.name}: {f.text}" for f in wrong)

    def record(self) -> dict[str, Any]:
        """Everything as JSON-ready values; no identifier is in it."""
        return {
            "agrees": self.agrees,
            "sentence": self.sentence,
            "place": [asdict(f) for f in self.place],
            "pictures": [asdict(f) for f in self.pictures],
            "tolerances": asdict(self.tolerances),
        }


def compare_series(ours: DicomStack, theirs: DicomStack, tolerances: Tolerances) -> Agreement:
    """Whether `ours` shows what `theirs` shows, at the same place and the same way round.

    Raises
    ------
    FormatError
        If pixels cannot be decoded.
    """
    place = compare_places(ours, theirs, tolerances)
    pictures = compare_pictures(Placed(ours.read(), ours.geometry), Placed(theirs.read(), theirs.geometry), tolerances)
    return Agreement(place, pictures, tolerances)
