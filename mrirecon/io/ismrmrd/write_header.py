"""The XML header of an MRD file that is written, through the schema classes of the `ismrmrd` package."""

from __future__ import annotations

from typing import Any

from ismrmrd import xsd

from mrirecon.errors import ConfigError
from mrirecon.io.ismrmrd.header import SIMULATED
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol


def header_xml(
    encoding: Encoding, geometry: Geometry, protocol: Protocol, shape: tuple[int, ...], *, simulated: bool
) -> bytes:
    """The header of one volume; `shape` is (average, plane, coil, ky, kx). `ConfigError` for values outside MRD's."""
    n_averages, n_planes, n_coils, ny, nx = shape
    is_3d = protocol.dimensionality == "3D"
    position = protocol.patient_position
    known = [p.value for p in xsd.patientPositionType]
    if position is not None and position not in known:
        raise ConfigError(f"`protocol.patient_position` must be one of {', '.join(known)}, got {position!r}")
    nz = encoding.encoded_matrix[0]
    limits = xsd.encodingLimitsType(
        kspace_encoding_step_0=_limit(nx),
        kspace_encoding_step_1=_limit(ny),
        kspace_encoding_step_2=_limit(nz),
        average=_limit(n_averages, 0),
        slice=_limit(1 if is_3d else n_planes, 0),
        contrast=_limit(1, 0),
        repetition=_limit(1, 0),
    )
    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=round((protocol.imaging_frequency_mhz or 0.0) * 1e6)
        ),
        encoding=[
            xsd.encodingType(
                encodedSpace=_space(encoding.encoded_matrix, encoding.encoded_fov_mm),
                reconSpace=_space(encoding.recon_matrix, encoding.recon_fov_mm),
                encodingLimits=limits,
                trajectory=xsd.trajectoryType.CARTESIAN,
            )
        ],
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(
            systemVendor=protocol.manufacturer,
            systemModel=protocol.model,
            systemFieldStrength_T=protocol.field_strength_t,
            receiverChannels=n_coils,
        ),
        sequenceParameters=xsd.sequenceParametersType(
            TR=_list(protocol.repetition_time_ms),
            TE=_list(protocol.echo_time_ms),
            TI=_list(protocol.inversion_time_ms),
            flipAngle_deg=_list(protocol.flip_angle_deg),
            sequence_type=protocol.sequence_name,
        ),
    )
    if protocol.body_part is not None:
        header.studyInformation = xsd.studyInformationType(bodyPartExamined=protocol.body_part)
    if position is not None:
        header.measurementInformation = xsd.measurementInformationType(
            patientPosition=xsd.patientPositionType(position),
            protocolName=protocol.protocol_name,
            frameOfReferenceUID=None if geometry.nominal else geometry.frame_of_reference_uid,
        )
    if simulated:
        mark = xsd.userParameterStringType(name=SIMULATED, value="true")
        header.userParameters = xsd.userParametersType(userParameterString=[mark])
    xml: str = xsd.ToXML(header, encoding="utf-8")
    return xml.encode("utf-8")


def _limit(n: int, centre: int | None = None) -> Any:
    return xsd.limitType(minimum=0, maximum=n - 1, center=n // 2 if centre is None else centre)


def _space(matrix: tuple[int, int, int], fov: tuple[float, float, float]) -> Any:
    z, y, x = fov
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=matrix[2], y=matrix[1], z=matrix[0]),
        fieldOfView_mm=xsd.fieldOfViewMm(x=x, y=y, z=z),
    )


def _list(value: float | None) -> list[float]:
    return [] if value is None else [float(value)]
