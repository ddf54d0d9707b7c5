"""Where formats are written to: archives, folders, spools."""
