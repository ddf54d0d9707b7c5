"""Cover surveys in the database."""
