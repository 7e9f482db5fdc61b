"""Data synthesis: a large model writes, labels or varies the rows that a small one is to learn from."""
