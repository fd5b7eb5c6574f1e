"""How much memory a network needs, for plans that must fail before the work."""

from __future__ import annotations

from mrirecon.networks.unet import AdmConfig, UNetConfig

_ADM_FEATURES = 26
_COMPACT_FEATURES = 12
_CLASSIC_FEATURES = 12
_ADM_KEPT = (50, 30)
_COMPACT_KEPT = (20, 15)
_FLOAT_BYTES = 4


def activation_bytes(config: UNetConfig, pixels: int, *, gradient: bool = False) -> int:
    """Working memory of one evaluation, beside the weights.

    An upper estimate: so many feature maps of the first level live at once, as measured in single precision.

    Parameters
    ----------
    config
        The network.
    pixels
        Of all images of the batch together.
    gradient
        With respect to the image too: features are kept then, the more the more residual blocks there are.
    """
    adm = isinstance(config, AdmConfig)
    base, each = _ADM_KEPT if adm else _COMPACT_KEPT
    features = base + each * config.blocks if gradient else _ADM_FEATURES if adm else _COMPACT_FEATURES
    shrunk = 1 if isinstance(config, AdmConfig) else config.unshuffle**2
    return _FLOAT_BYTES * features * config.width * pixels // shrunk


def classic_unet_bytes(chans: int, pixels: int) -> int:
    """The same of the U-Net of the comparison methods with so many channels at its first level.

    Measured on 640 x 640 pixels: 9 to 10.5 feature maps beside a few images, whatever the number of cascades.
    """
    return _FLOAT_BYTES * _CLASSIC_FEATURES * chans * pixels
