"""Pictures too large for their features to be held at once."""
