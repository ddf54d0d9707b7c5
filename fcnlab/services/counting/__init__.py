"""Counting objects, in projects and in files."""
