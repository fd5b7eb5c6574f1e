"""Siemens raw data; twixtools is imported here only."""
