"""Projects: images, classes, labels, settings."""
