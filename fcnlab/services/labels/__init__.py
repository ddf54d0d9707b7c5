"""Labels of other tools: read, matched, stored, converted."""
