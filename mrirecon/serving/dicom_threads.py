"""What makes pynetdicom's threads safe to send with: a queue that is bounded and a gate that closes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

_QUEUED = 32  # fragments between reading and sending


class BoundedQueue(queue.Queue[Any]):
    """Holds back fragments of a message until there is room, so that a file is not queued whole; all else passes.

    Parameters
    ----------
    fragment
        Class of the fragments.
    connected
        Whether somebody still takes them out.
    """

    def __init__(self, fragment: type[Any], connected: Callable[[], bool]) -> None:
        super().__init__()
        self._fragment = fragment
        self._connected = connected

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if isinstance(item, self._fragment):
            with self.not_full:
                while self._qsize() >= _QUEUED:
                    if not self._connected():
                        raise ConnectionError("the connection ended while a message was being sent")
                    self.not_full.wait(0.1)
        super().put(item, block, timeout)


class Gate(threading.Event):
    """Stops the library's background thread for certain before a message is sent.

    The library clears an event and then looks at a flag that may be stale; now and then the thread makes one more
    round, takes the archive's answer for a request, and the answer is lost. Here `clear` returns when the thread waits.

    Parameters
    ----------
    link
        The background thread.
    """

    def __init__(self, link: threading.Thread) -> None:
        super().__init__()
        self._link = link
        self._changed = threading.Condition()
        self._open, self._waiting = True, False

    def set(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._open = False
            while not self._waiting and self._link.is_alive() and self._link is not threading.current_thread():
                self._changed.wait(0.1)

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._open, timeout)
            self._waiting = False
        return passed

    def is_set(self) -> bool:
        return self._open
