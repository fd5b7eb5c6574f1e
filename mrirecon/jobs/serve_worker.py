"""Reconstruction in a process of its own, which can be watched and ended."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import torch

from mrirecon.config.build_unfolded import build_unfolded
from mrirecon.config.schema import ReconstructionConfig, Unfolded
from mrirecon.errors import MrireconError
from mrirecon.jobs.reconstruct import reconstruct
from mrirecon.scan import ImageSeries, Scan
from mrirecon.serving.mrd.processes import become_child

T = TypeVar("T")
_RECONSTRUCTION = "reconstruction"


@dataclass(frozen=True)
class Resources:
    """Of every process that reconstructs: device, threads, bytes of memory (None for no limit)."""

    device: str
    threads: int
    memory: int | None


@dataclass(frozen=True, eq=False)
class Made:
    """What `reconstruct` made of a volume: the images, the spread of samples if there are any, and sentences."""

    series: ImageSeries
    spread: ImageSeries | None
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Failed:
    """Why there is no image."""

    reason: str


@dataclass(frozen=True)
class Progress:
    """So many of `total` planes are done."""

    done: int
    total: int


News = Made | Failed | Progress


class Worker:
    """A process that reconstructs one volume after another with one configuration.

    Parameters
    ----------
    config
        The reconstruction.
    folder
        For intermediate results.
    resources
        Of the process.
    context
        How processes are started.
    """

    def __init__(self, config: ReconstructionConfig, *, folder: Path, resources: Resources, context: BaseContext):
        self.config = config
        self._folder, self._resources, self._context = folder, resources, context
        self._process: BaseProcess | None = None
        self._pipe: Pipe | None = None
        self._count = 0
        self.busy = False

    @property
    def pipe(self) -> Pipe:
        """Becomes readable when there is news; the process is started if it is not running."""
        return self.start()

    def start(self) -> Pipe:
        """Start the process, so that it has loaded everything when there is something to do."""
        if self._pipe is not None:
            return self._pipe
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(  # type: ignore[attr-defined]
            target=_work, args=(theirs, self.config, self._resources), daemon=True
        )
        with theirs:
            self._process.start()
        self._pipe = ours
        return ours

    def submit(self, scan: Scan) -> None:
        """Begin with a volume; what was going on is ended."""
        if self.busy:
            self.end()
        self._count += 1
        out = self._folder / f"{self.config.method.kind}-{self._count}"
        self.busy = True
        try:
            self.pipe.send_bytes(pickle.dumps((scan, out)))
        except OSError:  # the process died; `news` says so
            return

    def news(self) -> News:
        """The next thing that happened; waits for it."""
        try:
            news: News = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            self.end()
            return Failed("its process ended unexpectedly, perhaps for lack of memory")
        if not isinstance(news, Progress):
            self.busy = False
        return news

    def end(self) -> None:
        """End the process; the next volume starts another one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None
        self.busy = False


class _Tell:
    """A reporter that counts planes and says nothing else."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def say(self, message: str) -> None:
        return None

    def warn(self, message: str) -> None:
        return None

    def track(self, items: Iterable[T], *, total: int, label: str) -> Iterator[T]:
        for done, item in enumerate(items):
            if label == _RECONSTRUCTION:
                _tell(self._pipe, Progress(done, total))
            yield item


def _work(pipe: Pipe, config: ReconstructionConfig, resources: Resources) -> None:
    """Body of the process."""
    become_child(stoppable=False)
    torch.set_num_threads(resources.threads)
    if isinstance(config.method, Unfolded):
        # Brings weights and code into memory while data still come in; a failure is said when it is needed.
        with contextlib.suppress(Exception):
            build_unfolded(config.method, image="complex", device=resources.device)
    while True:
        try:
            scan, out = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        _tell(pipe, _made(scan, out, config, resources, _Tell(pipe)))


def _made(scan: Scan, out: Path, config: ReconstructionConfig, resources: Resources, reporter: _Tell) -> Made | Failed:
    started = time.perf_counter()
    try:
        outcome = reconstruct(
            scan, config, out=out, reporter=reporter, device=resources.device, memory_limit=resources.memory
        )
    except MrireconError as error:
        return Failed(str(error).replace(f"{scan.source.parent}/", ""))
    except MemoryError:
        return Failed("there is not enough memory")
    except Exception as error:  # whatever it is, the fallback must have its chance; the text could quote data
        return Failed(f"an internal error ({type(error).__name__})")
    return Made(outcome.series, outcome.spread, outcome.notes, time.perf_counter() - started)


def _tell(pipe: Pipe, news: News) -> None:
    pipe.send_bytes(pickle.dumps(news))
