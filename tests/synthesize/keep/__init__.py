"""Tests of `pilotfish.synthesize.keep`."""
