"""Projects as files for other tools."""
