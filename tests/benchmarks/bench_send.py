"""Sending a series: `mrirecon send` against dcmtk's storescu on the same files, interleaved.

    python -m tests.benchmarks.bench_send [ROUNDS]

Both ends are processes of this machine inside one network namespace, as storescp listens on every interface. Times:
storescu as a process; ours as a process (with Python's start and imports) and as the job alone (header reading, C-ECHO,
C-STORE, writing down every confirmation, query), and the transfer alone. The ratio is storescu's time over ours in the
same round, so above 1 we are faster. storescp answers in two packets; the second waits for the acknowledgement of the
first unless its Nagle algorithm is off: both cases are shown (TCP_NODELAY=0 and 1 in its environment).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mrirecon.io.dicom.inventory import dicom_inventory
from mrirecon.io.dicom.series import write_dicom
from mrirecon.jobs.send import SendOptions, send_folder
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import parse_destination
from mrirecon.serving.dicom_archive import DicomArchive
from mrirecon.serving.dicom_peer import Peer
from tests.benchmarks.timing import Timing, foreign_load, interleaved, paired_ratio
from tests.io.phantom_series import make_phantom
from tests.serving.namespace_relay import bring_loopback_up

INSIDE = "MRIRECON_BENCH_INSIDE"
SERIES = {"64 slices of 256 x 256 (8.5 MB)": (64, 256, 256), "16 slices of 1024 x 1024 (34 MB)": (16, 1024, 1024)}


def contenders(folder: Path, port: int, state: Path) -> dict[str, Callable[[], object]]:
    to = f"dicom://ANY@127.0.0.1:{port}"
    objects = dicom_inventory(folder).objects
    archive = DicomArchive(Peer(parse_destination(to), "MRIRECON", Credentials(), None, 30.0))
    options = SendOptions(again=True, state=state)

    def storescu() -> None:
        subprocess.run(["storescu", "-q", "-aec", "ANY", "127.0.0.1", str(port), "+sd", str(folder)], check=True)

    def command() -> None:
        call = [sys.executable, "-m", "mrirecon.cli", "send", str(folder), "--to", to, "--again", "--state", str(state)]
        subprocess.run(call, check=True, capture_output=True)

    def job() -> None:
        assert send_folder(folder, to, options, environment={})["complete"]

    def transfer() -> None:
        assert all(outcome.kind == "stored" for _, outcome in archive.send(objects))

    return {"storescu": storescu, "mrirecon send": command, "the job alone": job, "the transfer alone": transfer}


def measure(folder: Path, no_delay: int, port: int, rounds: int) -> dict[str, Timing]:
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "TCP_NODELAY": str(no_delay)}
        command = ["storescp", "-q", "--ignore", "-pdu", "16384", str(port)]
        server = subprocess.Popen(command, cwd=place, env=environment)
        try:
            time.sleep(0.5)
            return interleaved(contenders(folder, port, Path(place) / "state"), rounds=rounds)
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if INSIDE not in os.environ:
        for program in ("storescu", "storescp", "unshare"):
            if shutil.which(program) is None:
                sys.exit(f"{program} is not installed (Debian: dcmtk, util-linux)")
        os.environ[INSIDE] = "1"
        again = [sys.executable, "-m", "tests.benchmarks.bench_send", str(rounds)]
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--net", *again])
    bring_loopback_up()
    print(foreign_load())
    port = 11112
    for title, shape in SERIES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "dicom"
            write_dicom(make_phantom(shape=shape).series, folder)
            for no_delay in (0, 1):
                timings = measure(folder, no_delay, port, rounds)
                port += 1
                print(f"\n{title}, server's TCP_NODELAY={no_delay}")
                print(f"{'':<34}{'min ms':>10}{'median':>10}{'storescu/it':>14}")
                for name, t in timings.items():
                    ratio = paired_ratio(timings["storescu"], t)
                    print(f"{name:<34}{t.minimum * 1e3:10.1f}{t.median * 1e3:10.1f}{ratio:13.2f}x")
    print(foreign_load())


if __name__ == "__main__":
    main()
