"""Benchmarks: one file a claim; `python -m benchmarks NAME` runs ours and the peer in turn."""
