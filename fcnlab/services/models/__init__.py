"""Models of a project: kept, chosen, exported, brought in."""
