"""MRD (ISMRMRD): raw data read and written, and the stream's messages; ismrmrd is imported here only."""
