"""Training networks and keeping models."""
