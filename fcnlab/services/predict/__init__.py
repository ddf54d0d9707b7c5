"""Masks of image files and arrays, written in any format."""
