"""The domain model: what a scan is, in frozen dataclasses, without file formats."""

from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.scan import Scan
from mrirecon.scan.series import Derivation, ImageSeries
from mrirecon.scan.subject import Subject

__all__ = ["Derivation", "Encoding", "Geometry", "ImageSeries", "Protocol", "Scan", "Subject"]
