"""What `pilotfish judge` does."""
