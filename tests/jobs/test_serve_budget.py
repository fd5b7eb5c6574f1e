"""When the method is in time, late, broken or hopeless: which images are sent, and what is said."""

import multiprocessing
import pickle
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mrirecon.config.schema import TV, ReconstructionConfig, Sense
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from mrirecon.jobs import serve_budget
from mrirecon.jobs.reconstruct import reconstruct
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.serve_budget import Chosen, Reconstructors
from mrirecon.jobs.serve_client import PRELOAD
from mrirecon.jobs.serve_worker import Failed, Made, Progress, Resources, Worker
from mrirecon.serving.mrd.processes import start_method
from tests.acceptance.scans import ScanRecipe, write_scan

SCRIPTS: dict[str, list] = {}
STARTED: list[str] = []


def made(name):
    return Made(name, None, (), 0.0)  # type: ignore[arg-type]


class Scripted:
    """A worker that does what a script says: (seconds to wait, news); no process."""

    def __init__(self, config, **rest):
        self.kind, self.busy, self.ended = config.method.kind, False, False
        self.pipe, self._there = multiprocessing.Pipe()

    def start(self):
        STARTED.append(self.kind)
        return self.pipe

    def submit(self, scan):
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self):
        for seconds, news in SCRIPTS[self.kind]:
            time.sleep(seconds)
            if not self.ended:
                self._there.send_bytes(pickle.dumps(news))

    def news(self):
        return pickle.loads(self.pipe.recv_bytes())

    def end(self):
        self.ended = True


@pytest.fixture
def choose(monkeypatch):
    """Run the race of two scripts."""
    monkeypatch.setattr(serve_budget, "Worker", Scripted)
    STARTED.clear()

    def run(tv, sense, *, budget=None, total=20.0):
        SCRIPTS.update(tv=tv, sense=sense)
        now = time.monotonic()
        workers = Reconstructors(
            ReconstructionConfig(method=TV()), budgeted=budget is not None, folder=Path(), resources=None, context=None
        )  # type: ignore[arg-type]
        with workers:
            return workers.reconstruct(None, deadline=None if budget is None else now + budget, last=now + total)

    return run


def test_in_time(choose):
    chosen = choose([(0.02, Progress(0, 2)), (0.02, made("tv"))], [(0.0, made("sense"))], budget=10.0)
    assert (chosen.made.series, chosen.fallback) == ("tv", None)
    assert STARTED == ["tv", "sense"], "both begin while data still come"


def test_late(choose):
    chosen = choose([(8.0, made("tv"))], [(0.0, Progress(0, 1)), (0.02, made("sense"))], budget=0.2)
    assert chosen.made.series == "sense"
    assert "time budget" in chosen.fallback


def test_late_and_the_classical_images_later_still(choose):
    chosen = choose([(8.0, made("tv"))], [(0.5, made("sense"))], budget=0.1)
    assert chosen.made.series == "sense"


def test_hopeless_is_known_before_the_deadline(choose):
    """The deadline is days away; without a projection this would wait for it."""
    steps = [(0.05, Progress(n, 10**9)) for n in range(20)]
    chosen = choose([*steps, (30.0, made("tv"))], [(0.1, made("sense"))], budget=1e6, total=2e6)
    assert chosen.made.series == "sense"


def test_slow_planes_that_fit_are_waited_for(choose):
    steps = [(0.02, Progress(n, 5)) for n in range(5)]
    chosen = choose([*steps, (0.02, made("tv"))], [(0.0, made("sense"))], budget=30.0, total=60.0)
    assert chosen.made.series == "tv"


def test_broken_with_a_budget(choose):
    chosen = choose([(0.0, Failed("the network is ill"))], [(0.1, made("sense"))], budget=10.0)
    assert (chosen.made.series, chosen.fallback) == ("sense", "the network is ill")


def test_broken_without_a_budget(choose):
    chosen = choose([(0.0, Failed("the network is ill"))], [(0.0, made("sense"))])
    assert (chosen.made.series, chosen.fallback) == ("sense", "the network is ill")
    assert STARTED == ["tv"], "the fallback is started when it is needed"


@pytest.mark.parametrize("budget", [None, 5.0])
def test_both_broken(choose, budget):
    failed = choose([(0.0, Failed("this"))], [(0.0, Failed("that"))], budget=budget)
    assert isinstance(failed, Failed)
    assert "this" in failed.reason
    assert "that" in failed.reason


def test_nothing_in_the_total_time(choose):
    failed = choose([(9.0, made("tv"))], [(9.0, made("sense"))], budget=0.1, total=0.2)
    assert isinstance(failed, Failed)
    assert "total time" in failed.reason


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return read_ismrmrd(write_scan(tmp_path_factory.mktemp("scan") / "scan.h5", ScanRecipe(matrix=(2, 32, 32))))


RESOURCES = Resources("cpu", 1, None)


def test_processes_give_the_images_of_the_job_and_can_be_ended(tmp_path, scan):
    """Real processes: an endless method is ended, CG-SENSE takes its place and is what `reconstruct` gives."""
    endless = ReconstructionConfig(method=TV(iterations=10**9, tolerance=1e-30))
    expected = reconstruct(scan, ReconstructionConfig(), out=tmp_path / "direct", reporter=Silent())
    workers = Reconstructors(
        endless, budgeted=True, folder=tmp_path, resources=RESOURCES, context=start_method(PRELOAD)
    )
    with workers:
        for _ in range(2):  # the second volume needs new processes
            now = time.monotonic()
            chosen = workers.reconstruct(scan, deadline=now + 0.3, last=now + 200.0)
            assert isinstance(chosen, Chosen)
            assert "time budget" in chosen.fallback
            np.testing.assert_allclose(chosen.made.series.image, expected.series.image, rtol=1e-5, atol=1e-9)
            np.testing.assert_array_equal(chosen.made.series.geometry.affine, expected.series.geometry.affine)
            assert chosen.made.notes == expected.notes


def test_a_process_that_dies_is_a_failure_not_the_end(tmp_path, scan):
    worker = Worker(ReconstructionConfig(method=Sense()), folder=tmp_path, resources=RESOURCES,
                    context=start_method(PRELOAD))  # fmt: skip
    worker.start()
    worker._process.kill()
    worker._process.join()
    worker.submit(scan)
    news = worker.news()
    assert isinstance(news, Failed)
    assert "unexpectedly" in news.reason
    worker.submit(scan)
    while isinstance(news := worker.news(), Progress):
        pass
    worker.end()
    assert isinstance(news, Made)


def test_what_goes_wrong_is_said_without_paths(tmp_path, scan):
    worker = Worker(ReconstructionConfig(), folder=tmp_path, resources=Resources("cpu", 1, 1 << 20),
                    context=start_method(PRELOAD))  # fmt: skip
    worker.submit(scan)
    news = worker.news()
    worker.end()
    assert isinstance(news, Failed)
    assert "of memory" in news.reason
    assert str(tmp_path) not in news.reason
