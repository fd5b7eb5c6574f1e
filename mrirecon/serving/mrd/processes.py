"""Child processes that do not outlive their parent, and in which nothing of the parent's state is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import connection as waiting
from multiprocessing.context import BaseContext
from types import FrameType

_ORPHANED = 3


class Stopped(BaseException):
    """The process was asked to end (SIGTERM)."""


def start_method(preload: tuple[str, ...]) -> BaseContext:
    """How processes are started: from a server that has only imported the modules of `preload`, where there is one.

    Never by copying this process: threads and accelerators do not survive that.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def wait_until_ready(context: BaseContext) -> None:
    """Return when everything is imported, so that the first client does not have to wait for that."""
    process = context.Process(target=time.monotonic)  # type: ignore[attr-defined]
    process.start()
    process.join()


def become_child(*, stoppable: bool) -> None:
    """To be called first in a child: end with the parent, leave the keyboard to it.

    Parameters
    ----------
    stoppable
        Raise `Stopped` at SIGTERM, so that the child can say goodbye; otherwise it ends at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop if stoppable else signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _end_with(sentinel: int) -> None:
    waiting.wait([sentinel])
    os._exit(_ORPHANED)
