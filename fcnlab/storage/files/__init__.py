"""Files of an installation, and files from elsewhere."""
