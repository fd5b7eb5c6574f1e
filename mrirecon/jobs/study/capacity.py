"""How many workers this machine has room for: cores, and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mrirecon.config.study_schema import StudyConfig
from mrirecon.errors import MrireconError
from mrirecon.evaluation.method_choices import GuidedDPS, Learned
from mrirecon.jobs.plan import PROCESS_BYTES, format_size
from mrirecon.jobs.planes import COMPLEX_BYTES
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.study.cell import CACHE_BYTES
from mrirecon.jobs.study.prepared import Prepared
from mrirecon.memory import available_bytes
from mrirecon.networks.memory import activation_bytes, classic_unet_bytes
from mrirecon.reconstruction.learned.image_unet import ImageUnetConfig
from mrirecon.reconstruction.learned.varnet import VarNetConfig
from mrirecon.records import from_mapping
from mrirecon.training.card import read_card
from mrirecon.training.checkpoint import find_checkpoint
from mrirecon.training.models import model_kind

_SHARE = 0.85
"""Of the available memory that workers may take together."""

_COIL_IMAGES = 12
_IMAGES = 40
_WEIGHT_BYTES = 8


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fitting_workers(wanted: int, *, threads: int, bytes_each: int, reporter: Reporter) -> int:
    """At most `wanted` workers, no more than cores and memory allow, at least one; says so where they are fewer.

    Parameters
    ----------
    threads, bytes_each
        Of one worker.
    """
    allowed = min(wanted, max(1, available_cores() // threads))
    if allowed < wanted:
        reporter.warn(
            f"{wanted} workers of {threads} threads would share {available_cores()} cores; {allowed} are started"
        )
    memory = available_bytes()
    if memory is not None and allowed > 1 and allowed * bytes_each > _SHARE * memory:
        fewer = max(1, int(_SHARE * memory) // bytes_each)
        reporter.warn(
            f"{allowed} workers need about {format_size(allowed * bytes_each)} of memory, {format_size(memory)} are "
            f"free; {fewer} {'is' if fewer == 1 else 'are'} started"
        )
        allowed = fewer
    return allowed


def worker_bytes(config: StudyConfig, prepared: Iterable[Prepared]) -> int:
    """Estimated peak memory of one worker, that of the largest input."""
    largest = 0
    for found in prepared:
        pixels = found.grid[0] * found.grid[1]
        coils = found.record.coils
        volume = 8 * len(found.record.slices) * found.record.matrix[0] * found.record.matrix[1] * 8
        plane = coils * pixels * COMPLEX_BYTES
        kept = min(CACHE_BYTES, 4 * plane * len(found.record.slices))
        working = _COIL_IMAGES * plane + _IMAGES * pixels * COMPLEX_BYTES + _network_bytes(config, pixels)
        largest = max(largest, working + volume + kept)
    return PROCESS_BYTES + largest


def _network_bytes(config: StudyConfig, pixels: int) -> int:
    """Weights of all networks, and the features of the largest."""
    weights = features = 0
    for choice in config.methods.values():
        if not isinstance(choice, Learned):
            continue
        named = choice.checkpoint.values() if isinstance(choice.checkpoint, dict) else (choice.checkpoint,)
        for name in named:
            try:
                card = read_card(find_checkpoint(name).with_suffix(".json"))
                model = from_mapping(model_kind(card.kind).config, card.model)
            except MrireconError:  # a hole in its cells
                continue
            weights += _WEIGHT_BYTES * card.parameters
            if isinstance(model, VarNetConfig | ImageUnetConfig):
                needed = classic_unet_bytes(model.chans, pixels)
            else:
                needed = activation_bytes(model.network, pixels, gradient=isinstance(choice, GuidedDPS))
            features = max(features, needed)
    return weights + features
