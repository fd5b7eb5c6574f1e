"""What the streaming server adds to a reconstruction: seconds from the last data to the last image, per slice.

    python -m tests.benchmarks.bench_serve [CONFIG ...]

A server in its own processes, a client on the same machine, a 2D multi-slice scan. Two figures per configuration:

- *added in the run*: last data to last image at the client, less the time that the reconstruction took in the same
  run, over the number of slices; load of the machine meets both alike. Assembling the scan, copying it to the process
  that reconstructs and the images back, headers, meta attributes and the network are in it.
- *against recon*: the same time less that of `reconstruct` called directly on the file, interleaved, by medians. What
  a fresh process does for the first time is in it, too.
"""

from __future__ import annotations

import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.config.load import load_config
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from mrirecon.jobs.reconstruct import reconstruct
from mrirecon.jobs.reporting import Silent
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.benchmarks.timing import foreign_load
from tests.serving.mrd import client

ROOT = Path(__file__).parents[2]
RECIPE = ScanRecipe(matrix=(8, 192, 192), voxel=(5.0, 1.2, 1.2), n_coils=8)
ROUNDS, GOAL_MS = 5, 50.0
LOG = re.compile(r"([\d.]+) s after the last data, ([\d.]+) s of them")


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        path = write_scan(work / "scan.h5", RECIPE)
        sent = client.Scan.of(path)
        log = work / "log"
        command = [sys.executable, "-m", "mrirecon.cli", "serve", "--port", "0", "--threads", "1", "--spool", folder]
        with log.open("wb") as file, subprocess.Popen(command, stderr=file, cwd=ROOT) as server:
            try:
                while not (found := re.search(r"listening on [\d.]+:(\d+)", log.read_text())):
                    time.sleep(0.1)
                address = ("127.0.0.1", int(found.group(1)))
                n = RECIPE.matrix[0]
                size = len(sent.stream("sense")) / 1e6
                print(f"{n} slices of {RECIPE.matrix[1]} x {RECIPE.matrix[2]}, {RECIPE.n_coils} coils, {size:.0f} MB; "
                      f"{foreign_load()}; milliseconds per slice, goal {GOAL_MS:.0f}")  # fmt: skip
                print(f"{'configuration':<16}{'recon':>10}{'server':>10}{'added in the run':>20}{'against recon':>16}")
                for name in names:
                    print(measured(name, path, sent, address, log, work), flush=True)
            finally:
                server.terminate()


def measured(name: str, path: Path, sent: client.Scan, address: tuple[str, int], log: Path, work: Path) -> str:
    """One line of the table."""
    config = replace(load_config(ROOT / "configs" / f"{name}.yaml"), view="acquired")
    bare, whole, added = [], [], []
    for round_ in range(ROUNDS + 1):  # the first one warms up
        start = time.perf_counter()
        reconstruct(read_ismrmrd(path), config, out=work / "bare", reporter=Silent())
        bare.append(time.perf_counter() - start)
        seen = len(LOG.findall(log.read_text()))
        whole.append(streamed(name, sent, address))
        while len(found := LOG.findall(log.read_text())) == seen:
            time.sleep(0.01)
        added.append(whole[-1] - float(found[-1][1]))
        if round_ == 0:
            bare, whole, added = [], [], []
    n = RECIPE.matrix[0] / 1e3
    b, w, a = (statistics.median(values) / n for values in (bare, whole, added))
    spread = f"({min(added) / n:.1f} to {max(added) / n:.1f})"
    return f"{name:<16}{b:>10.1f}{w:>10.1f}{a:>8.1f} {spread:>15}{w - b:>12.1f}"


def streamed(name: str, sent: client.Scan, address: tuple[str, int]) -> float:
    """Seconds from the client's close message to the last image."""
    with socket.create_connection(address, timeout=600) as sock:
        sock.sendall(sent.stream(name)[:-2])
        time.sleep(1.0)  # as on a scanner, the last line comes when the others have been taken
        start = time.perf_counter()
        sock.sendall(client.close())
        said = client.reply(sock)
        if not said.closed or len(said.images) != RECIPE.matrix[0]:
            raise SystemExit(f"the server did not answer with all images: {said.texts}")
        return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:] or ["sense", "unfolded-fast"])
