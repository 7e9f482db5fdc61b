"""What `pilotfish supervise` is made of."""
