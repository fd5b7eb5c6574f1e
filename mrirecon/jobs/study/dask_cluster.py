"""A study on a Dask cluster: workers elsewhere, or many processes here; the optional extra `cluster`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mrirecon.errors import ConfigError, MissingDependencyError
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.study.context import Batch, Context, Outcome
from mrirecon.jobs.study.executors import THREAD_VARIABLES
from mrirecon.jobs.study.worker import run_batch

_MISSING = 'a cluster needs Dask, which is not installed; pip install "mrirecon[cluster]", or use --workers'


@dataclass
class DaskCluster:
    """Batches as tasks of Dask; a batch whose worker dies is run by another one, which skips what is on disk.

    Parameters
    ----------
    client
        Of `distributed`.
    threads
        Of each task.
    cluster
        What was started for it, None for somebody else's.
    count
        Workers to count on.
    """

    client: Any
    threads: int
    cluster: Any = None
    count: int = 1

    @property
    def workers(self) -> int:
        return self.count

    def run(self, context: Context, batches: Sequence[Batch]) -> Iterator[Outcome]:
        from distributed import as_completed

        waiting = {self.client.submit(run_task, context, batch, self.threads, pure=False): batch for batch in batches}
        try:
            for future in as_completed(list(waiting)):  # type: ignore[no-untyped-call]
                batch = waiting.pop(future)
                error = future.exception() if future.status != "finished" else None
                if error is None:
                    yield from future.result()
                else:
                    yield from (Outcome(unit, _reason(error), written=False) for unit in batch.units)
        finally:
            if waiting:
                self.client.cancel(list(waiting))

    def limit(self, workers: int) -> None:
        return None  # the cluster's owner decides

    def close(self) -> None:
        self.client.close()
        if self.cluster is not None:
            self.cluster.close()


def run_task(context: Context, batch: Batch, threads: int) -> list[Outcome]:
    """A batch on a worker of Dask."""
    torch.set_num_threads(threads)
    return list(run_batch(context, batch))


def connect(scheduler: str, *, workers: int, threads: int, reporter: Reporter) -> DaskCluster:
    """The cluster that is asked for.

    Parameters
    ----------
    scheduler
        ``local``: so many processes here; ``slurm``: so many jobs, described in Dask's own configuration
        (``jobqueue.slurm``); anything else is the address of a scheduler that runs.
    workers
        How many, where this decides.
    threads
        Of each task.

    Raises
    ------
    MissingDependencyError
        If Dask, or dask-jobqueue for ``slurm``, is not installed.
    ConfigError
        If the scheduler does not answer, or SLURM is not described.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingDependencyError(_MISSING) from error
    if scheduler == "local":
        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
        )
        return DaskCluster(Client(cluster), threads, cluster, workers)  # type: ignore[no-untyped-call]
    if scheduler == "slurm":
        return _slurm(workers, threads)
    try:
        client = Client(scheduler, timeout="20s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {scheduler} ({error}); give the address that `dask scheduler` prints, as "
            "tcp://host:8786, or `local` or `slurm`"
        ) from error
    found = client.scheduler_info()["workers"]
    several = [info for info in found.values() if info["nthreads"] > 1]
    if several:
        reporter.warn(
            f"{len(several)} of {len(found)} Dask workers run several tasks at once; start them with --nthreads 1, or "
            "cells share cores and their CPU times are too long"
        )
    return DaskCluster(client, threads, None, max(1, len(found)))


def slurm_job(threads: int) -> dict[str, Any]:
    """What every job is, beside what Dask's configuration says: one worker that runs one cell at a time.

    Parameters
    ----------
    threads
        Of a cell; without this all cores of a job would take a cell each, and each of these all cores.
    """
    import dask

    def configured(key: str) -> list[str]:
        return list(dask.config.get(f"jobqueue.slurm.{key}", None) or [])

    return {
        "processes": 1,
        "worker_extra_args": [*configured("worker-extra-args"), "--nthreads", "1"],
        "job_script_prologue": [
            *configured("job-script-prologue"),
            *(f"export {name}={threads}" for name in THREAD_VARIABLES),
        ],
    }


def _slurm(workers: int, threads: int) -> DaskCluster:
    try:
        from dask_jobqueue import SLURMCluster
        from distributed import Client
    except ImportError as error:
        raise MissingDependencyError(_MISSING.replace("Dask", "dask-jobqueue")) from error
    if shutil.which("sbatch") is None:
        raise ConfigError("this machine has no `sbatch`, so no SLURM jobs can be sent; run it on a login node")
    try:
        cluster = SLURMCluster(**slurm_job(threads))
        cluster.scale(jobs=workers)
    except (ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"SLURM is not described for Dask ({reason}); set cores, memory, queue and walltime under jobqueue.slurm "
            "in ~/.config/dask/jobqueue.yaml"
        ) from error
    return DaskCluster(Client(cluster), threads, cluster, workers)  # type: ignore[no-untyped-call]


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if type(error).__name__ == "KilledWorker":
        return "its workers died again and again, perhaps because the memory did not suffice: give them more"
    return f"{type(error).__name__}: {text[:300]}"
