"""Where the small model should win: the advisor that measures small, large and both, and says which."""
