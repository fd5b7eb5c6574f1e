"""Several workers give what one gives, to the last bit; those that die are replaced."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from mrirecon.config.study_schema import ScanInput, load_study_config
from mrirecon.diffusion.parametrisation import DenoiserConfig
from mrirecon.evaluation.study.records import CellKey
from mrirecon.jobs.study import capacity, executors
from mrirecon.jobs.study import run as study_run
from mrirecon.jobs.study.capacity import fitting_workers, worker_bytes
from mrirecon.jobs.study.context import Batch, Unit
from mrirecon.jobs.study.executors import InProcess, Processes, batches_of
from mrirecon.jobs.study.sources import Source
from mrirecon.networks.unet import CompactConfig
from mrirecon.reconstruction.learned.image_unet import ImageUnetConfig
from mrirecon.reconstruction.learned.varnet import VarNetConfig
from mrirecon.records import to_mapping
from mrirecon.training.card import Card, read_card
from mrirecon.training.checkpoint import find_checkpoint, save_checkpoint
from mrirecon.training.models import build_model
from tests.jobs.dying_workers import order, serve_dying
from tests.jobs.study_case import Heard, run, same_images, write_case, written


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(configuration, folder) of a study by one process."""
    folder = tmp_path_factory.mktemp("case")
    config = write_case(folder)
    assert run(config, folder / "alone").results.complete
    return config, folder / "alone"


def use(monkeypatch: pytest.MonkeyPatch, executor: executors.Executor) -> None:
    """Have studies run by this executor."""
    monkeypatch.setattr(study_run, "_executor", lambda config, options, reporter: executor)


