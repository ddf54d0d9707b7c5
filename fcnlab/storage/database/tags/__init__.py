"""Tags of images in the database."""
