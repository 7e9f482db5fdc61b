"""Words around a large model: what small models do to its prompt, and to its answer before anybody reads it."""
