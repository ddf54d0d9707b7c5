"""Tags of images as files: which classes whole images contain."""
