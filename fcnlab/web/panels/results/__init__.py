"""Counts, exports, scribbles."""
