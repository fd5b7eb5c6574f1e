"""What the study engine costs: overhead per cell, speed-up by a second worker, time to go on after a kill at 90 %.

Cells are reconstructions of known processor time on small scans (a method that computes for --seconds on one thread),
so that what is left is the engine. Goals: overhead <= 5 % of a cell of 1 s, speed-up >= 1.7 with two workers on two
idle cores, going on <= 2 s besides the open cell. Foreign load makes wall times useless: it is printed, and overheads
are given in processor time as well.

python -m tests.benchmarks.bench_study [--cells 16] [--seconds 1.0] [--only overhead,speedup,resume]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.evaluation.methods import Method
from mrirecon.evaluation.study.results import open_study
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study import executors, worker
from mrirecon.jobs.study import run as study_run
from mrirecon.jobs.study.executors import InProcess, Processes
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.reconstruction.linear import MatchedFilter
from tests.jobs.study_case import write_case, written


@dataclass(frozen=True, eq=False)
class Working(Reconstructor):
    """The matched filter after so many seconds of work of one thread."""

    seconds: float

    def __call__(self, y: torch.Tensor, model: Any, *, generator: torch.Generator | None = None) -> Reconstruction:
        values = torch.full((256, 256), 1e-3)
        end = time.thread_time() + self.seconds
        while time.thread_time() < end:
            values = values @ values
        return MatchedFilter()(y, model, generator=generator)


def let_methods_work(seconds: float) -> None:
    """Have every method of this process take so long per slice."""
    worker.build_method = lambda *a, **k: Method(Working(seconds), {})  # type: ignore[assignment]


def serve_working(connection: Connection, threads: int) -> None:
    """A worker whose methods take what the environment says."""
    import os

    let_methods_work(float(os.environ["MRIRECON_BENCH_SECONDS"]))
    executors.serve(connection, threads)


class Stopping(Silent):
    """Raises after so many cells, as a kill would."""

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def track(self, items: Any, *, total: int, label: str) -> Iterator[Any]:
        for number, item in enumerate(items):
            yield item
            if label == "cells" and number + 1 == self.cells:
                raise KeyboardInterrupt


def timed_run(config: Path, out: Path, executor: Any, reporter: Silent | None = None) -> tuple[float, float]:
    """Wall and processor seconds of a run."""
    study_run._executor = lambda *_: executor  # type: ignore[assignment]
    start, cpu = time.perf_counter(), time.process_time()
    try:
        options = study_run.StudyOptions(data=config.parent)
        study_run.run_study(config, out, options, reporter or Silent())
    except KeyboardInterrupt:
        pass
    return time.perf_counter() - start, time.process_time() - cpu


def fresh_process(config: Path, out: Path) -> tuple[float, float]:
    """Wall and processor seconds of `mrirecon study` on a finished study, whose methods are the plain ones."""
    code = "import sys; from mrirecon.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["study", str(config), "--out", str(out), "--data", str(config.parent), "--no-report"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def main() -> None:
    import os

    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cells", type=int, default=16)
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--only", default="overhead,speedup,resume")
    arguments = p.parse_args()
    wanted, n = arguments.only.split(","), arguments.cells
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="bench-study-"))
    os.environ["MRIRECON_BENCH_SECONDS"] = str(arguments.seconds)
    let_methods_work(arguments.seconds)
    methods = {f"m{i}": {"kind": "adjoint"} for i in range(4)}
    inputs = {"anna": {"kind": "scan", "files": "anna.npy", "slices": 1}}
    masks = {"accelerations": [2], "centre": 0.2, "seeds": list(range(max(1, n // 4)))}
    config = write_case(folder, methods=methods, inputs=inputs, masks=masks)
    print(f"{n} cells of {arguments.seconds} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    try:
        timed_run(config, folder / "warm", InProcess(1))
        if "overhead" in wanted:
            wall, cpu = timed_run(config, folder / "one", InProcess(1))
            cells = open_study(folder / "one").cells
            own, own_cpu = sum(c.seconds for c in cells), sum(c.cpu_seconds for c in cells)
            print(
                f"overhead: {1e3 * (cpu - own_cpu) / n:.0f} ms of processor time per cell "
                f"({100 * (cpu - own_cpu) / own_cpu:.1f} %), {1e3 * (wall - own) / n:.0f} ms wall "
                f"({100 * (wall - own) / own:.1f} %); goal 5 % (maps, scores and writing included)"
            )
        if "speedup" in wanted:
            one, two = Processes(1, target=serve_working), Processes(2, target=serve_working)
            walls = []
            for name, executor in (("p1", one), ("p2", two)):
                end, executor.close = executor.close, lambda: None  # type: ignore[method-assign]
                timed_run(config, folder / f"start-{name}", executor)  # then processes run and libraries are loaded
                walls.append(timed_run(config, folder / name, executor)[0])
                end()
            print(
                f"speed-up by a second worker: {walls[0] / walls[1]:.2f} ({walls[0]:.1f} s, {walls[1]:.1f} s); goal 1.7"
            )
        if "resume" in wanted:
            out = folder / "killed"
            timed_run(config, out, InProcess(1), Stopping(round(0.9 * n)))
            left = n - len(written(out))
            wall, cpu = timed_run(config, out, InProcess(1))
            print(
                f"going on with {left} of {n} cells: {wall - left * arguments.seconds:.2f} s besides them "
                f"({cpu - left * arguments.seconds:.2f} s of processor time) in a process that runs"
            )
            wall, cpu = fresh_process(config, out)
            print(
                f"a new process with nothing left to do: {wall:.2f} s ({cpu:.2f} s of processor time), Python and "
                "torch and tables included; goal 2 s for both lines together"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
