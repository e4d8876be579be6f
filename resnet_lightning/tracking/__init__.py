"""Weights & Biases: the logger of a run, and dashboards of a study."""
