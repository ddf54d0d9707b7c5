"""Projects, their classes, and what was labelled in them."""
