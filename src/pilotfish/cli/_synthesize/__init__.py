"""The parts of `pilotfish synthesize`."""
