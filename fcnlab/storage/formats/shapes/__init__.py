"""Formats of shapes: polygons, run lengths, boxes."""
