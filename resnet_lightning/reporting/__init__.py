"""Run folders in, tables and figures beside the published numbers out; nothing here trains or changes a run."""
