"""What reaches out of this program: sending to archives, a local viewer, a server for scanners."""
