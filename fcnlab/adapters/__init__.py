"""One outside thing each: database, files, weights, caches."""
