"""Checkpoints: weights as safetensors with a JSON card of the same stem, checked when loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

import mrirecon.checkpoints
from mrirecon.data.spec import file_sha256
from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.atomic import atomic_file
from mrirecon.records import from_mapping
from mrirecon.training.card import Card, SelfTest, UncertaintyCard, read_card, write_card
from mrirecon.training.card_text import SHIFT, UNCERTAINTY, shift_text, uncertainty_text, with_section
from mrirecon.training.models import build_model, model_kind
from mrirecon.training.shift_card import ShiftCard

STEM = "model"
_EXPECTED = "self_test.output"
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model fit for use, in evaluation mode and float32, and its card."""

    module: nn.Module
    card: Card


def save_checkpoint(path: str | Path, module: nn.Module, card: Card, *, overwrite: bool = False) -> Card:
    """Write weights and card, the card last.

    Parameters
    ----------
    path
        A folder, in which the files are called ``model``, or the name of the ``.safetensors`` file.
    module
        As built from `card.model`. It keeps its own weights; what is stored is rounded to `card.weights_dtype`.
    card
        Its checksum and self-test are filled in here.

    Returns
    -------
        The card as written.
    """
    weights = _weights_path(Path(path))
    stored_type = torch.bfloat16 if card.weights_dtype == "bfloat16" else torch.float32
    parameters = {name for name, _ in module.named_parameters()}
    own = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    stored = {name: value.to(stored_type) if name in parameters else value for name, value in own.items()}
    if _EXPECTED in stored:
        raise ConfigError(f"no parameter may be called {_EXPECTED!r}")
    expected = _probe(_build(card, {name: value.to(own[name].dtype) for name, value in stored.items()}), card)
    magnitude = expected.abs()
    test = SelfTest(_TOLERANCE, float(magnitude.mean()), float(magnitude.max()))
    stored[_EXPECTED] = torch.view_as_real(expected).contiguous() if expected.is_complex() else expected
    with atomic_file(weights, overwrite=overwrite) as temporary:
        temporary.write_bytes(save(stored))  # save_file would make it readable for the owner only
    card = replace(card, weights_sha256=file_sha256(weights), self_test=test)
    write_card(weights.with_suffix(".json"), card, overwrite=overwrite)
    return card


def load_checkpoint(name_or_path: str | Path, *, device: str | torch.device = "cpu", verify: bool = True) -> Checkpoint:
    """A model with its weights.

    Parameters
    ----------
    name_or_path
        Name of a released checkpoint ("mri-small"), a folder written by training, or a ``.safetensors`` file.
    device
        Where to put the model.
    verify
        Check the SHA-256 of the weights and run the self-test, well under a second for the small models.

    Raises
    ------
    ConfigError
        If there is no such checkpoint.
    FormatError
        If weights or card are damaged, of an unknown version, or the self-test fails.
    """
    weights = find_checkpoint(name_or_path)
    card = read_card(weights.with_suffix(".json"))
    if verify and file_sha256(weights) != card.weights_sha256:
        problem = (
            f"the SHA-256 of the weights must be {card.weights_sha256}, got {file_sha256(weights)}; copy them again"
        )
        raise FormatError(weights, problem)
    try:
        stored = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise FormatError(weights, f"the weights cannot be read: {error}") from error
    expected = stored.pop(_EXPECTED, None)
    try:
        module = _build(card, {k: v.float() if v.is_floating_point() else v for k, v in stored.items()})
    except (ConfigError, RuntimeError) as error:
        raise FormatError(weights, f"weights and card do not fit: {' '.join(str(error).split())[:300]}") from error
    if verify:
        _verify(module, card, expected, weights)  # on the CPU, where float32 is what it says
    return Checkpoint(module.to(device), card)


def record_uncertainty(path: str | Path, found: UncertaintyCard) -> Card:
    """Write a calibration into the card of a checkpoint: its JSON, and the Markdown beside it, new or not.

    Parameters
    ----------
    path
        A folder written by training or a ``.safetensors`` file; the weights are not touched.
    found
        Of these very weights.

    Returns
    -------
        The card as written.

    Raises
    ------
    ConfigError
        If there is no such folder or file.
    FormatError
        If the weights are not those of the card.
    """
    return _record(path, UNCERTAINTY, uncertainty_text(found), lambda card: replace(card, uncertainty=found))


def record_shift(path: str | Path, found: ShiftCard) -> Card:
    """Write the calibration of the shift alarm into the card of a checkpoint; as `record_uncertainty`."""
    return _record(path, SHIFT, shift_text(found), lambda card: replace(card, shift=found))


def _record(path: str | Path, heading: str, text: str, changed: Callable[[Card], Card]) -> Card:
    if not Path(path).exists():
        raise ConfigError(f"there is no checkpoint at {str(path)!r}; name its folder or its .safetensors file")
    weights = find_checkpoint(path)
    card = read_card(weights.with_suffix(".json"))
    if file_sha256(weights) != card.weights_sha256:
        raise FormatError(weights, f"the SHA-256 of the weights must be {card.weights_sha256}; copy them again")
    card = changed(card)
    page = weights.with_suffix(".md")
    before = page.read_text(encoding="utf-8") if page.is_file() else f"# {card.name}\n"
    write_card(weights.with_suffix(".json"), card, overwrite=True)
    with atomic_file(page, overwrite=True) as temporary:
        temporary.write_text(with_section(before, heading, text), encoding="utf-8")
    return card


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The weights file of a name or path; `ConfigError` with the known names if there is none."""
    path = Path(name_or_path)
    candidates = [path / f"{STEM}.safetensors"] if path.is_dir() else []
    if path.suffix in (".safetensors", ".json"):
        candidates.append(path.with_suffix(".safetensors"))
    elif len(path.parts) == 1:
        candidates.append(_released_folder() / f"{path.name}.safetensors")
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = ", ".join(released_checkpoints()) or "none"
    raise ConfigError(
        f"there is no checkpoint {str(name_or_path)!r}; expected a released name ({known}), a folder with "
        f"{STEM}.safetensors, or a .safetensors file"
    )


def released_checkpoints() -> tuple[str, ...]:
    """Names of the checkpoints that come with the package."""
    return tuple(sorted(p.stem for p in _released_folder().glob("*.safetensors")))


def _released_folder() -> Path:
    return Path(mrirecon.checkpoints.__file__).parent


def _weights_path(path: Path) -> Path:
    return path if path.suffix == ".safetensors" else path / f"{STEM}.safetensors"


def _build(card: Card, weights: Mapping[str, Tensor]) -> nn.Module:
    module = build_model(from_mapping(model_kind(card.kind).config, card.model, where="model"), seed=0)
    module.load_state_dict(dict(weights))
    return module.eval()


def _probe(module: nn.Module, card: Card) -> Tensor:
    with torch.no_grad():
        return model_kind(card.kind).probe(module).cpu()


def _verify(module: nn.Module, card: Card, expected: Tensor | None, path: Path) -> None:
    if expected is None or card.self_test is None:
        raise FormatError(path, "holds no self-test; it was not written by save_checkpoint")
    found = _probe(module, card)
    found = torch.view_as_real(found) if found.is_complex() else found
    same_shape = found.shape == expected.shape
    error = float((found - expected).norm() / (expected.norm() + 1e-12)) if same_shape else float("inf")
    if not error <= card.self_test.relative_error:
        problem = (
            f"the self-test fails: relative error {error:.2g}, expected at most {card.self_test.relative_error:.2g}; "
            "this version of the program does not compute what it did when the weights were saved"
        )
        raise FormatError(path, problem)
