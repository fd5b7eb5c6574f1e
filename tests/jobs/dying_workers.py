"""What worker processes of tests run: they die when a file tells them to."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mrirecon.jobs.study import executors, worker
from mrirecon.jobs.study.context import Batch, Context
from mrirecon.jobs.study.worker import run_batch

ORDERS = "die-at"
"""File in the study's folder: name of a cell at which the worker is killed, and how often is left."""


def die_at(context: Context, name: str) -> None:
    """Kill this process if there is an order for the cell."""
    path = context.folder / ORDERS
    if not path.is_file():
        return
    wanted, left = path.read_text().split()
    if wanted == name and int(left) > 0:
        path.write_text(f"{wanted} {int(left) - 1}")
        os.kill(os.getpid(), signal.SIGKILL)


def serve_dying(connection: Connection, threads: int) -> None:
    """`executors.serve` with `die_at` before every cell."""

    def dying(context: Context, batch: Batch) -> Any:
        original = worker._cell

        def cell(bench: Any, unit: Any, cache: Any) -> str:
            die_at(context, unit.key.name)
            return original(bench, unit, cache)

        worker._cell = cell
        try:
            yield from run_batch(context, batch)
        finally:
            worker._cell = original

    executors.run_batch = dying  # type: ignore[assignment]
    executors.serve(connection, threads)


def order(folder: Path, name: str, times: int) -> None:
    """Have the worker of a cell killed so many times."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ORDERS).write_text(f"{name} {times}")
