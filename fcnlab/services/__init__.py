"""Use cases: where core and adapters meet."""
