"""How a detector is trained, and how good its detections are."""
