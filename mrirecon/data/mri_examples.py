"""Simulated multi-coil MRI for training: images, coils, masks and noise drawn at random, one matrix size per batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from mrirecon.data.examples import Draws, Examples, TrainingBatch, check_range, check_weights
from mrirecon.data.random_coils import FAMILIES, CoilFactory, disturbed, fine_maps
from mrirecon.data.random_images import (
    FINER,
    Contrast,
    Placement,
    finer_grid,
    placed_slice,
    recontrasted,
    truncated,
)
from mrirecon.data.random_masks import Undersampling, random_masks
from mrirecon.data.random_phases import Phase, random_phases
from mrirecon.data.slices import SliceStore
from mrirecon.data.volumes import Volume
from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import fft
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise
from mrirecon.reconstruction.normalisation import intensity_scale

_SUPPORT_LEVEL = 0.04  # of the 99th percentile: fainter parts, and ringing, lie outside the object


@dataclass(frozen=True)
class MRISimulation:
    """What is simulated, as ranges from which every batch or item draws.

    Parameters
    ----------
    sizes
        Smallest and largest matrix along each axis; `size_multiple` divides every size.
    size_multiple
        Of the matrix.
    aspect
        Largest ratio of the two axes.
    batch_pixels
        Pixels per batch: the number of items follows from the matrix, at least one.
    coils
        Receive channels, the same within a batch.
    families
        Weights of the families of coils, of `random_coils.FAMILIES`; one per batch.
    map_error_probability
        Of an item whose model has other maps than those that made its data.
    map_support_probability
        Of an item whose model's maps, and its image, vanish outside a region around the object, as those of ESPIRiT.
    map_error
        Range of the standard deviation of the relative error of those maps.
    noise
        Range of sigma per real component, logarithmically uniform, where the image's 99th percentile is 1.
    truncation
        Probability of a batch whose images are made on a matrix 1.5 times finer and cut in k-space, as a scanner does:
        they ring at edges.
    undersampling, placement, contrast, phase
        See there.
    """

    sizes: tuple[int, int] = (96, 256)
    size_multiple: int = 8
    aspect: float = 1.6
    batch_pixels: int = 4 * 128 * 128
    coils: tuple[int, int] = (4, 12)
    families: dict[str, float] = field(default_factory=lambda: {"birdcage": 1.0, "loops": 2.0, "gaussians": 1.0})
    map_error_probability: float = 0.3
    map_error: tuple[float, float] = (0.01, 0.04)
    map_support_probability: float = 0.4
    truncation: float = 0.5
    undersampling: Undersampling = field(default_factory=Undersampling)
    noise: tuple[float, float] = (0.002, 0.06)
    placement: Placement = Placement()
    contrast: Contrast = field(default_factory=Contrast)
    phase: Phase = Phase()

    def __post_init__(self) -> None:
        check_weights("families", self.families, FAMILIES)
        check_range("sizes", self.sizes, above=0)
        check_range("coils", self.coils, above=0)
        check_range("noise", self.noise, above=0)
        check_range("map_error", self.map_error, above=0)
        if self.size_multiple < 1 or self.sizes[0] % self.size_multiple or self.sizes[1] % self.size_multiple:
            raise ConfigError(f"sizes must be multiples of {self.size_multiple}, got {self.sizes}")
        if self.batch_pixels < 1 or self.aspect < 1:
            raise ConfigError(f"batch_pixels and aspect must be at least 1, got {self.batch_pixels}, {self.aspect}")
        for name in ("map_error_probability", "map_support_probability", "truncation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be a probability, got {getattr(self, name)}")


class MRIExamples(Examples):
    """Training batches of undersampled multi-coil k-space.

    Parameters
    ----------
    volumes
        Magnitude volumes to take slices from.
    simulation
        What is drawn.
    seed
        Of everything that is drawn; not negative.
    """

    def __init__(self, volumes: Sequence[Volume], simulation: MRISimulation, *, seed: int) -> None:
        self.simulation = simulation
        self.seed = seed
        self._store = SliceStore(volumes)
        self._coils = CoilFactory(torch.Generator().manual_seed(seed))

    def batch(self, index: int) -> TrainingBatch:
        draws, config = Draws.of(self.seed, index), self.simulation
        shape = self._shape(draws)
        n = max(1, round(config.batch_pixels / (shape[0] * shape[1])))
        image, boxes = self._images(n, shape, draws)
        true, modelled = self._maps(boxes, shape, draws)
        mask = random_masks(n, shape, config.undersampling, draws)
        sigma = torch.tensor([draws.log_uniform(config.noise) for _ in range(n)])
        kspace = fft(true * image, (-2, -1))
        noise = torch.view_as_complex(torch.randn(*kspace.shape, 2, generator=draws.generator))
        data = mask.unsqueeze(-3) * (kspace + sigma[:, None, None, None] * noise)
        support = self._support(image, draws)
        operator = cartesian_mri(mask, modelled * support)
        scale = intensity_scale(data, operator)
        by = scale[:, None, None, None]
        return TrainingBatch(image * support / by, data / by, MeasurementModel(operator, GaussianNoise(sigma / scale)))

    def _shape(self, draws: Draws) -> tuple[int, int]:
        """A matrix whose axes differ at most by the factor `aspect`; half of them are square."""
        config = self.simulation
        first = draws.integer(config.sizes, multiple=config.size_multiple)
        if draws.chance(0.5):
            return first, first
        low = max(config.sizes[0], first / config.aspect)
        high = min(config.sizes[1], first * config.aspect)
        return first, draws.integer((int(-(-low // 1)), int(high)), multiple=config.size_multiple)

    def _images(self, n: int, shape: tuple[int, int], draws: Draws) -> tuple[Tensor, Tensor]:
        """Complex images (n, 1, y, x) whose 99th percentile is 1, and the boxes of their objects (n, 2, 2)."""
        config = self.simulation
        grid, placement = shape, config.placement
        if draws.chance(config.truncation):
            grid = finer_grid(shape, config.size_multiple)
            placement = replace(placement, enlargement=FINER * placement.enlargement)  # it is the cut grid that counts
        placed, boxes = zip(*(placed_slice(self._store, grid, placement, draws) for _ in range(n)), strict=True)
        magnitude = recontrasted(torch.stack(placed), config.contrast, draws)
        image = torch.polar(magnitude, random_phases(magnitude, config.phase, draws))
        image = image if grid == shape else truncated(image, shape)
        flat = image.abs().flatten(1)
        top = flat.kthvalue(max(1, round(0.99 * flat.shape[1])), dim=1).values
        return (image / torch.where(top > 0, top, 1.0)[:, None, None]).unsqueeze(1), torch.stack(boxes)

    def _maps(self, boxes: Tensor, shape: tuple[int, int], draws: Draws) -> tuple[Tensor, Tensor]:
        """The maps that make the data and those of the model, (n, coil, y, x)."""
        config, n = self.simulation, len(boxes)
        n_coils = draws.integer(config.coils)
        coarse = self._coils.draw(draws.choice(config.families), n_coils, draws, boxes=boxes)
        true = fine_maps(coarse, shape)
        wrong = torch.tensor([draws.chance(config.map_error_probability) for _ in range(n)])
        if not bool(wrong.any()):
            return true, true
        errors = torch.tensor([draws.uniform(config.map_error) for _ in range(n)]) * wrong
        modelled = fine_maps(disturbed(coarse, errors, generator=draws.generator), shape)
        return true, torch.where(wrong[:, None, None, None], modelled, true)

    def _support(self, image: Tensor, draws: Draws) -> Tensor:
        """Real, (n, 1, y, x): 0 outside the region where an item's maps are known, 1 elsewhere."""
        config, n = self.simulation, len(image)
        cropped = torch.tensor([draws.chance(config.map_support_probability) for _ in range(n)])
        margin = draws.integer((1, 4))
        if not bool(cropped.any()):
            return torch.ones(n, 1, 1, 1)
        inside = (avg_pool2d(image.abs(), 3, 1, 1) > _SUPPORT_LEVEL).float()
        grown = max_pool2d(inside, 2 * margin + 1, 1, margin)
        return torch.where(cropped[:, None, None, None], grown, 1.0)
