"""Tests of `pilotfish.synthesize`."""
