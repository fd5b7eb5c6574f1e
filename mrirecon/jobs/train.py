"""The `train` job: a configuration to a folder with a checkpoint, resumable at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn

import mrirecon
from mrirecon.config.build_training import build_examples, build_validator, data_cards
from mrirecon.config.train_schema import (
    TrainConfig,
    identity,
    load_train_config,
    require_same_course,
    with_steps,
)
from mrirecon.errors import ConfigError, FormatError, OutputError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.provenance import software_versions
from mrirecon.jobs.recon import require_device
from mrirecon.jobs.reporting import Reporter, Silent
from mrirecon.jobs.training_monitor import Monitor, stop_requests
from mrirecon.records import to_mapping
from mrirecon.training.card import RESEARCH_ONLY, STARTED_FROM, Card, DataCard
from mrirecon.training.checkpoint import load_checkpoint
from mrirecon.training.distributed import World, local_device, process_group
from mrirecon.training.loop import Ending, train
from mrirecon.training.models import build_model
from mrirecon.training.state import SavedState, TrainingState, new_state, read_state, state_files
from mrirecon.training.tensorboard import require_tensorboard

CONFIG_NAME = "training.yaml"
STATE_FOLDER = "state"


@dataclass(frozen=True)
class TrainOptions:
    """What `train` was asked for beside the configuration.

    Parameters
    ----------
    out
        Folder of the results; one that holds the same training is gone on with.
    data
        Root of the data; the variable MRIRECON_DATA when None.
    specs
        Folder of data specifications; None looks for ``data_specs`` beside the configuration's folder and here.
    steps
        Replaces the configuration's.
    minutes
        Stop after so long, with everything saved.
    threads
        Of the computation; None leaves the choice to torch.
    device
        "cpu", "cuda", ...
    start
        Checkpoint, by name or path, whose weights are the initial ones of a new training, for fine-tuning.
    """

    out: Path
    data: Path | None = None
    specs: Path | None = None
    steps: int | None = None
    minutes: float | None = None
    threads: int | None = None
    device: str = "cpu"
    start: str | None = None


@dataclass(frozen=True)
class TrainResult:
    """How a training ended, after how many steps, and whether a signal ended it."""

    ending: Ending
    step: int
    interrupted: bool


def train_model(path: Path, options: TrainOptions, reporter: Reporter) -> TrainResult:
    """Train the model of a configuration file, from where an earlier start left off.

    Raises
    ------
    MrireconError
        If something is wrong with configuration, data or folder; nothing is written then.
    ConvergenceError
        If losses are not finite for too long; the state before is saved.
    """
    config = with_steps(load_train_config(path), options.steps)
    if options.minutes is not None and not options.minutes > 0:
        raise ConfigError(f"--minutes must be positive, got {options.minutes:g}")
    if options.threads is not None:
        if options.threads < 1:
            raise ConfigError(f"--threads must be at least 1, got {options.threads}")
        torch.set_num_threads(options.threads)
    require_device(options.device)
    if config.monitoring.tensorboard:
        require_tensorboard()
    specs = specs_folder(path, options.specs)
    cards = data_cards(config, specs)
    device = local_device(options.device)
    with process_group(device) as world:
        saved = find_training(options.out, config, world, reporter if world.writes else Silent())
        examples = build_examples(config.data, specs, options.data, seed=config.seed)
        validator = build_validator(config, specs, options.data) if world.writes else None
        start = find_start(options.start, config, saved)
        state = start_state(config, device, saved, start)
        speaker = reporter if world.writes else Silent()
        world.wait()  # nobody writes before everybody has looked at the folder
        speaker.say(_opening(config, state, saved, world))
        if world.writes:
            _write_config(options.out / CONFIG_NAME, config)
        with stop_requests(speaker) as requests:
            monitor = Monitor(
                config,
                state,
                out=options.out,
                state_folder=options.out / STATE_FOLDER,
                identity={**identity(config, processes=world.size), "start": start.sha256},
                card=lambda metrics: make_card(config, cards, state, metrics, world, start),
                validator=validator,
                reporter=speaker,
                active=world.writes,
                minutes=options.minutes,
                requests=requests,
            )
            with monitor:
                ending = train(
                    state,
                    examples,
                    config.objective,
                    config.optimisation,
                    seed=config.seed,
                    world=world,
                    ahead=config.execution.prefetch,
                    workers=config.execution.workers,
                    observe=monitor.observe,
                    stop=monitor.wants_to_stop,
                )
            world.wait()  # process 0 is still writing when the others are done
            return TrainResult(ending, state.step, requests.made)


def specs_folder(config: Path, given: Path | None) -> Path:
    """The folder of data specifications: as given, or ``data_specs`` beside the configuration or its folder, here, or
    in the installed package."""
    if given is not None:
        if not given.is_dir():
            raise ConfigError(f"--specs must be a folder of data specifications, got {given}")
        return given
    folder = config.resolve().parent
    installed = Path(mrirecon.__file__).parent / "data_specs"
    candidates = [folder / "data_specs", folder.parent / "data_specs", Path("data_specs"), installed]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"no folder data_specs beside {config} nor here; name it with --specs")


def find_training(out: Path, config: TrainConfig, world: World, reporter: Reporter) -> SavedState | None:
    """The newest readable state in `out`, None if there is nothing to go on from.

    Raises
    ------
    OutputError
        If the folder holds something that is no training.
    ConfigError
        If it holds another training, or one that has gone on for longer than `optimisation.steps`.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not out.is_dir() or not (out / CONFIG_NAME).is_file():
        raise OutputError(f"{out} exists and holds no training; choose another folder with --out")
    saved = _newest_state(out / STATE_FOLDER, reporter)
    if saved is None:
        earlier = to_mapping(load_train_config(out / CONFIG_NAME))
        stored = {"configuration": earlier, "processes": world.size}
        require_same_course(stored, config, processes=world.size, where=str(out))
        return None
    require_same_course(saved.identity, config, processes=world.size, where=str(out))
    if saved.step > config.optimisation.steps:
        raise ConfigError(
            f"{out} holds {saved.step} steps, more than `optimisation.steps` = {config.optimisation.steps}; ask for "
            "more, or choose another folder with --out"
        )
    return saved


