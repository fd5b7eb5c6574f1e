"""One reconstruction of one problem: timed, repeatable, and a hole where it diverges."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter, process_time
from zlib import crc32

import torch
from torch import Tensor

from mrirecon.errors import ConvergenceError
from mrirecon.evaluation.dncnn import DnCNNDenoising
from mrirecon.evaluation.methods import Hole, Method
from mrirecon.evaluation.problems import Problem
from mrirecon.operators.base import LinearOperator
from mrirecon.reconstruction.base import Reconstruction


@dataclass(frozen=True, eq=False)
class Timed:
    """What came out, its image on the CPU, and how long that took.

    Parameters
    ----------
    result
        Of the method.
    image
        Its image (channel, y, x).
    seconds, cpu_seconds
        Wall time, and time on all cores of this process: it stays when others share the machine.
    """

    result: Reconstruction
    image: Tensor
    seconds: float
    cpu_seconds: float


def timed(method: Method, problem: Problem, *, seed: int, name: str) -> Timed | Hole:
    """Run a method on a problem.

    Parameters
    ----------
    method
        Ready to run.
    problem
        Data and model.
    seed, name
        Of the sampler; with the name of the case they give its generator, so that cases are independent.
    """
    if isinstance(method.reconstructor, DnCNNDenoising) and not method.reconstructor.applies(problem.model):
        return Hole("not made for this task")
    generator = torch.Generator().manual_seed(crc32(f"{seed}/{name}".encode()))
    start, start_cpu = perf_counter(), process_time()
    try:
        result = method.reconstructor(problem.data, problem.model, generator=generator)
    except ConvergenceError as error:
        return Hole(f"diverged ({error})")
    image = result.image.detach().cpu()  # waits for the device
    return Timed(result, image, perf_counter() - start, process_time() - start_cpu)


def warmed(problem: Problem) -> Problem:
    """The problem after its operator was used once: what that keeps for later is not charged to the first method."""
    operator = problem.model.operator
    if isinstance(operator, LinearOperator):
        operator.normal(operator.adjoint(problem.data))
    return problem
