"""The estimate of a gradient's memory covers what autograd keeps, and not many times that."""

from __future__ import annotations

import pytest
import torch

from mrirecon.networks.memory import activation_bytes
from mrirecon.networks.unet import AdmConfig, CompactConfig, UNetConfig, build_unet

SIZE = 64


def kept_bytes(config: UNetConfig) -> int:
    """Of all tensors that autograd keeps, weights left out."""
    network = build_unet(config, c_in=2, c_out=2).requires_grad_(False)
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    image = torch.randn(1, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(image, torch.zeros(1, 1)).sum()
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize(
    "config",
    [
        CompactConfig(width=24, multipliers=(1, 2, 3, 4), blocks=1, unshuffle=2),
        CompactConfig(width=24, multipliers=(1, 2, 3, 4), blocks=3, unshuffle=2),
        CompactConfig(width=24, multipliers=(1, 2, 2), blocks=2, unshuffle=1),
        AdmConfig(width=16, blocks=1),
        AdmConfig(width=16, blocks=3),
    ],
    ids=["compact-1", "compact-3", "compact-wide", "adm-1", "adm-3"],
)
def test_a_gradient_keeps_no_more_than_was_planned(config: UNetConfig) -> None:
    planned = activation_bytes(config, SIZE * SIZE, gradient=True)
    assert 0.3 * planned < kept_bytes(config) < planned
    assert planned > 2 * activation_bytes(config, SIZE * SIZE)
