"""Tags of whole images: tagging, which images have them, how good suggestions are, files."""
