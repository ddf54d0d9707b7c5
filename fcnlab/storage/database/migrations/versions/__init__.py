"""Migrations, in order. A released one never changes."""
