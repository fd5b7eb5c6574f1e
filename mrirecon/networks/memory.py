"""How much memory a network needs, for plans that must fail before the work."""

from __future__ import annotations

from mrirecon.networks.unet import AdmConfig, UNetConfig

_ADM_FEATURES = 26
_COMPACT_FEATURES = 12
_CLASSIC_FEATURES = 12
_FLOAT_BYTES = 4


def activation_bytes(config: UNetConfig, pixels: int) -> int:
    """Working memory of one evaluation without gradients, beside the weights.

    An upper estimate: so many feature maps of the first level live at once, as measured in single precision.

    Parameters
    ----------
    config
        The network.
    pixels
        Of all images of the batch together.
    """
    if isinstance(config, AdmConfig):
        return _FLOAT_BYTES * _ADM_FEATURES * config.width * pixels
    return _FLOAT_BYTES * _COMPACT_FEATURES * config.width * pixels // config.unshuffle**2


def classic_unet_bytes(chans: int, pixels: int) -> int:
    """The same of the U-Net of the comparison methods with so many channels at its first level.

    Measured on 640 x 640 pixels: 9 to 10.5 feature maps beside a few images, whatever the number of cascades.
    """
    return _FLOAT_BYTES * _CLASSIC_FEATURES * chans * pixels
