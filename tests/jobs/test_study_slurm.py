"""Jobs for SLURM: what would be sent, without a SLURM to send it to."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from mrirecon.errors import ConfigError
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study.dask_cluster import connect, slurm_job

# of the sockets and event loops of a scheduler that is closed; shown instead, xdist fails at the half-made one's name
pytestmark = pytest.mark.filterwarnings("ignore")

DESCRIBED = {
    "cores": 4,
    "memory": "8GB",
    "queue": "gpu-short",
    "account": "radiology",
    "walltime": "01:30:00",
    "job-script-prologue": ["module load python"],
    "worker-extra-args": ["--memory-limit", "6GB"],
}


def test_a_job_is_one_worker_that_runs_one_cell_at_a_time() -> None:
    jobqueue = pytest.importorskip("dask_jobqueue")
    import dask

    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in DESCRIBED.items()}):
        cluster = jobqueue.SLURMCluster(**slurm_job(3))
        try:
            script = cluster.job_script()
        finally:
            cluster.close()
    lines = script.splitlines()
    assert "#SBATCH -p gpu-short" in lines
    assert "#SBATCH -A radiology" in lines
    assert "#SBATCH --cpus-per-task=4" in lines
    assert "#SBATCH -t 01:30:00" in lines
    assert lines.index("module load python") < lines.index("export OMP_NUM_THREADS=3")
    (worker,) = [line for line in lines if "dask_worker" in line or "dask worker" in line]
    assert lines.index("export OMP_NUM_THREADS=3") < lines.index(worker)
    assert "--memory-limit 6GB" in worker
    assert worker.split("--nthreads ")[-1].split()[0] == "1"  # the last one counts
    assert "--nworkers" not in worker or "--nworkers 1" in worker


def test_a_machine_without_slurm_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no `sbatch`"):
        connect("slurm", workers=2, threads=1, reporter=Silent())
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(ConfigError, match=r"SLURM is not described for Dask .*jobqueue\.slurm"):
        connect("slurm", workers=2, threads=1, reporter=Silent())
    gc.collect()  # the cluster that could not be made complains when it is swept, which must not be in another test
