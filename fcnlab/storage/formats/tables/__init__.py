"""Tables of points, objects and measurements."""
