"""Use cases: where core and storage meet."""
