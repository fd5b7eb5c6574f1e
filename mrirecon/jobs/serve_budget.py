"""The reconstruction that was asked for if it is in time, else the classical one of the same data."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from multiprocessing import connection as waiting
from multiprocessing.context import BaseContext
from pathlib import Path

from mrirecon.config.schema import ReconstructionConfig, Sense
from mrirecon.jobs.serve_worker import Failed, Made, News, Progress, Resources, Worker
from mrirecon.scan import Scan

_MARGIN = 1.2
"""How far beyond the deadline the projected end must lie to give up before it: rates fluctuate."""
_ENOUGH = 2
"""Planes after which their rate is trusted."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The images to send, and why they are classical although something else was asked for (None if not so)."""

    made: Made
    fallback: str | None


class Reconstructors:
    """The processes of one client: what was asked for, and CG-SENSE as its fallback; a context manager.

    With a budget both start together, so that the classical images exist when they are needed; without one the
    fallback runs only after a failure. CG-SENSE itself has no fallback.

    Parameters
    ----------
    config
        What was asked for.
    budgeted
        Whether there will be deadlines.
    folder, resources, context
        As `Worker`.
    """

    def __init__(
        self,
        config: ReconstructionConfig,
        *,
        budgeted: bool,
        folder: Path,
        resources: Resources,
        context: BaseContext,
    ) -> None:
        self._budgeted = budgeted
        self._asked = Worker(config, folder=folder, resources=resources, context=context)
        classical = None if isinstance(config.method, Sense) else dataclasses.replace(config, method=Sense())
        self._classical = None
        if classical is not None:
            self._classical = Worker(classical, folder=folder, resources=resources, context=context)
        self._asked.start()
        if self._classical is not None and budgeted:
            self._classical.start()

    def __enter__(self) -> Reconstructors:
        return self

    def __exit__(self, *error: object) -> None:
        self._asked.end()
        if self._classical is not None:
            self._classical.end()

    def reconstruct(self, scan: Scan, *, deadline: float | None, last: float) -> Chosen | Failed:
        """The images of one volume.

        Parameters
        ----------
        scan
            The volume.
        deadline
            When the method that was asked for must be done, by `time.monotonic`; None for no such time.
        last
            When everything must be done.

        Returns
        -------
            `Failed` if there are no images by any method, or not by `last`.
        """
        self._asked.submit(scan)
        classical = self._classical
        if classical is None:
            made = _wait(self._asked, last)
            return Chosen(made, None) if isinstance(made, Made) else made
        if not self._budgeted or deadline is None:
            made = _wait(self._asked, last)
            if isinstance(made, Made):
                return Chosen(made, None)
            classical.submit(scan)
            return _instead(_wait(classical, last), made.reason)
        classical.submit(scan)
        return self._race(classical, min(deadline, last), last)

    def _race(self, classical: Worker, deadline: float, last: float) -> Chosen | Failed:
        """Both work; the classical images wait until the others are there, or will not be in time."""
        asked, spare = self._asked, None
        pace = _Pace(time.monotonic())
        while (left := deadline - time.monotonic()) > 0:
            pipes = {asked.pipe: asked, **({classical.pipe: classical} if spare is None else {})}
            for pipe in waiting.wait(list(pipes), left):
                worker = pipes[pipe]  # type: ignore[index]
                news = worker.news()
                if worker is classical:
                    spare = spare if isinstance(news, Progress) else news
                elif isinstance(news, Progress):
                    pace.note(news)
                elif isinstance(news, Made):
                    return Chosen(news, None)
                else:
                    return _instead(spare or _wait(classical, last), news.reason)
            if isinstance(spare, Made) and pace.exceeds(deadline):
                break
        asked.end()
        return _instead(spare or _wait(classical, last), "it would have exceeded the time budget")


class _Pace:
    """When the work will be done, from the planes so far."""

    def __init__(self, now: float) -> None:
        self._began: float | None = None
        self._now = now
        self._latest = Progress(0, 1)

    def note(self, progress: Progress) -> None:
        self._now = time.monotonic()
        if self._began is None:
            self._began = self._now
        self._latest = progress

    def exceeds(self, deadline: float) -> bool:
        """Whether the end is likely to come after the deadline."""
        if self._began is None or self._latest.done < _ENOUGH:
            return False
        a_plane = (self._now - self._began) / self._latest.done
        total = a_plane * self._latest.total
        return self._began + total / _MARGIN > deadline


def _wait(worker: Worker, last: float) -> Made | Failed:
    """The outcome of a worker; `Failed` when it is not there by `last`."""
    while (left := last - time.monotonic()) > 0:
        if worker.pipe.poll(left):
            news: News = worker.news()
            if not isinstance(news, Progress):
                return news
    worker.end()
    return Failed("the total time of a connection is over")


def _instead(made: Made | Failed, reason: str) -> Chosen | Failed:
    if isinstance(made, Failed):
        return Failed(f"{reason}; nor can the classical reconstruction: {made.reason}")
    return Chosen(made, reason)
