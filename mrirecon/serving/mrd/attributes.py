"""The meta attributes of an image that is sent: names and values as XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import mrirecon
from mrirecon.io.dicom.series import RESEARCH_PHRASE
from mrirecon.io.intensity import Intensity
from mrirecon.scan import ImageSeries

Attributes = dict[str, str | Sequence[str]]


def series_attributes(
    series: ImageSeries, intensity: Intensity, *, config: str, fallback: str | None, integers: bool
) -> Attributes:
    """What every image of a series says about itself, in the names that scanners know where they have one.

    Parameters
    ----------
    series
        The images; their protocol and subject say nothing here.
    intensity
        Factor and window of stored values.
    config
        Name of the configuration that was asked for.
    fallback
        Why this is the classical reconstruction instead, None if it is what was asked for.
    integers
        Whether stored values are sent, or the images in their own units.

    Notes
    -----
    `ImageType` and the comments are those of the DICOM writer. Names that begin with ``mrirecon_`` are ours: method,
    configuration, derivation, checkpoint with its checksum, scale factor, fallback and warnings.
    """
    derivation = series.derivation
    unit = 1.0 if integers else intensity.factor
    centre, width = (value / unit for value in intensity.window)
    network = derivation.parameters.get("network") or {}
    additional = f"mrirecon_{derivation.method}" + ("" if series.quantity == "magnitude" else "_sd")
    warnings = [*([f"classical reconstruction instead of {config}: {fallback}"] if fallback else []), *series.warnings]
    attributes: Attributes = {
        "DataRole": "Image",
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
        "ImageProcessingHistory": ["MRIRECON", derivation.method.upper()],
        "SeriesDescription": series.description,
        "SequenceDescriptionAdditional": additional,
        "ImageComment": [RESEARCH_PHRASE, *warnings, derivation.summary],
        "WindowCenter": f"{centre:.6g}",
        "WindowWidth": f"{width:.6g}",
        "Keep_image_geometry": "1",
        "mrirecon_version": mrirecon.__version__,
        "mrirecon_config": config,
        "mrirecon_method": derivation.method,
        "mrirecon_kind": derivation.kind,
        "mrirecon_derivation": derivation.summary,
        "mrirecon_quantity": series.quantity,
        "mrirecon_scale_factor": f"{intensity.factor if integers else 1.0:.9g}",
        "mrirecon_geometry": "nominal" if series.geometry.nominal else "measured",
        "mrirecon_simulated": "true" if derivation.simulated else "false",
    }
    if network:
        attributes["mrirecon_checkpoint"] = str(network["checkpoint"])
        attributes["mrirecon_checkpoint_sha256"] = str(network["sha256"])
    if fallback:
        attributes["mrirecon_fallback"] = fallback
    if warnings:
        attributes["mrirecon_warning"] = warnings
    return attributes


def attribute_xml(attributes: Mapping[str, str | Sequence[str]]) -> str:
    """The attributes as the `ismrmrdMeta` document that goes before the pixels; a sequence becomes several values."""
    root = ElementTree.Element("ismrmrdMeta")
    for name, values in attributes.items():
        meta = ElementTree.SubElement(root, "meta")
        ElementTree.SubElement(meta, "name").text = name
        for value in [values] if isinstance(values, str) else values:
            ElementTree.SubElement(meta, "value").text = value
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")
