"""Degraded photographs for training: random crops and one random restoration task per batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mrirecon.data.degradations import TASKS, draw_operator, edge_divisor, smallest_edge
from mrirecon.data.examples import Draws, Examples, TrainingBatch, check_range, check_weights
from mrirecon.data.photographs import Picture
from mrirecon.errors import ConfigError, ShapeError
from mrirecon.operators.image import image_space
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise

_DEFAULT_TASKS = {
    "super-resolution-2": 1.0,
    "super-resolution-3": 0.7,
    "super-resolution-4": 1.3,
    "block-average-2": 0.5,
    "block-average-4": 0.5,
    "gaussian-blur": 1.5,
    "anisotropic-blur": 1.0,
    "motion-blur": 1.5,
    "random-inpainting": 1.5,
    "box-inpainting": 1.0,
    "denoising": 1.5,
}


@dataclass(frozen=True)
class ImageDegradations:
    """What is drawn for a batch.

    Parameters
    ----------
    sizes
        Smallest and largest edge of the square crops; the largest kernels of the blurs must fit into the smallest.
    size_multiple
        Divides every edge; 12 is divisible by every downsampling factor.
    batch
        Items.
    rescaling
        Range of the factor by which photographs are reduced first; not below what the crop needs.
    tasks
        Weights of the tasks of `degradations.TASKS`; leave one out, or give it weight 0, to hold it back.
    noise
        Range of sigma where images range from -1 to 1, logarithmically uniform; of `denoising`, `denoising_noise`.
    denoising_noise
        0.196 is 25 of 255 grey levels.
    """

    sizes: tuple[int, int] = (96, 128)
    size_multiple: int = 12
    batch: int = 8
    rescaling: tuple[float, float] = (0.5, 1.0)
    tasks: dict[str, float] = field(default_factory=lambda: dict(_DEFAULT_TASKS))
    noise: tuple[float, float] = (0.004, 0.2)
    denoising_noise: tuple[float, float] = (0.02, 0.4)

    def __post_init__(self) -> None:
        check_weights("tasks", self.tasks, TASKS)
        check_range("sizes", self.sizes, above=0)
        check_range("noise", self.noise, above=0)
        check_range("denoising_noise", self.denoising_noise, above=0)
        check_range("rescaling", self.rescaling, above=0, at_most=1)
        if (
            self.batch < 1
            or self.size_multiple < 1
            or self.sizes[1] // self.size_multiple * self.size_multiple < self.sizes[0]
        ):
            raise ConfigError(
                f"batch must be positive and a multiple of {self.size_multiple} lie in sizes {self.sizes}"
            )
        smallest = -(-self.sizes[0] // self.size_multiple) * self.size_multiple
        for task in (name for name, weight in self.tasks.items() if weight > 0):
            if smallest < smallest_edge(task):
                raise ConfigError(
                    f"crops of {smallest} pixels are too small for the kernels of task {task!r}; let `sizes` begin at "
                    f"{smallest_edge(task)} or more, or leave the task out"
                )
            if self.size_multiple % edge_divisor(task):
                raise ConfigError(
                    f"task {task!r} needs crops that {edge_divisor(task)} divides; make `size_multiple` a multiple of "
                    f"it, got {self.size_multiple}, or leave the task out"
                )


class ImageExamples(Examples):
    """Training batches of degraded photographs.

    Parameters
    ----------
    pictures
        uint8 (channel, y, x), all with the same number of channels and no smaller than the largest crop.
    degradations
        What is drawn.
    seed
        Of everything that is drawn; not negative.

    Raises
    ------
    ShapeError
        If there is no picture, or one is too small.
    """

    def __init__(self, pictures: Sequence[Picture], degradations: ImageDegradations, *, seed: int) -> None:
        largest = degradations.sizes[1]
        if not pictures or any(min(p.shape[-2:]) < largest or p.shape[0] != pictures[0].shape[0] for p in pictures):
            raise ShapeError(
                f"expected pictures (channel, y, x) of one kind and at least {largest} pixels along each edge"
            )
        self.degradations = degradations
        self.seed = seed
        self._pictures = tuple(pictures)

    def batch(self, index: int) -> TrainingBatch:
        draws, config = Draws.of(self.seed, index), self.degradations
        size = draws.integer(config.sizes, multiple=config.size_multiple)
        image = torch.stack([self._crop(size, draws) for _ in range(config.batch)])
        task = draws.choice(config.tasks)
        operator = draw_operator(task, image_space(image.shape[1], size, size), config.batch, draws)
        levels = config.denoising_noise if task == "denoising" else config.noise
        sigma = torch.tensor([draws.log_uniform(levels) for _ in range(config.batch)])
        model = MeasurementModel(operator, GaussianNoise(sigma))
        return TrainingBatch(image, model.simulate(image, draws.generator), model)

    def _crop(self, size: int, draws: Draws) -> Tensor:
        """A random part of a random photograph, reduced, flipped and turned; -1 to 1, (channel, size, size)."""
        picture = self._pictures[int(draws.numbers.integers(len(self._pictures)))]
        factor = draws.uniform(self.degradations.rescaling) if draws.chance(0.5) else 1.0
        source = min(round(size / factor), *picture.shape[-2:])
        top, left = (draws.integer((0, n - source)) for n in picture.shape[-2:])
        part = torch.from_numpy(picture[:, top : top + source, left : left + source]).float() / 127.5 - 1.0
        if source != size:
            part = interpolate(part[None], size=(size, size), mode="bicubic", antialias=True, align_corners=False)[0]
            part = part.clamp(-1.0, 1.0)
        part = torch.rot90(part, draws.integer((0, 3)), (-2, -1))
        return part.flip(-1) if draws.chance(0.5) else part
