"""Run folders on disk to tables and figures beside the published numbers."""
