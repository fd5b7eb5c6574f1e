"""The streaming side of MRD: raw data come in over a socket, images go back; no reconstruction in here."""
