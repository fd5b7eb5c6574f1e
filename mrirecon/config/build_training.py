"""The parts of a training from its configuration: examples, validation, and what the card says of the data."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from mrirecon.config.train_schema import DataChoice, MRIData, TrainConfig
from mrirecon.data.examples import Examples
from mrirecon.data.image_examples import ImageExamples
from mrirecon.data.mri_examples import MRIExamples
from mrirecon.data.photographs import read_training_photographs
from mrirecon.data.spec import DataSpec, load_data_spec
from mrirecon.data.volumes import read_training_volumes
from mrirecon.diffusion.schedule import karras_levels, sampling_levels
from mrirecon.errors import ConfigError
from mrirecon.reconstruction.unfolding import UnfoldedConfig
from mrirecon.training.card import DataCard
from mrirecon.training.levels import level_range
from mrirecon.training.models import ModelConfig, ObjectiveConfig, model_kind
from mrirecon.training.objectives import ScoreObjective
from mrirecon.training.validation import Validator, fixed_batches

_VALIDATION_SEED = 20_000  # the same pictures whatever the seed of the training


def build_examples(data: DataChoice, specs: Path, root: Path | None, *, seed: int) -> Examples:
    """The examples a configuration names.

    Parameters
    ----------
    data
        The choice.
    specs
        Folder of the data specifications.
    root
        Folder of the data; the variable MRIRECON_DATA when None.
    seed
        Of everything drawn.

    Raises
    ------
    ConfigError, FormatError, ShapeError
        If a specification does not fit, or files are missing, damaged or too small.
    """
    files = [spec_file(name, specs) for name in data.specs]
    if isinstance(data, MRIData):
        return MRIExamples(read_training_volumes(files, data.split, root), data.simulation, seed=seed)
    return ImageExamples(read_training_photographs(files, data.split, root), data.degradations, seed=seed)


def build_validator(config: TrainConfig, specs: Path, root: Path | None) -> Validator | None:
    """What the configuration's validation looks at, None without one; the examples do not depend on its seed."""
    validation = config.monitoring.validation
    if validation is None:
        return None
    examples = build_examples(validation.data, specs, root, seed=_VALIDATION_SEED)
    batches = fixed_batches(examples, validation.batches)
    levels = validation_levels(config.objective, config.model, validation.levels)
    return Validator(batches, model_kind(config.model.kind).restore, levels)


def validation_levels(objective: ObjectiveConfig, model: ModelConfig, n: int) -> Tensor:
    """`n` noise levels of Euler's method over what is trained; models that do not sample do not look at them."""
    if not isinstance(objective, ScoreObjective) or not isinstance(model, UnfoldedConfig):
        return karras_levels(n)
    low, high = level_range(objective.levels)
    return sampling_levels(n, sigma_min=low, sigma_max=high, sigma_data=model.sigma_data)


def data_cards(config: TrainConfig, specs: Path) -> tuple[DataCard, ...]:
    """What the card says of every collection.

    Raises
    ------
    ConfigError
        If the configuration wants to release weights and a licence forbids it, or a collection is trained on and
        validated with the same split.
    """
    loaded = [load_data_spec(spec_file(name, specs)) for name in config.data.specs]
    forbidden = [spec.name for spec in loaded if not spec.licence.release]
    if config.release and forbidden:
        raise ConfigError(
            f"`release` is true, but the licence of {', '.join(forbidden)} does not allow weights to be published; "
            "leave these out of `data.specs` or set `release: false`"
        )
    validation = config.monitoring.validation
    if validation is not None and validation.data.split == config.data.split:
        shared = set(validation.data.specs) & set(config.data.specs)
        if shared:
            raise ConfigError(
                f"`monitoring.validation.data` names {', '.join(sorted(shared))} [{config.data.split}], which is "
                "trained on; choose another split or collection"
            )
    return tuple(_data_card(spec, config.data.split) for spec in loaded)


def spec_file(name: str, folder: Path) -> Path:
    """The file of a data specification; `ConfigError` with the known names if there is none."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise ConfigError(f"there is no data specification {name!r} in {folder}; it has: {known}")
    return path


def _data_card(spec: DataSpec, split: str) -> DataCard:
    return DataCard(spec.name, spec.title, spec.citation, spec.licence.name, spec.licence.release, split)
