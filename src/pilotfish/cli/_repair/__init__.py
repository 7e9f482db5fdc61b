"""The parts of `pilotfish repair`."""
