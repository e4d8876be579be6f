"""What is a run on disk, and how does it survive? Its folder and name, its life, checkpoints, locks, metrics.csv."""
