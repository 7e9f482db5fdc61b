"""Fitting a causal language model: examples, the plan of steps, the loop, checkpoints that survive `kill -9`."""
