"""Knowledge distillation: a small model learns from a large one, from its answers or from its distributions."""
