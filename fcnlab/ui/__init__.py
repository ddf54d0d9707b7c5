"""The click canvas, session state, routes."""