@pytest.mark.slow
def test_processes_that_die_are_replaced_and_results_are_the_same(
    alone: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, reference = alone
    order(config.parent / "two", "bert/random-R2-s1/sense", 1)
    (config.parent / "two" / ".running").touch()
    monkeypatch.setattr(study_run, "fitting_workers", lambda wanted, **_: wanted)
    use(monkeypatch, Processes(2, target=serve_dying))
    outcome = run(config, config.parent / "two")
    assert outcome.results.complete
    assert outcome.problems == {}
    assert (config.parent / "two" / "die-at").read_text().endswith(" 0")  # one was killed
    assert same_images(reference, config.parent / "two")
    assert (reference / "scores.csv").read_bytes() == (config.parent / "two" / "scores.csv").read_bytes()


@pytest.mark.slow
def test_a_cell_that_kills_every_worker_is_a_hole(alone: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = alone
    name = "anna/random-R3-s0/zero-filled"
    order(config.parent / "deadly", name, 9)
    (config.parent / "deadly" / ".running").touch()
    use(monkeypatch, Processes(1, target=serve_dying))
    study = run(config, config.parent / "deadly").results
    (hole,) = study.holes
    assert hole.key.name == name
    assert "its worker died 2 times (killed, perhaps because the memory did not suffice" in hole.hole
    assert hole.retry
    (config.parent / "deadly" / "die-at").unlink()
    monkeypatch.undo()
    assert run(config, config.parent / "deadly").results.complete


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the sockets and event loops of a cluster that loses workers
def test_a_cluster_that_loses_a_worker_gives_the_same(
    alone: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    from mrirecon.jobs.reporting import Silent
    from mrirecon.jobs.study import dask_cluster

    config, reference = alone
    out = config.parent / "cluster"
    executor = dask_cluster.connect("local", workers=2, threads=1, reporter=Silent())
    victims = [worker["pid"] for worker in executor.client.run(lambda: {"pid": os.getpid()}).values()]
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            if len(written(out)) >= 3:
                os.kill(victims[0], signal.SIGKILL)
                killed.append(victims[0])
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    use(monkeypatch, executor)
    thread.start()
    outcome = run(config, out)
    thread.join(timeout=5)
    assert killed
    assert outcome.results.complete
    assert not list(out.rglob("*.partial"))  # the victim may have been in the middle of a cell
    assert same_images(reference, out)
    assert (reference / "scores.csv").read_bytes() == (out / "scores.csv").read_bytes()


def test_batches_are_split_only_where_workers_would_wait() -> None:
    source = Source("a", "a", ScanInput("a.npy"), ())
    units = tuple(Unit("cell", CellKey("a", "random", 2.0, 0, f"m{i}"), "") for i in range(6))
    whole = [Batch(source, units)]
    assert batches_of(whole, 1) == [Batch(source, units[:3]), Batch(source, units[3:])]
    assert [len(b.units) for b in batches_of(whole, 2)] == [2, 1, 2, 1]
    assert [u for b in batches_of(whole, 4) for u in b.units] == list(units)
    assert batches_of(whole * 4, 2) == whole * 4


def test_no_more_workers_than_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "available_cores", lambda: 8)
    monkeypatch.setattr(capacity, "available_bytes", lambda: 10 << 30)
    heard = Heard()
    assert fitting_workers(4, threads=1, bytes_each=1 << 30, reporter=heard) == 4
    assert heard.warnings == []
    assert fitting_workers(6, threads=2, bytes_each=1 << 30, reporter=heard) == 4
    assert "would share 8 cores; 4 are started" in heard.warnings[-1]
    assert fitting_workers(8, threads=1, bytes_each=3 << 30, reporter=heard) == 2
    assert "24.0 GB of memory, 10.0 GB are free; 2 are started" in heard.warnings[-1]
    assert fitting_workers(8, threads=1, bytes_each=30 << 30, reporter=heard) == 1


def test_memory_grows_with_the_network(tmp_path: Path) -> None:
    plain = load_study_config(write_case(tmp_path))
    methods = {"unfolded": {"kind": "unfolded", "checkpoint": "mri-small"}}
    learned = load_study_config(write_case(tmp_path, methods=methods))
    assert run(write_case(tmp_path), tmp_path / "out").results.complete
    from mrirecon.evaluation.study.layout import Layout
    from mrirecon.evaluation.study.results import read_inputs
    from mrirecon.jobs.study.prepared import load_prepared

    layout = Layout(tmp_path / "out")
    prepared = [p for r in read_inputs(layout).values() if (p := load_prepared(layout, r)) is not None]
    assert len(prepared) == 2
    more = worker_bytes(learned, prepared) - worker_bytes(plain, prepared)
    assert more > 8 * 10_506_536  # the weights


NETWORK = CompactConfig(width=4, multipliers=(1, 2), unshuffle=1)
MODELS = {
    "varnet": (VarNetConfig(cascades=2, chans=4, pools=2), {"kind": "network"}),
    "unet": (ImageUnetConfig(chans=4, pools=2), {"kind": "network"}),
    "dps": (DenoiserConfig("denoiser", "complex", NETWORK), {"kind": "dps", "sampling": {"steps": 2}}),
    "dds": (DenoiserConfig("denoiser", "complex", NETWORK), {"kind": "dds", "sampling": {"steps": 2}}),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_networks_of_every_kind_fill_cells_and_are_counted(tmp_path: Path, name: str) -> None:
    model, choice = MODELS[name]
    module = build_model(model, seed=0).eval()
    n = sum(p.numel() for p in module.parameters())
    card = Card(name, to_mapping(model), "none", 0.5, (), (), {}, 1, 1, 0.0, n, "2025-01-01T00:00:00Z", {})
    save_checkpoint(tmp_path / "net", module, card)
    methods = {name: {**choice, "checkpoint": str(tmp_path / "net")}}
    inputs = {"anna": {"kind": "scan", "files": "anna.npy", "slices": 1}}
    config = write_case(tmp_path, methods=methods, inputs=inputs, masks={"accelerations": [2], "centre": 0.2})
    needed = capacity._network_bytes(load_study_config(config), 64 * 64)
    assert 8 * n < needed < 8 * n + 4 * 64 * 64 * 200
    (cell,) = run(config, tmp_path / "out").results.cells
    assert cell.hole == ""
    assert cell.weights_sha256 == read_card(find_checkpoint(str(tmp_path / "net")).with_suffix(".json")).weights_sha256


def test_one_process_leaves_the_threads_as_they_were(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    run(write_case(tmp_path, threads=1), tmp_path / "out")
    assert torch.get_num_threads() == before
    assert InProcess(3).workers == 1