@dataclass(frozen=True, eq=False)
class Start:
    """Where the initial weights came from: the SHA-256 of a checkpoint's weights, empty for random ones."""

    sha256: str = ""
    weights: Mapping[str, Tensor] | None = None


def find_start(name: str | None, config: TrainConfig, saved: SavedState | None) -> Start:
    """What a training starts, or once started, from.

    Raises
    ------
    ConfigError
        If the weights of the checkpoint do not fit, it was trained on what must not be released, or it is not the one
        that the training in the folder started from.
    """
    known = None if saved is None else str(saved.identity.get("start", ""))
    if name is None:
        return Start(known or "")
    checkpoint = load_checkpoint(name)
    digest = checkpoint.card.weights_sha256
    if known is not None and known != digest:
        raise ConfigError(f"the training in this folder did not start from {name}; leave --start out to go on with it")
    if not _fits(checkpoint.module, build_model(config.model, seed=config.seed)):
        raise ConfigError(
            f"{name} is another model than the configuration's: its weights have other names or shapes; its card says "
            f"{checkpoint.card.model}"
        )
    if config.release and not checkpoint.card.releasable:
        raise ConfigError(f"`release` is true, but the licences of the data of {name} do not allow that")
    return Start(digest, checkpoint.module.state_dict())


def _fits(found: nn.Module, wanted: nn.Module) -> bool:
    """Whether the weights of one module fit another; solver steps and the like may differ."""
    shapes = [{name: value.shape for name, value in module.state_dict().items()} for module in (found, wanted)]
    return type(found) is type(wanted) and shapes[0] == shapes[1]


def start_state(config: TrainConfig, device: torch.device, saved: SavedState | None, start: Start) -> TrainingState:
    """The model on its device with optimiser and average: as saved, else from a checkpoint, else new."""
    module = build_model(config.model, seed=config.seed)
    if start.weights is not None:
        module.load_state_dict(dict(start.weights))
    module.to(device)
    _configure(module, config)
    state = new_state(module, config.optimisation)
    if saved is not None:
        saved.restore(state)
    return state


def make_card(
    config: TrainConfig,
    data: tuple[DataCard, ...],
    state: TrainingState,
    metrics: dict[str, float],
    world: World,
    start: Start,
) -> Card:
    """The card of the averaged weights as they are now."""
    origin = (f"{STARTED_FROM} {start.sha256}.",) if start.sha256 else ()
    return Card(
        name=config.name,
        model=to_mapping(config.model),
        normalisation=config.data.normalisation,
        sigma_data=getattr(config.model, "sigma_data", None),
        operator_families=config.data.operator_families,
        data=data,
        training=to_mapping(config),
        steps=state.step,
        batches=state.step * config.optimisation.accumulation * world.size,
        hours=round(state.seconds / 3600, 3),
        parameters=sum(p.numel() for p in state.module.parameters()),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        software=software_versions(),
        metrics=metrics,
        notes=(RESEARCH_ONLY,),
        history=origin,
        weights_dtype=config.monitoring.weights_dtype,
    )


def _configure(module: nn.Module, config: TrainConfig) -> None:
    execution = config.execution
    module.configure_execution(  # type: ignore[operator]
        precision=execution.precision,
        activation_checkpointing=execution.activation_checkpointing,
        compile=execution.compile,
    )


def _newest_state(folder: Path, reporter: Reporter) -> SavedState | None:
    files = state_files(folder)
    for path in reversed(files):
        try:
            return read_state(path)
        except FormatError as error:
            reporter.warn(str(error))
            last = error
    if files:
        raise last
    return None


def _opening(config: TrainConfig, state: TrainingState, saved: SavedState | None, world: World) -> str:
    size = sum(p.numel() for p in state.module.parameters()) / 1e6
    start = f"going on from step {saved.step}" if saved else "from the start"
    peers = f", {world.size} processes" if world.size > 1 else ""
    return f"{config.name}: {size:.2f} million parameters, {start} to step {config.optimisation.steps}{peers}"


def _write_config(path: Path, config: TrainConfig) -> None:
    text = yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True)
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
