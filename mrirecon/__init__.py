"""Raw multi-coil k-space to images a viewer opens: reconstruction, restoration and export."""

__version__ = "0.1.0.dev0"
