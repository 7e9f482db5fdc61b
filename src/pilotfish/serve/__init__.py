"""The gateway: every model of a collaboration file behind one OpenAI-compatible door, with keys, log and page."""
