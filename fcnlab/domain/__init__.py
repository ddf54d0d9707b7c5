"""The values the whole project speaks in: frozen, checked when built, free of any library."""
