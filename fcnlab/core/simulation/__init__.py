"""Scenes that a program draws, with the class and the object of every pixel."""
