"""The fast decoder for CPUs: one small C library, compiled for this machine at first use, runs a whole step a call."""
