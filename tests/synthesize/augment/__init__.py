"""Tests of `pilotfish.synthesize.augment`."""
