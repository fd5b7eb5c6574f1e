"""Acceleration studies: inputs, masks and methods to scores, one resumable cell at a time."""
