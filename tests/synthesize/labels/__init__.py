"""Labels by a large model."""
