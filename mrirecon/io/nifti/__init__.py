"""NIfTI-1 written, read and summarised; nibabel is imported here only."""
