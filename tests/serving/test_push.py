"""The loop that sends until everything is confirmed, against an archive made of a script."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mrirecon.errors import TransferError
from mrirecon.io.dicom.inventory import DicomObject
from mrirecon.serving.backoff import Backoff
from mrirecon.serving.journal import Journal
from mrirecon.serving.outcome import Outcome, outcome_of
from mrirecon.serving.push import Commitment, PushResult, push
from tests.serving.small_series import objects_in, write_series

Step = int | TransferError | Outcome


class ScriptedArchive:
    """Answers object after object with the next step of the script: a status, an outcome, or a failing connection."""

    name = "dicom://A@host:1"

    def __init__(self, *script: Step, queries: Sequence[frozenset[str] | TransferError | None] = (None,)) -> None:
        self.script = itertools.chain(script, itertools.repeat(0))
        self.queries = iter([*queries])
        self.sent: list[list[str]] = []
        self.answered_queries = 0

    def check(self, objects: Sequence[DicomObject]) -> tuple[str, ...]:
        return ()

    def send(self, objects: Sequence[DicomObject]) -> Iterator[tuple[DicomObject, Outcome]]:
        self.sent.append([])
        for o in objects:
            self.sent[-1].append(o.path.stem)
            step = next(self.script)
            if isinstance(step, TransferError):
                raise step
            yield o, step if isinstance(step, Outcome) else outcome_of(step)

    def present(self, objects: Sequence[DicomObject]) -> frozenset[str] | None:
        self.answered_queries += 1
        found = next(self.queries)
        if isinstance(found, TransferError):
            raise found
        return found

    def commit(self, objects: Sequence[DicomObject]) -> Commitment:
        raise AssertionError


LOST = TransferError("lost", transient=True)


@pytest.fixture
def objects(tmp_path: Path) -> tuple[DicomObject, ...]:
    return objects_in(write_series(tmp_path / "d", 4))


def run(
    objects: Sequence[DicomObject], archive: ScriptedArchive, tmp_path: Path, retries: int = 2
) -> tuple[PushResult, list[float]]:
    waits: list[float] = []
    journal = Journal(tmp_path / "j")
    known = journal.confirmed(archive.name, objects)
    backoff = Backoff(retries=retries, first_s=1.0, longest_s=8.0, seed=1)
    return push(objects, archive, journal=journal, backoff=backoff, known=known, sleep=waits.append), waits


def names(objects: Sequence[DicomObject], identifiers: Sequence[str] | frozenset[str]) -> list[str]:
    return [o.path.stem for o in objects if o.sop_instance in identifiers]


def test_all_at_once(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    everything = frozenset(o.sop_instance for o in objects)
    archive = ScriptedArchive(queries=[everything])
    result, waits = run(objects, archive, tmp_path)
    assert result.confirmed == everything == result.found
    assert not result.failures
    assert not result.warnings
    assert not waits
    assert archive.answered_queries == 1


def test_an_interruption_sends_only_the_rest(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    archive = ScriptedArchive(0, 0, LOST)
    result, waits = run(objects, archive, tmp_path)
    assert archive.sent == [["0001", "0002", "0003"], ["0003", "0004"]]
    assert len(result.confirmed) == 4
    assert len(waits) == 1
    assert 0 <= waits[0] <= 1


def test_progress_starts_the_count_of_attempts_anew(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    """Two retries in a row are allowed; five failures with progress between them are survived."""
    archive = ScriptedArchive(LOST, LOST, 0, LOST, LOST, 0, LOST)
    result, waits = run(objects, archive, tmp_path, retries=2)
    assert len(result.confirmed) == 4
    assert result.problem is None
    assert len(waits) == 5


def test_giving_up(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    archive = ScriptedArchive(0, LOST, LOST, LOST, LOST)
    result, waits = run(objects, archive, tmp_path, retries=2)
    assert len(waits) == 2
    assert result.problem is LOST
    assert names(objects, result.confirmed) == ["0001"]
    assert {str(a) for a in result.failures.values()} == {"no answer of the archive"}
    assert not result.failures_answered
    again, _ = run(objects, ScriptedArchive(), tmp_path)
    assert (again.earlier, len(again.confirmed)) == (1, 4)


def test_what_is_not_worth_repeating_is_not_repeated(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    refused = TransferError("not allowed")
    archive = ScriptedArchive(refused)
    result, waits = run(objects, archive, tmp_path)
    assert (result.problem, waits, len(archive.sent)) == (refused, [], 1)
    archive = ScriptedArchive(0, 0xA900, 0xC000, 0)
    result, waits = run(objects, archive, tmp_path)
    assert (waits, len(archive.sent)) == ([], 1)
    assert names(objects, frozenset(result.failures)) == ["0002", "0003"]
    assert result.failures_answered


def test_a_busy_archive_gets_only_what_it_put_off(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    archive = ScriptedArchive(0, 0xA700, 0xB000, 0xA701)
    result, waits = run(objects, archive, tmp_path)
    assert archive.sent == [["0001", "0002", "0003", "0004"], ["0002", "0004"]]
    assert len(waits) == 1
    assert names(objects, frozenset(result.warnings)) == ["0003"]
    assert len(result.confirmed) == 4
    assert not result.failures


def test_the_archive_may_ask_for_longer_waits_up_to_a_bound(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    later = [TransferError("503", transient=True, retry_after_s=s) for s in (5.0, 3600.0)]
    _, waits = run(objects, ScriptedArchive(*later), tmp_path)
    assert waits == [5.0, 8.0]


def test_duplicates_and_silence_are_settled_by_a_query(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    unclear = Outcome("unclear", None, "not named")
    a, b, c, d = (o.sop_instance for o in objects)
    archive = ScriptedArchive(0, 0x0111, unclear, unclear, queries=[frozenset({a, b, c})] * 4)
    result, _ = run(objects, archive, tmp_path)
    assert result.confirmed == {a, b, c}
    assert str(result.failures[d]) == "not named"
    assert Journal(tmp_path / "j").confirmed(archive.name, objects) == {a, b, c}
    archive = ScriptedArchive(0x0111, queries=[None])
    journal = Journal(tmp_path / "k")
    result = push(objects[:1], archive, journal=journal, backoff=Backoff(), sleep=lambda s: None)
    assert "holds an object of this identifier already" in str(result.failures[a])


def test_an_archive_that_indexes_later(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    everything = frozenset(o.sop_instance for o in objects)
    archive = ScriptedArchive(queries=[frozenset(), LOST, everything])
    result, waits = run(objects, archive, tmp_path)
    assert result.found == everything
    assert len(waits) == 2


def test_an_archive_that_confirms_and_loses(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    archive = ScriptedArchive(queries=[frozenset()] * 9)
    result, _ = run(objects, archive, tmp_path)
    assert len(result.confirmed) == 4
    assert result.found == frozenset()
    assert archive.answered_queries == 4


def test_queries_that_are_not_allowed_do_not_spoil_the_result(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    result, _ = run(objects, ScriptedArchive(queries=[TransferError("no")]), tmp_path)
    assert result.found is None
    assert len(result.confirmed) == 4


def test_confirmations_are_written_down_when_they_arrive(objects: tuple[DicomObject, ...], tmp_path: Path) -> None:
    class Interrupted(ScriptedArchive):
        def send(self, objects: Sequence[DicomObject]) -> Iterator[tuple[DicomObject, Outcome]]:
            for i, answer in enumerate(super().send(objects)):
                if i == 2:
                    raise KeyboardInterrupt
                yield answer

    with pytest.raises(KeyboardInterrupt):
        run(objects, Interrupted(), tmp_path)
    known = Journal(tmp_path / "j").confirmed(ScriptedArchive.name, objects)
    assert names(objects, known) == ["0001", "0002"]
