"""What a reconstruction will do and need, worked out before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from mrirecon.config.build_unfolded import TrainedMethod
from mrirecon.config.schema import Adjoint, EspiritMaps, ReconstructionConfig, Unfolded
from mrirecon.errors import ConfigError
from mrirecon.jobs.plane_certificate import CertificateForm, replica_planes
from mrirecon.jobs.planes import COMPLEX_BYTES
from mrirecon.networks.memory import activation_bytes
from mrirecon.scan import Scan

PROCESS_BYTES = 450 << 20
"""Interpreter, libraries and their workspaces (measured)."""

_LARGEST_CHUNK = 8
_WEIGHT_BYTES = 8  # single precision, and what converting and checking them takes


@dataclass(frozen=True)
class Plan:
    """Sizes and memory of one reconstruction.

    Parameters
    ----------
    n_planes, plane_shape, n_coils, n_virtual_coils
        Two-dimensional problems, their size, and coils before and after compression.
    plane_bytes
        Working memory of one plane.
    waiting_bytes
        Raw data of one plane that waits to be reconstructed.
    volume_bytes
        The result, and whatever else grows with the number of planes.
    chunk
        Planes read at a time.
    workspace_bytes
        Disk space next to the output while the job runs.
    """

    n_planes: int
    plane_shape: tuple[int, int]
    n_coils: int
    n_virtual_coils: int
    plane_bytes: int
    waiting_bytes: int
    volume_bytes: int
    chunk: int
    workspace_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Estimated peak memory of the process."""
        return PROCESS_BYTES + self.volume_bytes + self.plane_bytes + self.chunk * self.waiting_bytes

    def describe(self) -> str:
        """One line for the user."""
        rows, columns = self.plane_shape
        coils = (
            str(self.n_coils) if self.n_virtual_coils == self.n_coils else f"{self.n_coils} -> {self.n_virtual_coils}"
        )
        disk = f", {format_size(self.workspace_bytes)} of disk while it runs" if self.workspace_bytes > 1 << 20 else ""
        return (
            f"{self.n_planes} planes of {rows} x {columns}, {coils} coils; memory about {format_size(self.peak_bytes)} "
            f"({self.chunk} planes at a time){disk}"
        )


def make_plan(
    scan: Scan,
    config: ReconstructionConfig,
    *,
    n_slices: int,
    memory_limit: int | None,
    trained: TrainedMethod | None = None,
    keep_samples: bool = False,
    certificate: CertificateForm = "quick",
) -> Plan:
    """Estimate memory and choose how many planes to hold at once.

    Parameters
    ----------
    scan, config
        What is reconstructed, and how.
    n_slices
        Slices chosen of a 2D scan; ignored in 3D.
    memory_limit
        Bytes the process may use, None for no limit.
    trained
        The network of a learned method.
    keep_samples
        Whether posterior samples are kept to be written.
    certificate
        Form of the data-consistency certificate; the sharp one holds simulated repetitions of a plane.

    Raises
    ------
    ConfigError
        If not even one plane fits into the limit.
    """
    encoding = scan.encoding.without_readout_oversampling() if config.preparation.remove_oversampling else scan.encoding
    n_z, n_y, n_x = encoding.encoded_matrix
    n_planes, shape = (encoding.recon_matrix[2], (n_z, n_y)) if scan.is_3d else (n_slices, (n_y, n_x))
    virtual = config.preparation.virtual_coils or scan.n_coils
    pixels = shape[0] * shape[1]
    raw_plane = scan.n_coils * max(pixels, n_y * scan.encoding.encoded_matrix[2]) * COMPLEX_BYTES
    sets = config.maps.sets if isinstance(config.maps, EspiritMaps) else 1
    coil_images = 4 + (0 if isinstance(config.method, Adjoint) else 3 * sets)
    working = 3 * raw_plane + virtual * pixels * COMPLEX_BYTES * coil_images + 16 * pixels * COMPLEX_BYTES
    samples = config.method.samples if isinstance(config.method, Unfolded) else 1
    if trained is not None:
        images = sets * pixels * (3 * samples + 12)
        working += activation_bytes(trained.network.network, sets * pixels) + images * COMPLEX_BYTES
        working += _WEIGHT_BYTES * trained.card.parameters
    repeated = replica_planes(certificate) * virtual * pixels * COMPLEX_BYTES
    working += repeated
    layers = 1 + (samples > 1) + samples * keep_samples
    recon_z, recon_y, recon_x = encoding.recon_matrix
    volume = 4 * recon_y * recon_x * (recon_z if scan.is_3d else n_planes)
    survey = 4 * pixels * min(n_planes, 33)
    hybrid = scan.n_coils * n_z * n_y * encoding.recon_matrix[2] * COMPLEX_BYTES if scan.is_3d else 0
    result = (7 + 2 * layers) * volume  # planes, their stack, and what the export makes of it (measured)
    fixed = PROCESS_BYTES + result + survey + working
    chunk = min(_LARGEST_CHUNK, n_planes)
    if memory_limit is not None:
        if memory_limit < fixed + raw_plane:
            raise ConfigError(
                f"this scan needs about {format_size(fixed + raw_plane)} of memory, {format_size(memory_limit)} are "
                "allowed; raise --memory, or compress the coils with --compress-coils"
                + (", or draw or write fewer --samples" if samples > 1 else "")
                + (", or choose --certificate quick" if repeated else "")
            )
        chunk = min(chunk, (memory_limit - fixed) // raw_plane)
    disk = hybrid + layers * volume
    return Plan(n_planes, shape, scan.n_coils, virtual, working, raw_plane, result + survey, chunk, disk)


def parse_size(text: str) -> int:
    """Bytes from "800M", "4G" or a plain number of bytes; `ConfigError` for anything else."""
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    number, shift = (text[:-1], units[text[-1].upper()]) if text and text[-1].upper() in units else (text, 0)
    try:
        value = float(number) * (1 << shift)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"a size like 800M or 4G is expected, got {text!r}")
    return int(value)


def format_size(n: int) -> str:
    """Bytes for people."""
    return f"{n / (1 << 30):.1f} GB" if n >= 1 << 30 else f"{n / (1 << 20):.0f} MB"
