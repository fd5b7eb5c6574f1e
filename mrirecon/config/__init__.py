"""Configurations: the schema, strict loading, and the one place where names become objects."""
