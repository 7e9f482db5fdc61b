"""Rows from scratch: recipes that need no rows of the user's."""
