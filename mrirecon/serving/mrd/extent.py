"""How much a header announces, so that too much is refused before it comes."""

from __future__ import annotations

from dataclasses import dataclass

from mrirecon.io.ismrmrd.header import EncodedSpace, RawHeader
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.messages import StreamError

_LARGEST_AXIS = 65535  # counters have 16 bits
_REPEATING = ("average", "contrast", "phase", "repetition", "set")
_MOST_ACCELERATION = 16
_LINE_FACTOR, _MORE_LINES = 4, 4096
_BYTE_FACTOR, _MORE_BYTES = 8, 64 << 20
_COMPLEX_BYTES = 8


@dataclass(frozen=True)
class Allowance:
    """What this measurement may send, from its own header: several times what it announces, within the limits.

    Calibration, navigators, reflected lines, noise and oversampling that the header leaves out come on top of the
    encoded matrix, hence the slack.
    """

    acquisitions: int
    data_bytes: int


def allowance(header: RawHeader, limits: Limits) -> Allowance:
    """The allowance of a measurement; `StreamError` if it announces more than the limits."""
    lines = samples = 0
    for space in header.encodings:
        n = _lines(space)
        lines += n
        samples += n * space.encoded_matrix[2]
    coils = header.receiver_channels
    factors = [space.acceleration for space in header.encodings]
    acceleration = min((max(1, a[0]) * max(1, a[1]) for a in factors if a is not None), default=1)
    acceleration = min(acceleration, _MOST_ACCELERATION)
    announced = samples * (coils or 1) * _COMPLEX_BYTES
    if lines > limits.acquisitions * acceleration or announced > limits.data_bytes * acceleration:
        raise StreamError(
            f"the header announces {lines} lines and {announced} bytes ({acceleration} times accelerated), this server "
            f"takes {limits.acquisitions} lines and {limits.data_bytes} bytes; raise its limits or send less"
        )
    allowed = _BYTE_FACTOR * announced + _MORE_BYTES if coils else limits.data_bytes
    return Allowance(
        min(_LINE_FACTOR * lines + _MORE_LINES, limits.acquisitions),
        min(allowed, limits.data_bytes),
    )


def _lines(space: EncodedSpace) -> int:
    if max(*space.encoded_matrix, *space.recon_matrix) > _LARGEST_AXIS:
        raise StreamError(
            f"the header announces the matrices {space.encoded_matrix} and {space.recon_matrix} (z, y, x); no axis may "
            f"be longer than {_LARGEST_AXIS}"
        )
    counts = {name: limit.maximum - limit.minimum + 1 for name, limit in space.limits.items()}
    n_z, n_y, _ = space.encoded_matrix
    # Some scanners put the slices of a 2D measurement into the matrix, so partitions and slices are not multiplied.
    lines = n_y * max(n_z, counts.get("slice", 1))
    for name in _REPEATING:
        lines *= max(1, counts.get(name, 1))
    return lines
