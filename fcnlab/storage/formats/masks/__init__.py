"""Formats of masks: pictures and arrays whose values are classes."""
