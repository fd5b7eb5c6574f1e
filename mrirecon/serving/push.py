"""Send objects to an archive until it has confirmed every one, or says that it never will."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mrirecon.errors import TransferError
from mrirecon.io.dicom.inventory import DicomObject
from mrirecon.serving.backoff import Backoff
from mrirecon.serving.journal import Journal
from mrirecon.serving.outcome import Outcome

UNANSWERED = Outcome("refused", None, "no answer of the archive")
_QUERIES = 4  # an archive may index what it stored a moment later


@dataclass(frozen=True)
class Commitment:
    """The answer to a request for storage commitment.

    Parameters
    ----------
    offered
        Whether the archive offers the service.
    committed
        Identifiers that it promised to keep.
    failed
        Identifiers that it did not, each with the reason.
    problem
        Why there is no complete answer, None if there is.
    """

    offered: bool
    committed: frozenset[str] = frozenset()
    failed: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


class Archive(Protocol):
    """Something that takes DICOM objects; each method opens what it needs and leaves nothing open."""

    @property
    def name(self) -> str:
        """Address without credentials; confirmations are written down under it."""

    def check(self, objects: Sequence[DicomObject]) -> tuple[str, ...]:
        """Raise `TransferError` if nothing can be sent; otherwise sentences about the archive."""

    def send(self, objects: Sequence[DicomObject]) -> Iterator[tuple[DicomObject, Outcome]]:
        """Send once and give every answer as it arrives; `TransferError` when the connection or request fails."""

    def present(self, objects: Sequence[DicomObject]) -> frozenset[str] | None:
        """Identifiers of `objects` that a query finds, None if the archive answers no queries."""

    def commit(self, objects: Sequence[DicomObject]) -> Commitment:
        """Ask the archive to take responsibility for `objects`."""


@dataclass(frozen=True)
class PushResult:
    """What became of every object.

    Parameters
    ----------
    total
        Number of objects.
    earlier
        How many of them were confirmed by an earlier run and not sent again.
    confirmed
        Identifiers that the archive confirmed, those of earlier runs included.
    warnings
        Objects that were stored with a warning status.
    failures
        Objects that were not confirmed, with the reason.
    found
        Identifiers that a query found afterwards, None if the archive answers no queries.
    problem
        Why sending ended before every object had an answer, None if it did not.
    """

    total: int
    earlier: int
    confirmed: frozenset[str]
    warnings: dict[str, Outcome]
    failures: dict[str, Outcome]
    found: frozenset[str] | None
    problem: TransferError | None

    @property
    def failures_answered(self) -> bool:
        """Whether the archive itself said no to any object."""
        return any(outcome is not UNANSWERED for outcome in self.failures.values())


def push(
    objects: Sequence[DicomObject],
    archive: Archive,
    *,
    journal: Journal,
    backoff: Backoff,
    known: frozenset[str] = frozenset(),
    track: Callable[[Iterator[tuple[DicomObject, Outcome]], int], Iterator[tuple[DicomObject, Outcome]]] | None = None,
    say: Callable[[str], None] = lambda text: None,
    sleep: Callable[[float], None] = time.sleep,
) -> PushResult:
    """Send what is not `known` to be stored, again where that is safe and may help, then count by a query.

    Sending an object twice is safe: archives file objects by their identifier. What is repeated is a connection that
    failed and a status that says "later" (out of resources, too many associations, HTTP 429 and 503); a refusal is
    final. Retries are counted from the last confirmation on, so a long transfer survives many short interruptions.

    Parameters
    ----------
    objects
        Each once.
    archive
        Where to.
    journal
        Gets every confirmation when it arrives.
    backoff
        Waits between attempts.
    known
        Identifiers confirmed earlier, see `Journal.confirmed`.
    track
        Wraps the answers of one attempt, of which there are at most as many as the second argument says.
    say
        Gets sentences about attempts that failed.
    sleep
        Waits so many seconds.
    """
    answers: dict[str, Outcome] = {}
    todo = [o for o in objects if o.sop_instance not in known]
    delays, failed_in_a_row = backoff.delays(), 0
    problem: TransferError | None = None
    while todo:
        problem, progress = None, False
        try:
            answered = archive.send(todo)
            for sent, outcome in answered if track is None else track(answered, len(todo)):
                answers[sent.sop_instance] = outcome
                if outcome.kind == "stored":
                    journal.add(archive.name, sent)
                    progress = True
        except TransferError as error:
            problem = error
        todo = [o for o in todo if o.sop_instance not in answers or answers[o.sop_instance].transient]
        if not todo or (problem is not None and not problem.transient):
            break
        if progress:
            delays, failed_in_a_row = backoff.delays(), 0
        failed_in_a_row += 1
        if failed_in_a_row > backoff.retries:
            break
        wait = max(next(delays), min((problem and problem.retry_after_s) or 0.0, backoff.longest_s))
        say(f"{problem or 'the archive is busy'}; {len(todo)} to go, trying again in {wait:.1f} s")
        sleep(wait)
    return _judge(objects, archive, journal, backoff, known, answers, problem, sleep)


def _judge(
    objects: Sequence[DicomObject],
    archive: Archive,
    journal: Journal,
    backoff: Backoff,
    known: frozenset[str],
    answers: dict[str, Outcome],
    problem: TransferError | None,
    sleep: Callable[[float], None],
) -> PushResult:
    stored = known | {uid for uid, answer in answers.items() if answer.kind == "stored"}
    unclear = {uid for uid, answer in answers.items() if answer.kind == "unclear"}
    found = _query(objects, archive, backoff, stored | unclear, sleep) if stored | unclear else None
    for o in objects:
        if o.sop_instance in unclear and found is not None and o.sop_instance in found:
            journal.add(archive.name, o)
            stored |= {o.sop_instance}
    return PushResult(
        total=len(objects),
        earlier=len(known),
        confirmed=frozenset(stored),
        warnings={uid: a for uid, a in answers.items() if a.warning},
        failures={
            o.sop_instance: answers.get(o.sop_instance, UNANSWERED) for o in objects if o.sop_instance not in stored
        },
        found=found,
        problem=problem,
    )


def _query(
    objects: Sequence[DicomObject],
    archive: Archive,
    backoff: Backoff,
    expected: frozenset[str] | set[str],
    sleep: Callable[[float], None],
) -> frozenset[str] | None:
    found: frozenset[str] | None = None
    delays = backoff.delays()
    for attempt in range(_QUERIES):
        if attempt:
            sleep(next(delays))
        try:
            found = archive.present(objects)
        except TransferError as error:
            if not error.transient:
                return found
            continue
        if found is None or expected <= found:
            break
    return found
