"""Tests of `pilotfish.synthesize.scratch`."""
