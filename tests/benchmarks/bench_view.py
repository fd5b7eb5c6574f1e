"""How long `mrirecon view` takes to show a 256 x 256 x 64 volume in headless Chromium with software rendering.

    python -m tests.benchmarks.bench_view [--rounds 5]

Every round starts a browser of its own with an empty cache. Wall time runs from the request for the page until its
first image is drawn, so starting the browser is not in it, and neither is starting the server. CPU seconds are those of
the browser's processes and the server in that time: what the wall time cannot exceed on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrirecon.io.nifti.writer import write_nifti
from tests.io.phantom_series import make_phantom
from tests.serving.viewer.chromium import Chromium, browser

SHAPE = (64, 256, 256)
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print one line a round and the median."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    if browser() is None:
        raise SystemExit("no Chromium on this machine; install Debian's chromium")
    with tempfile.TemporaryDirectory() as folder:
        write_nifti(make_phantom(shape=SHAPE).series, Path(folder) / "image.nii.gz")
        figures = [measure(folder) for _ in range(rounds)]
    for wall, cpu in figures:
        print(f"first image after {wall:.2f} s, {cpu:.2f} s of CPU time")
    walls, cpus = zip(*figures, strict=True)
    print(
        f"median {statistics.median(walls):.2f} s, best {min(walls):.2f} s; CPU time median "
        f"{statistics.median(cpus):.2f} s; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def measure(folder: str) -> tuple[float, float]:
    """Wall and CPU seconds until the first image, with a server and a browser of their own."""
    with viewer(folder) as url, Chromium() as page:
        page.run("new Promise((done) => setTimeout(done, 1000))")  # the browser's own start is over
        before, start = cpu_seconds(os.getpid()), time.perf_counter()
        page.send("Page.navigate", url=url)
        page.until("Boolean(document.body && document.body.dataset.state)")
        wall = time.perf_counter() - start
        cpu = cpu_seconds(os.getpid()) - before
        if page.run("document.body.dataset.state") != "ready":
            raise SystemExit(page.run("document.getElementById('message').textContent"))
        return wall, cpu


@contextmanager
def viewer(folder: str) -> Iterator[str]:
    """The address of `mrirecon view` in a process of its own."""
    command = [sys.executable, "-m", "mrirecon.cli", "view", folder, "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(word for line in process.stderr for word in line.split() if word.startswith("http://"))
        finally:
            process.terminate()


def cpu_seconds(root: int) -> float:
    """User and system time of a process and all below it."""
    parents: dict[int, int] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        times[int(entry.name)] = (int(fields[11]) + int(fields[12])) / _TICKS
    below, total = {root}, times[root]
    while more := {p for p, parent in parents.items() if parent in below and p not in below}:
        below |= more
        total += sum(times[p] for p in more)
    return total


if __name__ == "__main__":
    main()
