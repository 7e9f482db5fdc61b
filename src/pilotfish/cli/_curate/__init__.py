"""The parts of `pilotfish curate`."""
