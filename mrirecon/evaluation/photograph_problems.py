"""Photographs degraded as restoration papers do it, at their own size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Literal
from zlib import crc32

import torch
from torch import Tensor

from mrirecon.data.photographs import read_photographs
from mrirecon.data.restoration_tasks import RestorationTask, Severity, TaskName, restoration_tasks
from mrirecon.data.spec import load_data_spec, split_files
from mrirecon.data.volumes import data_root
from mrirecon.errors import ConfigError, FormatError
from mrirecon.evaluation.problems import Case, Problem, evenly_spaced
from mrirecon.io.kernel import read_kernels
from mrirecon.linalg.space import Space
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.image import bicubic_downsampling, block_average, blur, image_space
from mrirecon.operators.kernels import disc_kernel
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise
from mrirecon.records import to_mapping

MULTIPLE = 4
"""Pictures are cropped to a multiple of this along both edges, as super-resolution by four needs it."""
UnseenTask = Literal["sr4-mean", "sr6", "deblur-disc"]
DISC_RADIUS = 5.0


@dataclass(frozen=True)
class ImageSetting:
    """One restoration task.

    Parameters
    ----------
    task
        Of `restoration_tasks`. "sr4": antialiased bicubic downsampling by 4, mirrored edges. "deblur-gauss": standard
        deviation 3, 61 x 61 pixels. "deblur-motion": the kernels of the problems' file by turns, or random paths of
        61 x 61 pixels and intensity 0.5. Blur is periodic. "inpaint-box": a centred hole of half the edges.
        "inpaint-random": pixels missing at random. "denoise". Or of `unseen_tasks`: "sr4-mean", "sr6", "deblur-disc".
    sigma
        Of the noise where images range from -1 to 1; None is 0.05, and 25 / 127.5 for denoising.
    missing
        Share of the pixels, of "inpaint-random".
    """

    task: TaskName | UnseenTask
    sigma: float | None = None
    missing: float = 0.7

    def __post_init__(self) -> None:
        if not (self.noise > 0 and 0 < self.missing < 1):
            raise ConfigError(f"`sigma` must be positive and 0 < `missing` < 1, got {self.sigma} and {self.missing}")

    @property
    def noise(self) -> float:
        if self.sigma is not None:
            return self.sigma
        task = task_of(self)
        return task.sigma / 127.5 if task.needs == "sigma" else 0.05

    @property
    def family(self) -> str:
        """The task."""
        return self.task

    @property
    def name(self) -> str:
        """For example "sr4", "inpaint-random 70 %", "denoise sigma 25" or "sr4 sigma 0.01"."""
        missing = f" {100 * self.missing:g} %" if self.task == "inpaint-random" else ""
        if self.task == "denoise":
            return f"denoise sigma {127.5 * self.noise:g}"
        return f"{self.task}{missing}" + ("" if self.sigma in (None, 0.05) else f" sigma {self.sigma:g}")


@dataclass(frozen=True)
class ImageProblems:
    """Which photographs, and what is done with them.

    Parameters
    ----------
    specs
        Names of data specifications of photographs.
    settings
        Every picture is taken through all of them.
    split
        Part of the data; hyper-parameters must be tuned on another one than the table shows.
    pictures
        Per collection, spread evenly; all when None.
    colour
        "grey" (luma) or "rgb".
    kernels
        MATLAB file (version 5) with motion kernels under ``kernels``, below the root of the data; random paths when
        None.
    seed
        Of masks, paths and noise.
    crop
        Longest edge in pixels: the middle of larger pictures is taken, whole pictures when None.
    """

    specs: tuple[str, ...]
    settings: tuple[ImageSetting, ...]
    split: str = "validation"
    pictures: int | None = None
    colour: Literal["grey", "rgb"] = "grey"
    kernels: str | None = None
    seed: int = 0
    crop: int | None = None
    kind: Literal["images"] = "images"

    def __post_init__(self) -> None:
        if self.crop is not None and self.crop < MULTIPLE:
            raise ConfigError(f"`crop` must be at least {MULTIPLE} pixels or left out, got {self.crop}")
        if not self.settings or self.seed < 0 or (self.pictures is not None and self.pictures < 1):
            raise ConfigError("`settings` must not be empty, `pictures` positive and `seed` not negative")
        if len({s.name for s in self.settings}) != len(self.settings):
            raise ConfigError("two `settings` have the same task and noise")


def photograph_cases(problems: ImageProblems, specs: Path, root: str | Path | None) -> tuple[Case, ...]:
    """The cases of photographs, picture by picture; see `mri_problems.simulated_cases`."""
    folder = data_root(root)
    kernels = None if problems.kernels is None else motion_kernels(folder / problems.kernels)
    cases: list[Case] = []
    for spec_name in problems.specs:
        spec = load_data_spec(specs / f"{spec_name}.yaml")
        files = split_files(spec, problems.split, folder)
        pictures = read_photographs(spec, problems.split, folder, colour=problems.colour)
        chosen = evenly_spaced(len(files), problems.pictures or len(files))
        for turn, index in enumerate(chosen):
            image = torch.from_numpy(pictures[index]).float() / 127.5 - 1
            image = _middle(image, problems.crop, lcm(MULTIPLE, *(task_of(s).factor for s in problems.settings)))
            kernel = None if kernels is None else kernels[turn % len(kernels)]
            seed = crc32(f"{problems.seed}/{spec_name}/{files[index].stem}".encode())
            for setting in problems.settings:
                cases.append(_case(problems, setting, spec_name, files[index].stem, image, kernel, seed))
    return tuple(cases)


def _middle(image: Tensor, crop: int | None, multiple: int) -> Tensor:
    """The middle of (channel, y, x) with edges of at most `crop`, cut at the lower right to a `multiple`."""
    height, width = (min(n, crop or n) for n in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    height, width = (n // multiple * multiple for n in (height, width))
    return image[:, top : top + height, left : left + width].contiguous()


def _case(
    problems: ImageProblems, setting: ImageSetting, subject: str, stem: str, image: Tensor, kernel: Tensor | None,
    seed: int,
) -> Case:  # fmt: skip
    identity = {
        "subject": subject,
        "picture": stem,
        "shape": list(image.shape),
        "setting": to_mapping(setting),
        "kernel": None if kernel is None else crc32(kernel.numpy().tobytes()),
        "seed": seed,
        **({} if problems.crop is None else {"crop": problems.crop}),
    }
    name = f"{subject}/{stem}/{setting.name.replace(' %', '').replace(' ', '-')}"
    return Case(
        name, subject, setting.name, setting.family, identity,
        lambda: degraded_problem(image, setting, kernel=kernel, seed=seed),
    )  # fmt: skip


def degraded_problem(image: Tensor, setting: ImageSetting, *, kernel: Tensor | None = None, seed: int) -> Problem:
    """The data of one picture (channel, y, x) from -1 to 1; a `kernel` (y, x) for motion blur, else a random one."""
    generator = torch.Generator().manual_seed(seed)
    space = image_space(image.shape[0], image.shape[1], image.shape[2])
    operator = task_operator(setting, space, kernel=kernel, generator=generator)
    model = MeasurementModel(operator, GaussianNoise(setting.noise))
    support = torch.ones(image.shape[-2:], dtype=torch.bool)
    facts = {"sigma": setting.noise}
    return Problem(image, model.simulate(image, generator), model, -1.0, 1.0, support, facts=facts)


def task_operator(
    setting: ImageSetting, space: Space, *, kernel: Tensor | None, generator: torch.Generator
) -> LinearOperator:
    """The forward operator of a task on images of `space`; a given `kernel` is one of motion."""
    task = task_of(setting)
    if kernel is None or setting.task != "deblur-motion":
        severity = Severity(motion_size=61, missing=setting.missing, box_share=2)
        kernel = task.typical((space.shape[-2], space.shape[-1]), severity, generator)
    return task.operator(space, kernel)


def unseen_tasks() -> Mapping[str, RestorationTask]:
    """Tasks that `image-small` was not trained on, by `UnseenTask`.

    Super-resolution from the means of blocks of 4 x 4 pixels, by a factor of 6 (bicubic, as "sr4"), and a lens out of
    focus: a disc of 5 pixels' radius.
    """
    return {
        "sr4-mean": RestorationTask(None, lambda space, _: block_average(space, 4), factor=4),
        "sr6": RestorationTask(None, lambda space, _: bicubic_downsampling(space, 6), factor=6),
        "deblur-disc": RestorationTask("kernel", blur, lambda *_: disc_kernel(DISC_RADIUS)),
    }


def task_of(setting: ImageSetting) -> RestorationTask:
    """The row of either table."""
    return {**restoration_tasks(), **unseen_tasks()}[setting.task]


def motion_kernels(path: Path) -> tuple[Tensor, ...]:
    """The motion kernels of a file, (y, x), of sum 1: those that are not symmetric about their centre.

    Beside ``Levin09.mat`` this takes ``kernels_12.mat`` of the USRNet authors (four isotropic, four anisotropic
    Gaussians, four of motion).

    Raises
    ------
    FormatError
        If it cannot be read or holds no motion kernel.
    """
    kernels = [torch.from_numpy(kernel) for kernel in read_kernels(path)]
    moving = tuple(k for k in kernels if _is_motion(k))
    if not moving:
        raise FormatError(path, f"holds no motion kernel among its {len(kernels)}", key="kernels")
    return moving


def _is_motion(kernel: Tensor) -> bool:
    """Whether a kernel is a path rather than a Gaussian, which is symmetric about its centre."""
    asymmetry = (kernel - kernel.flip((-2, -1))).abs().sum() / kernel.abs().sum()
    return float(asymmetry) > 0.5
