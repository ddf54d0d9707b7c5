"""One outside thing each: database, files, formats."""
