"""The networks that are trained end to end on points: one family per module, one registry, one interface."""
