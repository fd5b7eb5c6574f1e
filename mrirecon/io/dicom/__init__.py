"""DICOM: series, companions and certificates written, series read; pydicom and highdicom are imported here only."""
