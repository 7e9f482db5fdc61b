"""Words around a large model: small models choose demonstrations and prompts, shorten, check and rewrite."""
