"""Who was scanned, without saying it: identifiers are counted and named, never carried by default."""

from __future__ import annotations

from dataclasses import dataclass, field

from mrirecon.scan.identity import Identity


@dataclass(frozen=True)
class Subject:
    """A pseudonymous subject.

    Parameters
    ----------
    pseudonym
        Stable for one input, reveals nothing: derived from a checksum of the file.
    identifiers_present
        Names of the header fields that hold identifying text (never their values).
    study_instance_uid
        The study of the source when the header carries it; used only on request.
    identity
        Who it is, when the user asked to keep that; see `mrirecon.io.identity`.
    """

    pseudonym: str
    identifiers_present: tuple[str, ...] = field(default=())
    study_instance_uid: str | None = None
    identity: Identity | None = field(default=None, repr=False)
