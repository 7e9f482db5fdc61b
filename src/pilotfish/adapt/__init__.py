"""Domain adaptation: a small expert steers a larger frozen model (white-box), or tells it what it lacks (black-box)."""
