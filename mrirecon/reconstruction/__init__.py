"""From data and a measurement model to an image."""
