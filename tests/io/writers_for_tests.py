"""Raw files for the readers' tests, made with the `ismrmrd` package and h5py only, and an analytic point phantom."""

from __future__ import annotations

from dataclasses import dataclass, field

import h5py
import ismrmrd
import numpy as np
from ismrmrd import constants

COIL_WEIGHTS = np.array([1.0, 0.6 - 0.5j, -0.3 + 0.9j])

OBLIQUE_READ = np.array([0.8, 0.36, -0.48])
OBLIQUE_PHASE = np.array([-0.6, 0.48, -0.64])
OBLIQUE_NORMAL = np.cross(OBLIQUE_READ, OBLIQUE_PHASE)


def header_xml(
    encoded,
    encoded_fov,
    recon,
    recon_fov,
    *,
    centre_1=None,
    centre_2=None,
    limits=True,
    trajectory="cartesian",
    before="",
    after="",
):
    """An MRD header; matrices and fields of view are (x, y, z). `before` and `after` surround the encoding."""

    def space(name, matrix, fov):
        m = "".join(f"<{a}>{v}</{a}>" for a, v in zip("xyz", matrix, strict=True))
        f = "".join(f"<{a}>{v}</{a}>" for a, v in zip("xyz", fov, strict=True))
        return f"<{name}><matrixSize>{m}</matrixSize><fieldOfView_mm>{f}</fieldOfView_mm></{name}>"

    def limit(name, n, centre):
        centre = n // 2 if centre is None else centre
        return f"<{name}><minimum>0</minimum><maximum>{n - 1}</maximum><center>{centre}</center></{name}>"

    inside = ""
    if limits:
        inside = limit("kspace_encoding_step_1", encoded[1], centre_1)
        inside += limit("kspace_encoding_step_2", encoded[2], centre_2)
    return (
        '<?xml version="1.0" encoding="utf-8"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        f"{before}<experimentalConditions><H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz>"
        "</experimentalConditions><encoding>"
        f"{space('encodedSpace', encoded, encoded_fov)}{space('reconSpace', recon, recon_fov)}"
        f"<encodingLimits>{inside}</encodingLimits><trajectory>{trajectory}</trajectory></encoding>{after}"
        "</ismrmrdHeader>"
    )


def gaussian_line(kx, ky, kz, offset, width_mm):
    """Fourier transform at (kx, ky, kz), cycles per mm, of a Gaussian blob at `offset` (read, phase, slice)."""
    phase = kx * offset[0] + ky * offset[1] + kz * offset[2]
    return np.exp(-2j * np.pi * phase - 2 * np.pi**2 * width_mm**2 * (kx**2 + ky**2 + kz**2))


