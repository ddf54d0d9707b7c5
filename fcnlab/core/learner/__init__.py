"""The instant learner: from points to a mask, and what it asks about."""
