"""One function per job: compose, stream, record. The command line only parses, calls a job and prints."""