@dataclass
class Protocol2D:
    """How to acquire a Gaussian blob at an LPS position in slices; everything a scanner may do differently."""

    point: np.ndarray
    nx: int = 32  # encoded, oversampling included
    ny: int = 20
    fov: tuple = (80.0, 60.0)  # encoded, x and y
    oversampling: float = 2.0
    recon: tuple | None = None  # (x, y)
    n_slices: int = 5
    step: float = 6.0
    thickness: float = 4.0
    middle: np.ndarray = field(default_factory=lambda: np.array([12.0, -20.0, 31.0]))
    read: np.ndarray = field(default_factory=lambda: OBLIQUE_READ)
    phase: np.ndarray = field(default_factory=lambda: OBLIQUE_PHASE)
    normal: np.ndarray = field(default_factory=lambda: OBLIQUE_NORMAL)
    order: tuple | None = None  # spatial slice of each slice counter
    first_ky: int = 0  # partial Fourier: first acquired line of the full grid, which becomes counter 0
    first_kx: int = 0  # asymmetric echo: first acquired sample of the full grid
    averages: int = 1
    reverse: bool = False
    discard: tuple = (0, 0)
    header_nx: int | None = None
    header_fov_x: float | None = None
    width: float = 3.5

    @property
    def recon_matrix(self):
        return self.recon or (round(self.nx / self.oversampling), self.ny)

    def slice_centre(self, spatial):
        return self.middle + (spatial - self.n_slices // 2) * self.step * self.normal

    def spatial_order(self):
        return self.order or tuple(range(self.n_slices))

    def line(self, spatial, ky_index):
        """All `nx` samples of a line for each coil; only the slice next to the point holds signal."""
        offset = self.point - self.slice_centre(spatial)
        along = abs(offset @ self.normal)
        kx = (np.arange(self.nx) - self.nx // 2) / self.fov[0]
        ky = (ky_index - self.ny // 2) / self.fov[1]
        signal = gaussian_line(kx, ky, 0.0, (offset @ self.read, offset @ self.phase, 0), self.width)
        return np.outer(COIL_WEIGHTS, signal * (along < self.step / 2)).astype(np.complex64)

    def xml(self, **more):
        nx = self.header_nx or self.nx
        fov_x = self.header_fov_x or self.fov[0]
        return header_xml(
            (nx, self.ny, 1),
            (fov_x, self.fov[1], self.thickness),
            (*self.recon_matrix, 1),
            (self.fov[0] / self.oversampling, self.fov[1], self.thickness),
            centre_1=self.ny // 2 - self.first_ky,
            **more,
        )


def write_blob(path, protocol, *, xml=None, extra=()):
    """Acquire `protocol`: for every average, line and slice counter one acquisition. `extra`: acquisitions to add."""
    p = protocol
    with ismrmrd.Dataset(str(path), mode="w") as file:
        file.write_xml_header((xml or p.xml()).encode())
        for acquisition in extra:
            file.append_acquisition(acquisition)
        for average in range(p.averages):
            for ky in range(p.first_ky, p.ny):
                for counter, spatial in enumerate(p.spatial_order()):
                    data = p.line(spatial, ky)[:, p.first_kx :]
                    reverse = p.reverse and ky % 2 == 1
                    before, after = p.discard
                    junk = np.full((data.shape[0], 1), 1e3 + 1e3j, np.complex64)
                    sent = data[:, ::-1] if reverse else data
                    sent = np.concatenate([junk.repeat(before, 1), sent, junk.repeat(after, 1)], axis=1)
                    centre = p.nx // 2 - p.first_kx + (after if reverse else before)
                    acquisition = acquisition_of(
                        sent,
                        kspace_encode_step_1=ky - p.first_ky,
                        slice=counter,
                        average=average,
                        position=p.slice_centre(spatial),
                        directions=(p.read, p.phase, p.normal),
                        center_sample=centre,
                        flags=("REVERSE",) if reverse else (),
                    )
                    acquisition.discard_pre, acquisition.discard_post = before, after
                    file.append_acquisition(acquisition)
    return path


def acquisition_of(data, *, position=(0, 0, 0), directions=None, center_sample=None, flags=(), dwell=5.0, **counters):
    """One acquisition from (coil, sample) data."""
    acquisition = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data, np.complex64))
    for name, value in counters.items():
        setattr(acquisition.idx, name, value)
    acquisition.position[:] = [float(v) for v in position]
    for name, vector in zip(("read_dir", "phase_dir", "slice_dir"), directions or (), strict=False):
        getattr(acquisition, name)[:] = [float(v) for v in vector]
    acquisition.center_sample = data.shape[1] // 2 if center_sample is None else center_sample
    acquisition.sample_time_us = dwell
    for flag in flags:
        acquisition.set_flag(flag_number(flag))
    return acquisition


def flag_number(name):
    """The flag's number in the `ismrmrd` package: ACQ_IS_<name> or ACQ_<name>."""
    return getattr(constants, f"ACQ_IS_{name}", None) or getattr(constants, f"ACQ_{name}")


def write_fastmri(path, kspace, *, xml=None, mask=None, reconstruction=None, attributes=None):
    """A file as the fastMRI data sets have them; `kspace` is (slice, [coil,] readout, phase)."""
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        if xml is not None:
            file.create_dataset("ismrmrd_header", data=xml if isinstance(xml, bytes) else xml.encode())
        if mask is not None:
            file["mask"] = mask
        if reconstruction is not None:
            key = "reconstruction_rss" if kspace.ndim == 4 else "reconstruction_esc"
            file[key] = reconstruction
        for name, value in (attributes or {}).items():
            file.attrs[name] = value
    return path


def centred_ifft(kspace, axes):
    """Centred orthonormal inverse transform with NumPy, independent of the package."""
    shifted = np.fft.ifftshift(kspace, axes=axes)
    return np.fft.fftshift(np.fft.ifftn(shifted, axes=axes, norm="ortho"), axes=axes)


def images_of(scan):
    """Root-sum-of-squares images of the encoded grid, (z, y, x), by centred inverse transforms."""
    kspace = np.stack([scan.read(i).numpy() for i in range(scan.n_planes)])
    if scan.is_3d:
        kspace = centred_ifft(kspace, (0,))
    return np.sqrt((np.abs(centred_ifft(kspace, (-2, -1))) ** 2).sum(axis=1))


def brightest_point(image):
    """Index (z, y, x) of the top of the blob: on each axis the parabola through the logarithm, exact for a Gaussian."""
    peak = np.unravel_index(image.argmax(), image.shape)
    point = np.array(peak, dtype=float)
    for axis, n in enumerate(image.shape):
        if not 0 < peak[axis] < n - 1:
            continue
        low, middle, high = (image[(*peak[:axis], peak[axis] + d, *peak[axis + 1 :])] for d in (-1, 0, 1))
        if low > 1e-3 * middle and high > 1e-3 * middle:
            low, middle, high = np.log([low, middle, high])
            point[axis] += 0.5 * (low - high) / (low - 2 * middle + high)
    return point


def in_slice(protocol, spatial, read_mm, phase_mm):
    """The LPS position `read_mm` and `phase_mm` away from the centre of a slice."""
    return protocol.slice_centre(spatial) + read_mm * protocol.read + phase_mm * protocol.phase


def landmark_error_mm(scan, point, *, crop=True, recon=False):
    """Distance between `point` and where the image shows the blob; through the crop and zero-fill as a user does."""
    image, geometry, encoding = images_of(scan), scan.geometry, scan.encoding
    if crop:
        shape = image.shape
        n, size = shape[2], encoding.readout_size
        image = image[:, :, n // 2 - size // 2 :][:, :, :size]
        geometry = geometry.centred_crop(shape, image.shape)
        encoding = encoding.without_readout_oversampling()
    if recon:
        new = (image.shape[0], *encoding.recon_matrix[1:])
        kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=(1, 2))), axes=(1, 2))
        padded = np.zeros(new, complex)
        at = [m // 2 - n // 2 for n, m in zip(image.shape, new, strict=True)]
        padded[:, at[1] : at[1] + image.shape[1], at[2] : at[2] + image.shape[2]] = kspace
        geometry = geometry.resampled(image.shape, new)
        image = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(padded, axes=(1, 2))), axes=(1, 2)))
    offset = geometry.position(brightest_point(image)) - point
    return float(np.linalg.norm(offset))


def edit_heads(path, change):
    """Apply `change` to the array of all line headers of a file."""
    with h5py.File(path, "r+") as file:
        records = file["dataset/data"][:]
        change(records["head"])
        file["dataset/data"][:] = records
