"""The parts of `pilotfish prompts`."""
