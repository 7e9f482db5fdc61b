"""Strong models that learn from weak labels."""
