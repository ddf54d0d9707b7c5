"""Formats of labels and masks that other tools read and write. Equal input gives equal bytes."""
