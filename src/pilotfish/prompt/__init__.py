"""What small models do to the words around a large model: better ones, fewer ones, checked ones."""
