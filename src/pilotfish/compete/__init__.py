"""compete."""
