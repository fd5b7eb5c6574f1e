"""Who computes the batches of a study: this process, or several on this machine. One interface for all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

import torch

from mrirecon.jobs.study.context import Batch, Context, Outcome
from mrirecon.jobs.study.worker import run_batch

ATTEMPTS = 2
"""How often a unit may be under way when its worker dies, before it is a hole."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Executor(Protocol):
    """Runs batches; outcomes come in any order, one for every unit, and nothing is raised for what a unit did."""

    @property
    def workers(self) -> int:
        """How many batches are under way at once."""

    def run(self, context: Context, batches: Sequence[Batch]) -> Iterator[Outcome]:
        """The outcomes of all units. Closing the iterator stops what was not begun."""

    def limit(self, workers: int) -> None:
        """Use no more than so many from now on."""

    def close(self) -> None:
        """End the workers."""


@dataclass
class InProcess:
    """One after the other, here."""

    threads: int = 1

    @property
    def workers(self) -> int:
        return 1

    def run(self, context: Context, batches: Sequence[Batch]) -> Iterator[Outcome]:
        for batch in batches:
            work = run_batch(context, batch)
            while True:
                with _torch_threads(self.threads):  # the caller's threads are back between the units
                    outcome = next(work, None)
                if outcome is None:
                    break
                yield outcome

    def limit(self, workers: int) -> None:
        return None

    def close(self) -> None:
        return None


@dataclass
class _Hand:
    """One worker process and what it does."""

    process: BaseProcess
    connection: Connection
    batch: Batch | None = None
    done: int = 0


@dataclass
class Processes:
    """Worker processes on this machine, each with its own threads; one that dies is replaced.

    Parameters
    ----------
    count
        How many at once.
    threads
        Of each.
    target
        What a process runs; another one in tests.
    """

    count: int
    threads: int = 1
    target: Callable[[Connection, int], None] | None = None
    _hands: list[_Hand] = field(default_factory=list, repr=False)

    @property
    def workers(self) -> int:
        return self.count

    def run(self, context: Context, batches: Sequence[Batch]) -> Iterator[Outcome]:
        queue = deque(batches)
        deaths: dict[str, int] = {}
        try:
            while queue or any(hand.batch for hand in self._hands):
                self._hand_out(queue, context)
                for hand in self._ready():
                    yield from self._heard(hand, queue, deaths)
        finally:
            if any(hand.batch for hand in self._hands):  # the caller gave up: what is under way is not waited for
                self.close()

    def limit(self, workers: int) -> None:
        self.count = max(1, min(self.count, workers))
        for hand in self._hands[self.count :]:
            _end(hand)
        del self._hands[self.count :]

    def close(self) -> None:
        for hand in self._hands:
            _end(hand)
        self._hands.clear()

    def _hand_out(self, queue: deque[Batch], context: Context) -> None:
        while len(self._hands) < min(self.count, len(queue) + sum(h.batch is not None for h in self._hands)):
            self._hands.append(self._started())
        for hand in self._hands:
            if hand.batch is None and queue:
                hand.batch, hand.done = queue.popleft(), 0
                try:
                    hand.connection.send((context, hand.batch))
                except (OSError, ValueError):  # it is dead; `_ready` finds that
                    continue

    def _ready(self) -> list[_Hand]:
        busy = [hand for hand in self._hands if hand.batch is not None]
        found = wait([h.connection for h in busy] + [h.process.sentinel for h in busy])
        return [h for h in busy if h.connection in found or h.process.sentinel in found]

    def _heard(self, hand: _Hand, queue: deque[Batch], deaths: dict[str, int]) -> Iterator[Outcome]:
        batch = hand.batch
        if batch is None:
            return
        try:
            while hand.connection.poll():
                outcome: Outcome = hand.connection.recv()
                hand.done += 1
                if hand.done == len(batch.units):
                    hand.batch = None
                yield outcome
                if hand.batch is None:
                    return
        except (EOFError, OSError):
            pass
        else:
            if hand.process.is_alive():
                return
        self._hands.remove(hand)
        hand.process.join()
        left = batch.units[hand.done :]
        if not left:
            return
        first, rest = left[0], left[1:]
        deaths[first.name] = deaths.get(first.name, 0) + 1
        if deaths[first.name] >= ATTEMPTS:
            yield Outcome(first, f"its worker died {ATTEMPTS} times ({_cause(hand.process.exitcode)})", written=False)
        else:
            rest = left
        if rest:
            queue.appendleft(Batch(batch.source, rest))

    def _started(self) -> _Hand:
        here, there = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=self.target or serve, args=(there, self.threads), daemon=True)
        with _environment(self.threads):
            process.start()
        there.close()
        return _Hand(process, here)


def serve(connection: Connection, threads: int) -> None:
    """What a worker process does: batches come in, outcomes go out, until the other side is gone."""
    torch.set_num_threads(threads)
    try:
        while True:
            context, batch = connection.recv()
            for outcome in run_batch(context, batch):
                connection.send(outcome)
    except (EOFError, OSError, KeyboardInterrupt):
        return


def batches_of(units: Sequence[Batch], workers: int) -> list[Batch]:
    """Batches split where there are too few of them for all workers to have something to do until the end."""
    found = list(units)
    while len(found) < 2 * workers:
        longest = max(range(len(found)), key=lambda i: len(found[i].units), default=-1)
        if longest < 0 or len(found[longest].units) < 2:
            break
        batch = found[longest]
        half = (len(batch.units) + 1) // 2
        found[longest : longest + 1] = [
            Batch(batch.source, batch.units[:half]),
            Batch(batch.source, batch.units[half:]),
        ]
    return found


def _end(hand: _Hand) -> None:
    hand.connection.close()
    if hand.batch is not None:
        hand.process.terminate()
    hand.process.join(timeout=10)
    if hand.process.is_alive():
        hand.process.kill()
        hand.process.join()


def _cause(code: int | None) -> str:
    if code == -9:
        return "killed, perhaps because the memory did not suffice: use fewer workers"
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Thread counts that libraries read when they are loaded."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
