"""Fixed examples that a model is looked at with while it trains: figures for the log and a sheet of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mrirecon.data.examples import Examples, TrainingBatch
from mrirecon.io.raster.sheet import write_picture_rows
from mrirecon.metrics.image import psnr
from mrirecon.training.placement import on_device
from mrirecon.training.restored import Restored

Restore = Callable[[nn.Module, TrainingBatch, Tensor, torch.Generator], Restored]
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Validator:
    """Compares what a model restores with the reference.

    Parameters
    ----------
    batches
        Fixed examples.
    restore
        Runs the model; see `models.ModelKind`.
    levels
        Noise levels of the sampler, descending.
    seed
        Of its start.
    """

    batches: tuple[TrainingBatch, ...]
    restore: Restore
    levels: Tensor
    seed: int = 0

    def __call__(self, module: nn.Module, picture: Path | None = None) -> dict[str, float]:
        """Mean PSNR in dB of output and input over all items, and the picture if a path is given.

        Complex images are compared by magnitude, with the maximum of the reference as range; real ones from -1 to 1
        with the range 2.
        """
        device = next(module.parameters()).device
        was_training = module.training
        module.eval()
        rows: list[tuple[NDArray[np.float32], ...]] = []
        scores: list[tuple[float, float]] = []
        try:
            for number, batch in enumerate(self.batches):
                generator = torch.Generator().manual_seed(self.seed + number)
                with torch.no_grad():
                    restored = self.restore(module, on_device(batch, device), self.levels, generator)
                complex_image = batch.image.is_complex()
                for images in zip(batch.image, restored.input, restored.output, strict=True):
                    reference, before, after = (_shown(image) for image in images)
                    span = None if complex_image else 2.0
                    scores.append((psnr(reference, after, data_range=span), psnr(reference, before, data_range=span)))
                    rows.append((reference, before, after))
        finally:
            module.train(was_training)
        if picture is not None:
            write_sheet(picture, rows[:_SHOWN], [after for after, _ in scores])
        output, given = np.mean(scores, axis=0)
        return {"psnr_db": float(output), "input_psnr_db": float(given), "worst_psnr_db": min(s for s, _ in scores)}


def fixed_batches(examples: Examples, n: int) -> tuple[TrainingBatch, ...]:
    """The first `n` batches."""
    return tuple(examples.batch(index) for index in range(n))


def write_sheet(path: Path, rows: Sequence[tuple[NDArray[np.float32], ...]], psnr_db: Sequence[float]) -> None:
    """Rows of reference, input, output and five times the error, in the window of the reference."""
    tiles, labels = [], []
    for (reference, before, after), score in zip(rows, psnr_db, strict=False):
        low, high = min(0.0, float(reference.min())), float(reference.max())
        span = max(high - low, 1e-12)
        error = np.minimum(5 * np.abs(after - reference) / span, 1)
        tiles.append([(reference - low) / span, (before - low) / span, (after - low) / span, error])
        labels.append(f"{score:.2f} dB")
    write_picture_rows(path, tiles, titles=("reference", "input", "output", "5 x error"), labels=labels)


def _shown(image: Tensor) -> NDArray[np.float32]:
    """The first channel of (channel, y, x) for MRI magnitude, the mean of the channels of a photograph."""
    plane = image.abs()[0] if image.is_complex() else image.mean(0)
    return plane.float().cpu().numpy()
