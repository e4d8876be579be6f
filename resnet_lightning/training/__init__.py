"""What is a training step? The LightningModule, its metrics, and what an evaluation step does."""
